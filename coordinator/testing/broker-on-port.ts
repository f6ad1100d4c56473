/** The embedded broker on a free port, letting in enrolled devices by their tokens, with everything that it tells its listener kept. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectSocket, type Socket } from "node:net";
import type { NodeId, Rejection } from "@cairn/protocol";
import { topicsOf } from "@cairn/protocol";
import { connectAsync, type IClientOptions, type MqttClient } from "mqtt";
import type { Arrival } from "../src/model.ts";
import { judgeConnect } from "../src/validate/admission.ts";
import type { Broker } from "../src/wire/broker.ts";
import { openEmbeddedBroker } from "../src/wire/embedded-broker.ts";
import type { Device } from "./devices.ts";
import { founding } from "./founding.ts";
import { until } from "./until.ts";

export const topics = topicsOf(founding.network);

export type Refusal = {
  readonly sender: NodeId | null;
  readonly topic: string;
  readonly bytes: number;
  readonly rejection: Rejection;
};

export type BrokerOnPort = {
  readonly broker: Broker;
  readonly port: number;
  readonly arrivals: Arrival[];
  readonly refusals: Refusal[];
  /** Enrols a device. */
  admit(device: Device): void;
  /** Connects as this device, or with other words. Nothing is tried twice. */
  connect(device: Device, options?: Partial<IClientOptions>): Promise<MqttClient>;
  /** A connection without any protocol. */
  rawSocket(): Promise<Socket>;
  /** What the coordinator asks senders to wait for. */
  busy: Promise<void> | undefined;
  /** False: nothing that arrives is committed at once; how to do it later is kept. */
  commits: boolean;
  readonly uncommitted: (() => void)[];
  arrived(count: number): Promise<void>;
  refused(count: number): Promise<void>;
};

export async function onBroker(body: (house: BrokerOnPort) => Promise<void>): Promise<void> {
  const keys = new Map<NodeId, Device["enrolment"]["publicKey"]>();
  const clients: MqttClient[] = [];
  const sockets: Socket[] = [];
  const place = { topics, now: Date.now, host: "127.0.0.1", port: 0 };
  const broker = await openEmbeddedBroker(place, {
    authenticate: async (connect) => judgeConnect(connect, founding.network, Date.now(), (nodeId) => keys.get(nodeId)),
    arrived(arrival, committed) {
      house.arrivals.push(arrival);
      if (house.commits) committed?.();
      else if (committed) house.uncommitted.push(committed);
      return house.busy;
    },
    refused: (sender, topic, payload, rejection) =>
      house.refusals.push({ sender, topic, bytes: payload.length, rejection }),
  });
  assert.equal(broker.receivingSince(), null);
  const port = (await broker.start()) ?? assert.fail("an embedded broker has a port");
  const house: BrokerOnPort = {
    broker,
    port,
    arrivals: [],
    refusals: [],
    busy: undefined,
    commits: true,
    uncommitted: [],
    admit: ({ nodeId, enrolment }) => keys.set(nodeId, enrolment.publicKey),
    async connect(device, options = {}) {
      const client = await connectAsync({
        host: "127.0.0.1",
        port,
        ...device.connect(Date.now()),
        reconnectPeriod: 0,
        ...options,
      });
      client.on("error", () => {});
      clients.push(client);
      return client;
    },
    async rawSocket() {
      const socket = connectSocket({ host: "127.0.0.1", port });
      sockets.push(socket);
      socket.on("error", () => {});
      await once(socket, "connect");
      return socket;
    },
    arrived: (count) =>
      until(
        () => house.arrivals.length >= count,
        () => `${house.arrivals.length} arrivals`,
      ),
    refused: (count) =>
      until(
        () => house.refusals.length >= count,
        () => `${house.refusals.length} refusals`,
      ),
  };
  try {
    await body(house);
  } finally {
    for (const client of clients) client.end(true);
    for (const socket of sockets) socket.destroy();
    await broker.close();
  }
}
