/** Real NATS servers, one or a cluster, with the generated configuration, for tests. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts, type Program, program, temporaryFolder } from "@cairn/neighbours";
import { encodeUser } from "@nats-io/jwt";
import { connect, jwtAuthenticator, type NatsConnection } from "nats";
import { createUser } from "nkeys.js";
import type { NatsServer } from "../src/model.ts";
import { readNatsCredential, writeAccess } from "../src/wire/access-files.ts";
import { openNatsBroker } from "../src/wire/nats-broker.ts";
import { devices, mark, type OpenedBroker, silent, topics } from "./broker/opened-broker.ts";
import { readNodeCredential } from "./broker/written-access.ts";
import { founding } from "./founding.ts";
import { accessWriters } from "./temporary-mosquitto.ts";

export type TemporaryNats = OpenedBroker & {
  readonly folder: string;
  readonly nativeUrls: readonly string[];
  readonly programs: readonly Program[];
  credentials(): { username: string; password: string; creds: string };
  /** Writes the access again, as with another run of the command. */
  writeAgain(more?: { rotate?: boolean; tokenSeconds?: number }): Promise<void>;
  /** A native connection with every right in the network's account. */
  unlimited(): Promise<NatsConnection>;
};

type Options = {
  readonly servers?: 1 | 3;
  readonly tokenSeconds?: number;
  /** Handed over as soon as the servers listen, before JetStream has a leader. */
  readonly unready?: boolean;
};

export async function startTemporaryNats({
  servers: count = 1,
  tokenSeconds = 3_600,
  unready = false,
}: Options = {}): Promise<TemporaryNats> {
  const folder = temporaryFolder("nats");
  const ports = await freePorts(3 * count);
  const at = (port: number | undefined) => ({ host: "127.0.0.1", port: port ?? 0 });
  const servers: NatsServer[] = Array.from({ length: count }, (_, index) => ({
    name: `s${index + 1}`,
    client: at(ports[3 * index]),
    mqtt: at(ports[3 * index + 1]),
    route: at(ports[3 * index + 2]),
  }));
  const replicas = count;
  const writeAgain = async (more: { rotate?: boolean; tokenSeconds?: number } = {}) => {
    await writeAccess(
      {
        kind: "nats",
        folder: folder.path,
        network: founding.network,
        nodes: devices.map(({ nodeId }) => nodeId),
        servers,
        replicas,
        tokenSeconds,
        now: Date.now,
        ...more,
      },
      accessWriters,
    );
  };
  await writeAgain();
  const programs = servers.map(({ name, client, mqtt }) =>
    program({
      command: "nats-server",
      args: ["-c", join(folder.path, `${name}.conf`)],
      ports: [client.port, mqtt.port],
    }),
  );
  await Promise.all(programs.map((each) => each.start()));

  const credentials = () => readNatsCredential(join(folder.path, "coordinator.json"));
  const nativeUrls = servers.map(({ client }) => `nats://127.0.0.1:${client.port}`);
  const gateway = servers.map(({ mqtt }) => `mqtt://127.0.0.1:${mqtt.port}`);

  async function unlimited(): Promise<NatsConnection> {
    const keys = JSON.parse(readFileSync(join(folder.path, "nats-keys.json"), "utf8")) as { account: string };
    const user = createUser();
    const token = await encodeUser("unlimited", user.getPublicKey(), keys.account, {});
    return connect({ servers: [...nativeUrls], authenticator: jwtAuthenticator(token, user.getSeed()) });
  }
  if (count > 1 && !unready) await untilJetStream(unlimited);

  return {
    folder: folder.path,
    nativeUrls,
    programs,
    credentials,
    writeAgain,
    unlimited,
    urls: gateway,
    open: (clientId, listener, options = {}) =>
      openNatsBroker(
        {
          urls: nativeUrls,
          gateway,
          clientId,
          topics,
          network: founding.network,
          mark: options.mark ?? mark,
          takesIn: options.takesIn ?? true,
          replicas,
          keepBytes: 100_000_000,
          credentials,
          now: options.now ?? Date.now,
          random: Math.random,
          log: options.log ?? silent,
        },
        listener,
      ),
    signIn: ({ nodeId }) => readNodeCredential(folder.path, nodeId),
    async observe() {
      const nc = await unlimited();
      const heard: { topic: string; text: string }[] = [];
      nc.subscribe("cairn.>", {
        callback: (_, message) => heard.push({ topic: message.subject.replaceAll(".", "/"), text: message.string() }),
      });
      await nc.flush();
      return { heard, close: () => nc.close() };
    },
    async restart(signal = "SIGTERM") {
      await Promise.all(programs.map((each) => each.end(signal)));
      await Promise.all(programs.map((each) => each.start()));
      if (count > 1 && !unready) await untilJetStream(unlimited);
    },
    async remove() {
      await Promise.all(programs.map((each) => each.end("SIGKILL")));
      folder.remove();
    },
  };
}

/** Three servers take some seconds until JetStream has a leader. */
async function untilJetStream(open: () => Promise<NatsConnection>): Promise<void> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    try {
      const nc = await open();
      try {
        await (await nc.jetstreamManager()).getAccountInfo();
        return;
      } finally {
        await nc.close();
      }
    } catch (cause) {
      if (performance.now() > deadline) throw cause;
      await sleep(200);
    }
  }
}
