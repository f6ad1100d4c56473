/** A broker of some kind as the suite of behaviour sees it: nodes on one side, coordinators on the other. */
import { setTimeout as sleep } from "node:timers/promises";
import type { NodeId, Rejection } from "@cairn/protocol";
import { topicsOf } from "@cairn/protocol";
import { connect, type IClientOptions, type MqttClient } from "mqtt";
import type { Arrival } from "../../src/model.ts";
import type { Broker, BrokerListener } from "../../src/wire/broker.ts";
import type { BrokerLog } from "../../src/wire/broker-log.ts";
import type { FoundingMark } from "../../src/wire/founding-mark.ts";
import { type Device, makeDevice } from "../devices.ts";
import { founding } from "../founding.ts";

export const topics = topicsOf(founding.network);
export const mark: FoundingMark = {
  chainId: founding.chainId,
  rewards: founding.rewards,
  genesisAt: founding.time.genesisAt,
};

/** The nodes that every broker of the suite is set up for. */
export const devices: readonly Device[] = Array.from({ length: 4 }, (_, index) => makeDevice(`node-${index}`));

export type CoordinatorOptions = {
  readonly takesIn?: boolean;
  readonly mark?: FoundingMark;
  readonly log?: BrokerLog;
  now?(): number;
};

export type OpenedBroker = {
  /** Where nodes connect; of each server. */
  readonly urls: readonly string[];
  /** Opens a coordinator's side of the broker; not started. */
  open(name: string, listener: BrokerListener, options?: CoordinatorOptions): Promise<Broker>;
  /** What the device signs in with. */
  signIn(device: Device): { username: string; password: string };
  /** Everything that is published from now on, seen with full rights; undefined where the broker shows it to nobody. */
  observe?(): Promise<Observer>;
  /** Ends the broker and starts it again; undefined where it lives inside the coordinator. */
  restart?(signal?: NodeJS.Signals): Promise<void>;
  remove(): Promise<void>;
};

/** What tests opened on a broker, to be closed with it however they end; by its `remove`, which copies of it have in common. */
const closings = new Map<OpenedBroker["remove"], (() => Promise<unknown>)[]>();

function closeWith(opened: OpenedBroker, closing: () => Promise<unknown>): void {
  closings.set(opened.remove, [...(closings.get(opened.remove) ?? []), closing]);
}

/** Closes everything that was opened on it, and ends it. */
export async function removeBroker(opened: OpenedBroker): Promise<void> {
  const opens = closings.get(opened.remove) ?? [];
  closings.delete(opened.remove);
  await Promise.all(opens.map((close) => close()));
  await opened.remove();
}

export type Observer = {
  readonly heard: { readonly topic: string; readonly text: string }[];
  close(): Promise<void>;
};

export type Refusal = { readonly sender: NodeId | null; readonly topic: string; readonly rejection: Rejection };

/** One coordinator on the broker, with all that it was told. */
export type Coordinator = {
  readonly broker: Broker;
  readonly arrivals: Arrival[];
  readonly refusals: Refusal[];
  /** How to commit what arrived while `commits` was false, in the order of arrival. */
  readonly uncommitted: (() => void)[];
  /** Whether what arrives is committed at once. */
  commits: boolean;
  /** What a sender is asked to wait for. */
  busy: Promise<void> | undefined;
  readonly texts: () => string[];
};

export async function openCoordinator(
  opened: OpenedBroker,
  name: string,
  options: CoordinatorOptions = {},
): Promise<Coordinator> {
  const known = new Map(devices.map((device) => [device.nodeId as string, device]));
  const arrivals: Arrival[] = [];
  const refusals: Refusal[] = [];
  const uncommitted: (() => void)[] = [];
  const settle = (committed: (() => void) | undefined) => {
    if (coordinator.commits) committed?.();
    else if (committed) uncommitted.push(committed);
  };
  const listener: BrokerListener = {
    authenticate: async ({ username, clientId, password }) => {
      const device = username === clientId ? known.get(username) : undefined;
      return device && opened.signIn(device).password === password
        ? null
        : { code: "credential-malformed", detail: "not one of the suite's devices" };
    },
    arrived(arrival, committed) {
      arrivals.push(arrival);
      settle(committed);
      return coordinator.busy;
    },
    refused(sender, topic, _payload, rejection, committed) {
      refusals.push({ sender, topic, rejection });
      settle(committed);
    },
  };
  const broker = await opened.open(name, listener, options);
  closeWith(opened, () => broker.close());
  const coordinator: Coordinator = {
    broker,
    arrivals,
    refusals,
    uncommitted,
    commits: true,
    busy: undefined,
    texts: () => arrivals.map(({ payload }) => payload.toString()),
  };
  return coordinator;
}

export async function startCoordinator(
  opened: OpenedBroker,
  name: string,
  options: CoordinatorOptions = {},
): Promise<Coordinator> {
  const coordinator = await openCoordinator(opened, name, options);
  await coordinator.broker.start();
  return coordinator;
}

/**
 * Connects as a node does: MQTT 3.1.1, clean session, client id and user name the NodeId; again when that fails, as a node does too: a
 * broker that still holds the older connection may first throw both out.
 */
export async function connectNode(
  opened: OpenedBroker,
  device: Device,
  options: Partial<IClientOptions> = {},
): Promise<MqttClient> {
  const identity = { clientId: device.nodeId, ...opened.signIn(device), ...options };
  for (let attempt = 1; ; attempt++) {
    const client = await connectOnce(opened, identity);
    if (client) return client;
    if (attempt === 5) throw new Error(`not connected as ${device.nodeId}`);
    await sleep(500);
  }
}

/** One attempt; undefined when it was refused or not answered. */
export async function connectOnce(
  opened: OpenedBroker,
  options: Partial<IClientOptions>,
): Promise<MqttClient | undefined> {
  const client = connect(opened.urls[0] ?? "", { protocolVersion: 4, reconnectPeriod: 0, ...options });
  client.on("error", () => {});
  closeWith(opened, async () => client.end(true));
  const connected = new Promise<boolean>((resolve) => {
    client.once("connect", () => resolve(true));
    client.once("close", () => resolve(false));
  });
  if (await Promise.race([connected, sleep(4_000, false)])) return client;
  client.end(true);
  return undefined;
}

/** Says goodbye and waits for it, so that the next connection of the same node does not meet this one. */
export async function leave(client: MqttClient): Promise<void> {
  if (client.connected) await Promise.race([client.endAsync().catch(() => {}), sleep(500)]);
  client.end(true);
}

/** Topic and text of every message that comes. */
export function heardBy(client: MqttClient): { topic: string; text: string; retained: boolean }[] {
  const heard: { topic: string; text: string; retained: boolean }[] = [];
  client.on("message", (topic, payload, { retain }) =>
    heard.push({ topic, text: payload.toString(), retained: retain }),
  );
  return heard;
}

/** A log that keeps what was said, with its codes. */
export function keptLog(): BrokerLog & { readonly codes: () => string[]; readonly lines: string[] } {
  const lines: string[] = [];
  const codes: string[] = [];
  const note = (level: string) => (fields: object, message: string) => {
    lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
    const { code } = fields as { code?: string };
    if (code !== undefined) codes.push(code);
  };
  return { info: note("info"), warn: note("warn"), error: note("error"), lines, codes: () => codes };
}

export const silent: BrokerLog = { info() {}, warn() {}, error() {} };
