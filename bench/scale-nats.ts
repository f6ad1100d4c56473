/**
 * What a message costs from a node to a coordinator through NATS: consumed natively from the network's own stream, as the coordinator
 * does, and by a subscription through the MQTT gateway, as it would have to with any other broker. The publishers are the same in both.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fleetKeys, openLaboratory, simulatedKey } from "@cairn/localnet";
import { topicsOf } from "@cairn/protocol";
import type { ConsumerPlan } from "../coordinator/testing/broker-consumer.ts";
import { startChild } from "./child.ts";
import { cpuOf, spent } from "./cpu.ts";
import type { PublisherPlan } from "./scale-publishers.ts";

/** us of CPU time per message, of the server and of whoever consumes. */
export type MessageCost = {
  readonly server: number;
  readonly consumer: number;
  readonly whole: number;
  readonly messagesPerSecond: number;
};

export type NatsCase = {
  /** Every node publishes so many messages; throws when one does not come. */
  run(route: ConsumerPlan["route"], messagesPerNode: number): Promise<MessageCost>;
  close(): Promise<void>;
};

const seed = "scale bench, nats";
const network = "local";
const payloadBytes = 200;
const warmUpMessages = 10;
/** Acknowledgements that are still on their way. */
const afterwardsMs = 300;

export async function openNatsCase(nodes: number): Promise<NatsCase> {
  const laboratory = await openLaboratory({ simulated: fleetKeys(seed, nodes), broker: "nats" });
  const { logins = "", brokers, nodeUrls } = laboratory;
  const [server] = brokers;
  const serverPid = server?.pid() ?? 0;
  const gateway = nodeUrls[0] ?? "";
  const folder = dirname(logins);
  const listen = /^listen: "(.+)"$/m.exec(readFileSync(join(folder, "broker-1.conf"), "utf8"));
  const target = { folder, network, native: `nats://${listen?.[1]}`, gateway };
  const topics = topicsOf(network);
  const plan: PublisherPlan = {
    port: Number(new URL(gateway).port),
    payloadBytes,
    nodes: Array.from({ length: nodes }, (_, index) => {
      const { nodeId } = simulatedKey(seed, index);
      const login = JSON.parse(readFileSync(join(logins, `${nodeId}.json`), "utf8")) as { password: string };
      return { topic: topics.node(nodeId, "batch"), username: nodeId, password: login.password };
    }),
  };
  return {
    async run(route, messagesPerNode) {
      const consumerPlan: ConsumerPlan = { ...target, route };
      const consumer = startChild(new URL("../coordinator/testing/broker-consumer.ts", import.meta.url), [
        JSON.stringify(consumerPlan),
      ]);
      await consumer.hear();
      const publishers = startChild(new URL("./scale-publishers.ts", import.meta.url), []);
      publishers.tell(JSON.stringify(plan));
      await publishers.hear();
      const send = async (each: number) => {
        const startedAt = performance.now();
        consumer.tell(`${each * nodes}`);
        publishers.tell(`${each}`);
        await publishers.hear();
        await consumer.hear();
        const seconds = (performance.now() - startedAt) / 1000;
        await sleep(afterwardsMs);
        return seconds;
      };
      await send(warmUpMessages);
      let seconds = 0;
      const us = await spent(
        () => ({ server: cpuOf(serverPid), consumer: cpuOf(consumer.pid) }),
        async () => {
          seconds = await send(messagesPerNode);
        },
      );
      await publishers.end();
      await consumer.end();
      const messages = messagesPerNode * nodes;
      const [ofServer, ofConsumer] = [(us.server ?? 0) / messages, (us.consumer ?? 0) / messages];
      return {
        server: ofServer,
        consumer: ofConsumer,
        whole: ofServer + ofConsumer,
        messagesPerSecond: messages / seconds,
      };
    },
    close: () => laboratory.close(),
  };
}
