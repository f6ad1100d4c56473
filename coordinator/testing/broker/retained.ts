/** Suite: what the coordinator says reaches nodes, also those that come late. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { needs, type Suite, withBroker } from "../broker-behaviour.ts";
import type { Device } from "../devices.ts";
import { verifier } from "../founding.ts";
import { eventually } from "./eventually.ts";
import { connectNode, devices, heardBy, openCoordinator, startCoordinator, topics } from "./opened-broker.ts";

const [one, two] = devices as [Device, Device];
const beacon = topics.beacon(verifier.address);

export function describeRetained(suite: Suite): void {
  test("a retained beacon and the coordinator's state reach a node that comes later, the newest alone", () =>
    withBroker(suite, async (opened) => {
      const { broker } = await openCoordinator(opened, "a");
      broker.publish(topics.coordinatorState, "online", { retain: true });
      await broker.start();
      broker.publish(beacon, "older", { retain: true, qos: 1 });
      broker.publish(beacon, "newer", { retain: true, qos: 1 });
      await sleep(300);
      const client = await connectNode(opened, one);
      const heard = heardBy(client);
      await client.subscribeAsync([topics.anyBeacon, topics.coordinatorState], { qos: 0 });
      await eventually(
        () => heard.length >= 2,
        () => `${heard.length} messages`,
      );
      await sleep(200);
      assert.deepEqual(
        heard.sort((a, b) => a.topic.localeCompare(b.topic)),
        [
          { topic: beacon, text: "newer", retained: true },
          { topic: topics.coordinatorState, text: "online", retained: true },
        ],
      );
      client.end(true);
      await broker.close();
    }));

  test("what is published for a node reaches that node and no other", () =>
    withBroker(suite, async (opened) => {
      const { broker } = await startCoordinator(opened, "a");
      const clients = [await connectNode(opened, one), await connectNode(opened, two)] as const;
      const [first, second] = [heardBy(clients[0]), heardBy(clients[1])];
      for (const [index, client] of clients.entries()) {
        const { nodeId } = index === 0 ? one : two;
        await client.subscribeAsync([topics.receipt(nodeId), topics.desired(nodeId), topics.anyBeacon], { qos: 0 });
      }
      broker.publish(topics.receipt(one.nodeId), "receipt");
      broker.publish(topics.desired(two.nodeId), "desired", { retain: true, qos: 1 });
      broker.publish(beacon, "beacon", { retain: true, qos: 1 });
      const texts = (heard: readonly { text: string }[]) => heard.map(({ text }) => text).sort();
      await eventually(
        () => first.length + second.length >= 4,
        () => `${first.length} and ${second.length} heard`,
      );
      assert.deepEqual(
        [texts(first), texts(second)],
        [
          ["beacon", "receipt"],
          ["beacon", "desired"],
        ],
      );
      for (const client of clients) client.end(true);
      await broker.close();
    }));

  test("after a restart of the broker what is retained is there again", needs(suite, "restart"), () =>
    withBroker(suite, async (opened) => {
      const { broker } = await startCoordinator(opened, "a");
      broker.publish(beacon, "the beacon", { retain: true, qos: 1 });
      broker.publish(topics.coordinatorState, "online", { retain: true, qos: 1 });
      await sleep(200);
      await opened.restart?.("SIGKILL");
      await eventually(
        () => broker.receivingSince() !== null,
        () => "not connected again",
      );
      const client = await connectNode(opened, one);
      const heard = heardBy(client);
      await client.subscribeAsync([topics.anyBeacon, topics.coordinatorState], { qos: 0 });
      await eventually(
        () => heard.length >= 2,
        () => `${heard.length} messages`,
      );
      assert.deepEqual(new Set(heard.map(({ text }) => text)), new Set(["the beacon", "online"]));
      client.end(true);
      await broker.close();
    }),
  );
}
