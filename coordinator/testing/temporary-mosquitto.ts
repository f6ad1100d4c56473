/** A real Mosquitto with the generated configuration, for tests. */
import { pbkdf2Sync, randomBytes } from "node:crypto";
import { appendFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { freePorts, program, temporaryFolder } from "@cairn/neighbours";
import { connectAsync } from "mqtt";
import { accessFiles } from "../src/decide/access.ts";
import { natsConfiguration, natsCoordinator, natsGateway, natsNode } from "../src/decide/access-nats.ts";
import { type AccessWriters, readCoordinatorCredential, writeAccess } from "../src/wire/access-files.ts";
import { openMqttBroker } from "../src/wire/mqtt-broker.ts";
import { devices, mark, type OpenedBroker, silent, topics } from "./broker/opened-broker.ts";
import { readNodeCredential } from "./broker/written-access.ts";
import { founding } from "./founding.ts";

export const accessWriters: AccessWriters = {
  passwordFiles: accessFiles,
  natsConfiguration,
  natsCoordinator,
  natsGateway,
  natsNode,
};

export type TemporaryMosquitto = OpenedBroker & {
  readonly folder: string;
  readonly coordinatorsUrl: string;
  readonly output: () => string;
  credentials(): { username: string; password: string; shareGroup?: string };
};

export async function startTemporaryMosquitto(): Promise<TemporaryMosquitto> {
  const folder = temporaryFolder("mosquitto");
  const [nodesPort = 0, coordinatorsPort = 0] = await freePorts(2);
  const at = (port: number) => ({ host: "127.0.0.1", port });
  await writeAccess(
    {
      kind: "mosquitto",
      folder: folder.path,
      network: founding.network,
      nodes: devices.map(({ nodeId }) => nodeId),
      listen: { nodes: at(nodesPort), coordinators: at(coordinatorsPort) },
      user: userInfo().username,
    },
    accessWriters,
  );
  // Somebody who may see everything, beside what is generated.
  const salt = randomBytes(12);
  const hash = pbkdf2Sync("watching", salt, 101, 64, "sha512");
  appendFileSync(
    join(folder.path, "coordinators.passwd"),
    `observer:$7$101$${salt.toString("base64")}$${hash.toString("base64")}\n`,
  );
  appendFileSync(join(folder.path, "coordinators.acl"), "\nuser observer\ntopic readwrite #\ntopic read $SYS/#\n");

  const server = program({
    command: "mosquitto",
    args: ["-c", join(folder.path, "mosquitto.conf")],
    ports: [nodesPort, coordinatorsPort],
  });
  await server.start();
  const coordinatorsUrl = `mqtt://127.0.0.1:${coordinatorsPort}`;
  const credentials = () => readCoordinatorCredential(join(folder.path, "coordinator.json"));

  return {
    folder: folder.path,
    urls: [`mqtt://127.0.0.1:${nodesPort}`],
    coordinatorsUrl,
    output: server.output,
    credentials,
    open: (clientId, listener, options = {}) =>
      openMqttBroker(
        {
          urls: [coordinatorsUrl],
          clientId,
          topics,
          network: founding.network,
          mark: options.mark ?? mark,
          takesIn: options.takesIn ?? true,
          credentials,
          now: options.now ?? Date.now,
          random: Math.random,
          log: options.log ?? silent,
        },
        listener,
      ),
    signIn: ({ nodeId }) => readNodeCredential(folder.path, nodeId),
    async observe() {
      const client = await connectAsync(coordinatorsUrl, {
        protocolVersion: 5,
        username: "observer",
        password: "watching",
        clientId: `observer-${randomBytes(4).toString("hex")}`,
        reconnectPeriod: 0,
      });
      const heard: { topic: string; text: string }[] = [];
      client.on("message", (topic, payload) => heard.push({ topic, text: payload.toString() }));
      await client.subscribeAsync("#", { qos: 0 });
      return { heard, close: () => client.endAsync(true) };
    },
    async restart(signal = "SIGTERM") {
      await server.end(signal);
      await server.start();
    },
    async remove() {
      await server.end("SIGKILL");
      folder.remove();
    },
  };
}
