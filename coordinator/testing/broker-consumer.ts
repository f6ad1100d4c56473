/**
 * A program that takes in what nodes publish at a NATS server, as a coordinator or as any MQTT client would, and commits everything at
 * once. Argument: JSON of ConsumerPlan. Prints {"ready":true}; each line with a number on standard input is answered by {"received":..}
 * once so many messages have come since the line before.
 *
 *   native  the coordinator's own consumption: a stream of the network, a pull consumer
 *   mqtt    a subscription at QoS 1 by mqtt.js through the gateway; there is no stream of the network meanwhile
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { natsNamesOf, topicsOf } from "@cairn/protocol";
import { encodeUser } from "@nats-io/jwt";
import { connectAsync } from "mqtt";
import { connect, jwtAuthenticator } from "nats";
import { createUser } from "nkeys.js";
import { readCoordinatorCredential } from "../src/wire/access-files.ts";
import { openNatsBroker } from "../src/wire/nats-broker.ts";
import { mark, silent } from "./broker/opened-broker.ts";

export type ConsumerPlan = {
  readonly route: "native" | "mqtt";
  /** Where `cairn-coordinator access` wrote the configuration. */
  readonly folder: string;
  readonly network: string;
  readonly native: string;
  readonly gateway: string;
};

type Consumption = { close(): Promise<unknown> };

/** Every right in the network's account. */
async function unlimited({ folder }: ConsumerPlan, bearer: boolean) {
  const keys = JSON.parse(readFileSync(join(folder, "nats-keys.json"), "utf8")) as { account: string };
  const user = createUser();
  const rights = bearer ? { bearer_token: true } : {};
  return { token: await encodeUser("unlimited", user.getPublicKey(), keys.account, rights), seed: user.getSeed() };
}

async function removeStream(plan: ConsumerPlan): Promise<void> {
  const { token, seed } = await unlimited(plan, false);
  const nc = await connect({ servers: plan.native, authenticator: jwtAuthenticator(token, seed) });
  try {
    const manager = await nc.jetstreamManager();
    const { stream } = natsNamesOf(plan.network);
    for await (const name of manager.streams.names()) if (name === stream) await manager.streams.delete(stream);
  } finally {
    await nc.close();
  }
}

async function consumeNatively(plan: ConsumerPlan, received: () => void): Promise<Consumption> {
  const topics = topicsOf(plan.network);
  const broker = await openNatsBroker(
    {
      ...{
        urls: [plan.native],
        gateway: [plan.gateway],
        clientId: "load-consumer",
        topics,
        network: plan.network,
        mark,
      },
      takesIn: true,
      replicas: 1,
      credentials() {
        const { creds = "", ...account } = readCoordinatorCredential(join(plan.folder, "coordinator.json"));
        return { ...account, creds: readFileSync(creds, "utf8") };
      },
      now: Date.now,
      random: Math.random,
      log: silent,
    },
    {
      authenticate: async () => null,
      arrived(_arrival, committed) {
        received();
        committed?.();
        return undefined;
      },
      refused(_sender, topic, _payload, { code }) {
        throw new Error(`a message on ${topic} was refused: ${code}`);
      },
    },
  );
  await broker.start();
  return broker;
}

async function consumeByMqtt(plan: ConsumerPlan, received: () => void): Promise<Consumption> {
  const { token: password } = await unlimited(plan, true);
  const client = await connectAsync(plan.gateway, {
    ...{ clientId: "load-consumer", username: "unlimited", password, protocolVersion: 4, reconnectPeriod: 0 },
  });
  client.on("message", received);
  const [granted] = await client.subscribeAsync(topicsOf(plan.network).anyNode("batch"), { qos: 1 });
  if (granted?.qos !== 1) throw new Error("the subscription was not granted at QoS 1");
  return { close: () => client.endAsync() };
}

async function serve(plan: ConsumerPlan): Promise<void> {
  let count = 0;
  let wanted = Number.POSITIVE_INFINITY;
  const say = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`);
  const tell = () => {
    if (count < wanted) return;
    say({ received: count });
    count = 0;
    wanted = Number.POSITIVE_INFINITY;
  };
  const received = () => {
    count += 1;
    tell();
  };
  await removeStream(plan);
  const consumption = await (plan.route === "native" ? consumeNatively : consumeByMqtt)(plan, received);
  say({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    wanted = Number(line);
    tell();
  }
  await consumption.close();
  await removeStream(plan);
}

if (import.meta.main) await serve(JSON.parse(process.argv[2] ?? ""));
