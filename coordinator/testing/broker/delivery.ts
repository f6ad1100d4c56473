/** Suite: what nodes send reaches the coordinators, whatever happens meanwhile. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { limits } from "@cairn/protocol";
import type { MqttClient } from "mqtt";
import { needs, type Suite, withBroker } from "../broker-behaviour.ts";
import type { Device } from "../devices.ts";
import { eventually } from "./eventually.ts";
import { type Coordinator, connectNode, devices, openCoordinator, startCoordinator, topics } from "./opened-broker.ts";

const [one, two] = devices as [Device, Device];

export function describeDelivery(suite: Suite): void {
  test("a message of a node arrives with its sender, its channel, its exact bytes and the time", () =>
    withBroker(suite, async (opened) => {
      const coordinator = await startCoordinator(opened, "a");
      const client = await connectNode(opened, one);
      const payload = Buffer.from([0, 0xff, 0x0a, 0x2e]);
      const before = Date.now();
      await client.publishAsync(topics.node(one.nodeId, "batch"), payload, { qos: 1 });
      await count(coordinator, 1);
      const [{ receivedAt, ...arrival } = assert.fail("nothing arrived")] = coordinator.arrivals;
      assert.deepEqual(arrival, {
        sender: one.nodeId,
        channel: "batch",
        topic: topics.node(one.nodeId, "batch"),
        payload,
      });
      // The clock of another program has milliseconds of its own.
      assert.ok(receivedAt >= before - 5 && receivedAt <= Date.now(), `${receivedAt - before} ms`);
      await close(coordinator, client);
    }));

  test("messages of one node arrive in the order of sending, of every channel and quality", () =>
    withBroker(suite, async (opened) => {
      const coordinator = await startCoordinator(opened, "a");
      const client = await connectNode(opened, one);
      for (let index = 0; index < 40; index++) {
        const channel = (["batch", "evidence"] as const)[index % 2] ?? "batch";
        await client.publishAsync(topics.node(one.nodeId, channel), `${index}`, { qos: index % 3 === 0 ? 0 : 1 });
      }
      await count(coordinator, 40);
      const ofBatch = coordinator.arrivals.filter(({ channel }) => channel === "batch");
      assert.deepEqual(
        ofBatch.map(({ payload }) => Number(payload.toString())),
        Array.from({ length: 20 }, (_, index) => 2 * index),
      );
      await close(coordinator, client);
    }));

  test("the last will of a broken connection arrives in its node's name with the boot id it was given", () =>
    withBroker(suite, async (opened) => {
      const coordinator = await startCoordinator(opened, "a");
      const will = (boot: string) => ({
        topic: topics.node(one.nodeId, "death"),
        payload: Buffer.from(JSON.stringify({ boot })),
        qos: 1 as const,
        retain: false,
      });
      const older = await connectNode(opened, one, { will: will("0".repeat(32)) });
      older.stream.destroy();
      await count(coordinator, 1);
      const newer = await connectNode(opened, one, { will: will("1".repeat(32)) });
      assert.partialDeepStrictEqual(coordinator.arrivals, [{ sender: one.nodeId, channel: "death" }]);
      assert.deepEqual(coordinator.texts(), [`{"boot":"${"0".repeat(32)}"}`]);
      await newer.endAsync();
      await sleep(300);
      assert.equal(coordinator.arrivals.length, 1, "a goodbye published the will");
      await close(coordinator);
    }));

  test("a slow coordinator holds back what comes, and nothing of it is lost", () =>
    withBroker(suite, async (opened) => {
      const coordinator = await openCoordinator(opened, "a");
      const gate = Promise.withResolvers<void>();
      coordinator.busy = gate.promise;
      coordinator.commits = false;
      await coordinator.broker.start();
      const client = await connectNode(opened, one);
      const sent = publishMany(client, one, 3_000, 300);
      await eventually(
        () => coordinator.arrivals.length > 0,
        () => "nothing arrived",
      );
      await sleep(500);
      assert.ok(coordinator.arrivals.length < 3_000, `${coordinator.arrivals.length} were taken in meanwhile`);
      coordinator.busy = undefined;
      coordinator.commits = true;
      gate.resolve();
      for (const committed of coordinator.uncommitted) committed();
      await sent;
      await all(coordinator, 3_000);
      await close(coordinator, client);
    }));

  test("5,000 messages published while the coordinator is away arrive once it is back", needs(suite, "queueing"), () =>
    withBroker(suite, async (opened) => {
      const before = await startCoordinator(opened, "a");
      await before.broker.close();
      const client = await connectNode(opened, one);
      await publishMany(client, one, 5_000, 120);
      const after = await startCoordinator(opened, "a");
      await all(after, 5_000);
      await close(after, client);
    }),
  );

  test(
    "what was not committed when a coordinator died is delivered again, what was committed is not",
    needs(suite, "redelivery"),
    () =>
      withBroker(suite, async (opened) => {
        const first = await openCoordinator(opened, "a");
        first.commits = false;
        await first.broker.start();
        const client = await connectNode(opened, one);
        await publishMany(client, one, 20, 20);
        await count(first, 20);
        // Out of order: the later half first.
        for (const committed of first.uncommitted.slice(10)) committed();
        await sleep(300);
        await first.broker.close();
        const second = await startCoordinator(opened, "a");
        await count(second, 10);
        await sleep(500);
        assert.deepEqual(second.texts().sort(), first.texts().slice(0, 10).sort());
        await close(second, client);
      }),
  );

  test(
    "a message is not taken from the broker before it is committed, however long that takes",
    needs(suite, "redelivery"),
    () =>
      withBroker(suite, async (opened) => {
        const coordinator = await openCoordinator(opened, "a");
        coordinator.commits = false;
        await coordinator.broker.start();
        const client = await connectNode(opened, one);
        await publishMany(client, one, 3, 3);
        await count(coordinator, 3);
        assert.equal(await coordinator.broker.drained(300), false);
        // Longer than a broker waits before it thinks that a consumer is dead.
        await sleep(6_500);
        assert.equal(coordinator.arrivals.length, 3, "they were delivered again to the same coordinator");
        assert.equal(await coordinator.broker.drained(0), false);
        for (const committed of coordinator.uncommitted) committed();
        assert.equal(await coordinator.broker.drained(5_000), true);
        await close(coordinator, client);
      }),
  );

  test("two coordinators share the work, and each message is handled by one", needs(suite, "replicas"), () =>
    withBroker(suite, async (opened) => {
      const both = [await startCoordinator(opened, "a"), await startCoordinator(opened, "b")];
      const clients = [await connectNode(opened, one), await connectNode(opened, two)];
      await Promise.all(clients.map((client, index) => publishMany(client, index === 0 ? one : two, 1_000, 50)));
      const texts = () => both.flatMap((coordinator) => coordinator.texts());
      await eventually(
        () => texts().length >= 2_000,
        () => `${texts().length} of 2,000 arrived`,
      );
      await sleep(300);
      assert.equal(texts().length, 2_000);
      assert.equal(new Set(texts()).size, 2_000);
      for (const { arrivals } of both) assert.ok(arrivals.length > 100, `one had ${arrivals.length} of 2,000`);
      for (const coordinator of both) await close(coordinator);
      await close(undefined, ...clients);
    }),
  );

  test("what nodes send when a coordinator has left does not wait for its return", needs(suite, "replicas"), () =>
    withBroker(suite, async (opened) => {
      const leaving = await openCoordinator(opened, "a");
      leaving.commits = false;
      await leaving.broker.start();
      const staying = await startCoordinator(opened, "b");
      const clients = [await connectNode(opened, one), await connectNode(opened, two)] as const;
      await publishMany(clients[0], one, 100, 50);
      await eventually(
        () => leaving.arrivals.length + staying.arrivals.length === 100,
        () => `${leaving.arrivals.length} and ${staying.arrivals.length} of 100 arrived`,
      );
      const had = staying.arrivals.length;
      await leaving.broker.leave();
      await publishMany(clients[1], two, 200, 50);
      await count(staying, had + 200);
      // What it had taken in before is committed after all.
      for (const committed of leaving.uncommitted) committed();
      await leaving.broker.close();
      const back = await startCoordinator(opened, "a");
      await sleep(500);
      assert.deepEqual([leaving.arrivals.length + staying.arrivals.length, back.arrivals.length], [300, 0]);
      await close(staying, ...clients);
      await close(back);
    }),
  );

  test("what one coordinator left unfinished is finished", needs(suite, "replicas", "redelivery"), () =>
    withBroker(suite, async (opened) => {
      const dying = await openCoordinator(opened, "a");
      dying.commits = false;
      await dying.broker.start();
      const staying = await startCoordinator(opened, "b");
      const client = await connectNode(opened, one);
      await publishMany(client, one, 200, 50);
      await eventually(
        () => dying.arrivals.length + staying.arrivals.length >= 200,
        () => "not all arrived",
      );
      await dying.broker.close();
      const back = await startCoordinator(opened, "a");
      const handled = () => new Set([...staying.texts(), ...back.texts()]);
      await eventually(
        () => handled().size === 200,
        () => `${handled().size} of 200 were handled`,
      );
      await close(staying, client);
      await close(back);
    }),
  );

  test(
    "after a restart of the broker messages arrive again, without a new start of the coordinator",
    needs(suite, "restart"),
    () =>
      withBroker(suite, async (opened) => {
        const coordinator = await startCoordinator(opened, "a");
        const since = coordinator.broker.receivingSince();
        assert.ok(since !== null);
        const first = await connectNode(opened, one);
        await first.publishAsync(topics.node(one.nodeId, "batch"), "before", { qos: 1 });
        await count(coordinator, 1);
        await opened.restart?.("SIGKILL");
        await eventually(
          () => (coordinator.broker.receivingSince() ?? 0) > since,
          () => `it is received since ${coordinator.broker.receivingSince()}, before it was ${since}`,
        );
        const second = await connectNode(opened, one);
        await second.publishAsync(topics.node(one.nodeId, "batch"), "after", { qos: 1 });
        await eventually(
          () => coordinator.texts().includes("after"),
          () => "nothing arrived after the restart",
        );
        await close(coordinator, first, second);
      }),
  );

  test("while the broker is away nothing is received", needs(suite, "restart"), () =>
    withBroker(suite, async (opened) => {
      const coordinator = await startCoordinator(opened, "a");
      let away = false;
      const watching = setInterval(() => {
        away ||= coordinator.broker.receivingSince() === null;
      }, 2);
      await opened.restart?.("SIGKILL");
      await eventually(
        () => away,
        () => "it was said to be received all the time",
      );
      clearInterval(watching);
      await close(coordinator);
    }),
  );

  test("a payload larger than allowed does not arrive", () =>
    withBroker(suite, async (opened) => {
      const coordinator = await startCoordinator(opened, "a");
      const client = await connectNode(opened, one);
      client.publish(topics.node(one.nodeId, "batch"), Buffer.alloc(limits.messageBytes + 2_048, "x"), { qos: 1 });
      const other = await connectNode(opened, two);
      await other.publishAsync(topics.node(two.nodeId, "batch"), Buffer.alloc(limits.messageBytes, "y"), { qos: 1 });
      await count(coordinator, 1);
      assert.deepEqual(
        coordinator.arrivals.map(({ sender, payload }) => [sender, payload.length]),
        [[two.nodeId, limits.messageBytes]],
      );
      await close(coordinator, client, other);
    }));

  test("a replica that takes nothing in takes nothing from the others, and can publish", needs(suite, "replicas"), () =>
    withBroker(suite, async (opened) => {
      const idle = await startCoordinator(opened, "idle", { takesIn: false });
      assert.ok(idle.broker.receivingSince() !== null);
      const working = await startCoordinator(opened, "a");
      const client = await connectNode(opened, one);
      await client.subscribeAsync(topics.receipt(one.nodeId), { qos: 0 });
      await publishMany(client, one, 100, 50);
      await all(working, 100);
      assert.equal(await idle.broker.drained(5_000), true);
      const heard = new Promise((resolve) => client.once("message", (_, payload) => resolve(payload.toString())));
      idle.broker.publish(topics.receipt(one.nodeId), "receipt");
      assert.equal(await heard, "receipt");
      assert.equal(idle.arrivals.length, 0);
      await close(idle, client);
      await close(working);
    }),
  );
}

/** Publishes the texts NODE-0, NODE-1 ... as batches, so many at a time. */
async function publishMany(client: MqttClient, device: Device, total: number, window: number): Promise<void> {
  let next = 0;
  const work = async () => {
    while (next < total) {
      const text = `${device.nodeId.slice(0, 4)}-${next++}`;
      await client.publishAsync(topics.node(device.nodeId, "batch"), text, { qos: 1 });
    }
  };
  await Promise.all(Array.from({ length: window }, work));
}

function count({ arrivals }: Coordinator, expected: number): Promise<void> {
  return eventually(
    () => arrivals.length >= expected,
    () => `${arrivals.length} of ${expected} arrived`,
  );
}

/** Each of so many different texts has arrived. */
function all(coordinator: Coordinator, expected: number): Promise<void> {
  const different = () => new Set(coordinator.texts()).size;
  return eventually(
    () => different() === expected,
    () => `${different()} of ${expected} arrived`,
    60_000,
  );
}

async function close(coordinator: Coordinator | undefined, ...clients: MqttClient[]): Promise<void> {
  for (const client of clients) client.end(true);
  await coordinator?.broker.close();
}
