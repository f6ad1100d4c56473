/** Suite: an enrolled node with a valid credential that tries everything else. Each attempt is refused, or has no effect. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { nodeChannels } from "@cairn/protocol";
import type { MqttClient } from "mqtt";
import { type Suite, withBroker } from "../broker-behaviour.ts";
import type { Device } from "../devices.ts";
import { founding, verifier } from "../founding.ts";
import {
  connectNode,
  connectOnce,
  devices,
  heardBy,
  leave,
  type OpenedBroker,
  startCoordinator,
  topics,
} from "./opened-broker.ts";

const [hostile, victim, bystander] = devices as [Device, Device, Device];
const beacon = topics.beacon(verifier.address);
const evil = "evil";

/** Topics that are not the hostile node's to publish on. */
const forbiddenTopics = [
  ...nodeChannels.map((channel) => topics.node(victim.nodeId, channel)),
  topics.receipt(victim.nodeId),
  topics.desired(victim.nodeId),
  `cairn/1/${founding.network}/node/${victim.nodeId}/request/restart`,
  topics.receipt(hostile.nodeId),
  topics.desired(hostile.nodeId),
  beacon,
  topics.coordinatorState,
  topics.founding,
  `cairn/1/elsewhere/node/${hostile.nodeId}/batch`,
  `cairn/1/${founding.network}/node/${hostile.nodeId}/batch/deeper`,
  `cairn/1/${founding.network}/node//batch`,
  "anything",
  "$SYS/broker/uptime",
  `$JS/API/STREAM/DELETE/CAIRN_${founding.network}`,
  `$JS/API/STREAM/PURGE/CAIRN_${founding.network}`,
  `$JS/API/CONSUMER/DELETE/CAIRN_${founding.network}/coordinators`,
  "$MQTT/sub/anything",
  "_INBOX_cairn/anything",
];

/** Filters that are not its to subscribe. */
const forbiddenFilters = [
  "#",
  "+/#",
  "+/+/+/+/+/+",
  `cairn/1/${founding.network}/#`,
  `cairn/1/${founding.network}/node/+/batch`,
  `cairn/1/${founding.network}/node/+/receipt`,
  topics.node(victim.nodeId, "batch"),
  topics.receipt(victim.nodeId),
  topics.desired(victim.nodeId),
  topics.founding,
  `$share/cairn-${founding.network}/${topics.anyNode("batch")}`,
  `$share/cairn-${founding.network}/${topics.receipt(victim.nodeId)}`,
  "$SYS/#",
  "$JS/#",
  "$JS/ACK/#",
  "$MQTT/#",
  "_INBOX/#",
  "_INBOX_cairn/#",
  // The last one stays while messages flow: whoever is in a group takes its share away from the others.
  `$share/cairn-${founding.network}/${topics.anyNode("batch")}`,
];

export function describeAccess(suite: Suite): void {
  test("a publication on a topic of others, of the coordinator or of the broker has no effect anywhere", () =>
    withBroker(suite, async (opened) => {
      const coordinator = await startCoordinator(opened, "a");
      coordinator.broker.publish(beacon, "true beacon", { retain: true, qos: 1 });
      coordinator.broker.publish(topics.coordinatorState, "true state", { retain: true, qos: 1 });
      const watched = await connectNode(opened, victim);
      const heard = heardBy(watched);
      await watched.subscribeAsync(
        [topics.receipt(victim.nodeId), topics.desired(victim.nodeId), topics.anyBeacon, topics.coordinatorState],
        { qos: 0 },
      );
      const observer = await opened.observe?.();

      for (const topic of forbiddenTopics)
        for (const retain of [false, true]) {
          // Some brokers end the connection, some acknowledge and drop it: each attempt has a connection of its own.
          const client = await connectNode(opened, hostile);
          await settled(client.publishAsync(topic, evil, { qos: 1, retain }));
          await leave(client);
        }
      const honest = await connectNode(opened, hostile);
      await honest.publishAsync(topics.node(hostile.nodeId, "batch"), "honest", { qos: 1 });
      const until = performance.now() + 10_000;
      while (!coordinator.texts().includes("honest") && performance.now() < until) await sleep(20);
      await sleep(300);

      assert.deepEqual(coordinator.texts(), ["honest"]);
      assert.deepEqual(
        heard.filter(({ text }) => text === evil),
        [],
      );
      const seen = observer?.heard.filter(({ text }) => text === evil) ?? [];
      assert.deepEqual(
        seen.filter(({ topic }) => !topic.startsWith("$")),
        [],
      );
      const late = await connectNode(opened, bystander);
      const kept = heardBy(late);
      await late.subscribeAsync([topics.anyBeacon, topics.coordinatorState], { qos: 0 });
      await sleep(500);
      assert.deepEqual(new Set(kept.map(({ text }) => text)), new Set(["true beacon", "true state"]));
      await observer?.close();
      for (const client of [watched, honest, late]) client.end(true);
      await coordinator.broker.close();
    }));

  test("a subscription to what belongs to others, shared or not, brings nothing and takes nothing away", () =>
    withBroker(suite, async (opened) => {
      const coordinator = await startCoordinator(opened, "a");
      const spies: MqttClient[] = [];
      const heard: { topic: string; text: string }[] = [];
      for (const filter of forbiddenFilters) {
        const spy = await connectNode(opened, hostile);
        collect(spy, heard);
        // A broker may have other rules for each quality; the lower one, which costs it nothing, comes last and stays.
        for (const qos of [1, 0] as const) await settled(spy.subscribeAsync(filter, { qos }));
        spies.push(spy);
        await exchange(opened, coordinator.broker);
        // A node has one connection; the last spy stays.
        if (filter !== forbiddenFilters.at(-1)) await leave(spy);
      }
      const sender = await connectNode(opened, victim);
      const before = coordinator.arrivals.length;
      for (let index = 0; index < 20; index++)
        await sender.publishAsync(topics.node(victim.nodeId, "batch"), `batch ${index}`, { qos: 1 });
      coordinator.broker.publish(topics.receipt(victim.nodeId), "receipt");
      coordinator.broker.publish(topics.desired(victim.nodeId), "desired", { retain: true, qos: 1 });
      const deadline = performance.now() + 5_000;
      while (coordinator.arrivals.length - before < 20 && performance.now() < deadline) await sleep(20);
      assert.equal(coordinator.arrivals.length - before, 20, "messages went elsewhere");
      await sleep(300);
      assert.deepEqual(
        heard.filter(({ topic }) => !topic.startsWith("$SYS")),
        [],
      );
      for (const client of [...spies, sender]) client.end(true);
      await coordinator.broker.close();
    }));

  test("nobody is let in with a wrong password, none, another's name or another's credential", () =>
    withBroker(suite, async (opened) => {
      const coordinator = await startCoordinator(opened, "a");
      const own = opened.signIn(hostile);
      const attempts: Record<string, { username?: string; password?: string; clientId?: string }> = {
        "a wrong password": { ...own, password: `${own.password.slice(0, -4)}AAAA` },
        "an empty password": { ...own, password: "" },
        "no name": { username: "", password: "" },
        "a name that is not enrolled": { username: "f".repeat(40), password: "x".repeat(43) },
        "the coordinator's name with its own password": { username: "coordinator", password: own.password },
      };
      for (const [what, attempt] of Object.entries(attempts)) {
        const clientId = attempt.clientId ?? attempt.username ?? "";
        const client = await connectOnce(opened, { ...attempt, clientId });
        // With signed tokens the name is only a label: then it is the token's rights that count, and those are its own.
        if (client && what.startsWith("the coordinator's name")) {
          await settled(client.publishAsync(beacon, evil, { qos: 1, retain: true }));
          await settled(client.publishAsync(topics.node(victim.nodeId, "batch"), evil, { qos: 1 }));
          await leave(client);
        } else assert.equal(client, undefined, `let in with ${what}`);
      }
      await sleep(300);
      assert.deepEqual(coordinator.texts(), []);
      await coordinator.broker.close();
    }));

  test("another's name, or another's client id, gives a node none of the other's rights", () =>
    withBroker(suite, async (opened) => {
      const coordinator = await startCoordinator(opened, "a");
      const own = opened.signIn(hostile);
      for (const disguise of [
        { clientId: victim.nodeId, username: hostile.nodeId },
        { clientId: hostile.nodeId, username: victim.nodeId },
        { clientId: victim.nodeId, username: victim.nodeId },
      ]) {
        const client = await connectOnce(opened, { ...own, ...disguise });
        if (!client) continue;
        const heard = heardBy(client);
        await settled(client.publishAsync(topics.node(victim.nodeId, "batch"), evil, { qos: 1 }));
        if (client.connected) await settled(client.subscribeAsync(topics.receipt(victim.nodeId), { qos: 0 }));
        coordinator.broker.publish(topics.receipt(victim.nodeId), "for the victim");
        await sleep(200);
        assert.deepEqual(heard, [], JSON.stringify(disguise));
        await leave(client);
      }
      await sleep(300);
      assert.deepEqual(coordinator.texts(), []);
      await coordinator.broker.close();
    }));
}

function collect(client: MqttClient, into: { topic: string; text: string }[]): void {
  client.on("message", (topic, payload) => into.push({ topic, text: payload.toString() }));
}

/** Something for a spy to hear. */
async function exchange(
  opened: OpenedBroker,
  broker: { publish(topic: string, payload: string): void },
): Promise<void> {
  const sender = await connectNode(opened, victim);
  await sender.publishAsync(topics.node(victim.nodeId, "evidence"), "for the coordinator", { qos: 1 });
  broker.publish(topics.receipt(victim.nodeId), "for the victim");
  await sleep(30);
  await leave(sender);
}

/** However it ends: refused, acknowledged without effect, or never answered. */
async function settled(attempt: Promise<unknown>): Promise<void> {
  await Promise.race([attempt.catch(() => undefined), sleep(150)]);
}
