import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test } from "node:test";
import { limits, type RejectionCode } from "@cairn/protocol";
import fc from "fast-check";
import type { MqttClient } from "mqtt";
import { type BrokerOnPort, onBroker, topics } from "../../testing/broker-on-port.ts";
import { type Device, makeDevice } from "../../testing/devices.ts";
import { until } from "../../testing/until.ts";
import { openEmbeddedBroker } from "./embedded-broker.ts";

const beaconTopic = topics.beacon(`0x${"be".repeat(20)}`);

test("a message of a node on its own topic arrives with its sender, its channel and its exact bytes", () =>
  onBroker(async (house) => {
    const [device, client] = await connected(house);
    const payload = Buffer.from([0, 0xff, 0x0a, 0x2e]);
    const before = Date.now();
    await client.publishAsync(topics.node(device.nodeId, "batch"), payload, { qos: 1 });
    const [{ receivedAt, ...arrival } = assert.fail("nothing arrived")] = house.arrivals;
    const topic = topics.node(device.nodeId, "batch");
    assert.deepEqual(arrival, { sender: device.nodeId, channel: "batch", topic, payload });
    assert.ok(receivedAt >= before && receivedAt <= Date.now());
  }));

test("messages of one sender arrive once each and in the order of sending, with every quality of service", () =>
  onBroker(async (house) => {
    const [device, client] = await connected(house);
    const topic = topics.node(device.nodeId, "evidence");
    for (const qos of [0, 1, 2] as const) await client.publishAsync(topic, `${qos}`, { qos });
    await house.arrived(3);
    assert.deepEqual(
      house.arrivals.map(({ payload }) => payload.toString()),
      ["0", "1", "2"],
    );
  }));

const strangers: Readonly<Record<string, [RejectionCode, (house: BrokerOnPort) => Promise<unknown>]>> = {
  "whose key is not enrolled": ["key-unknown", (house) => house.connect(makeDevice())],
  "with a password that is no token": [
    "credential-malformed",
    (house) => house.connect(admitted(house), { password: "letmein" }),
  ],
  "without a password": ["credential-malformed", (house) => house.connect(admitted(house), { password: "" })],
  "with the token of another node": [
    "credential-malformed",
    (house) => house.connect(admitted(house), { password: makeDevice().connect(Date.now()).password }),
  ],
  "under another client id": [
    "credential-malformed",
    (house) => house.connect(admitted(house), { clientId: "somebody" }),
  ],
};
for (const [who, [code, connect]] of Object.entries(strangers))
  test(`a client ${who} is not let in (${code}), and may be told so`, () =>
    onBroker(async (house) => {
      await assert.rejects(connect(house), (error: Error & { code?: number }) => {
        // MQTT 3.1.1 section 3.2.2.3: 4, bad user name or password.
        assert.equal(error.code, 4);
        return true;
      });
      const [refusal] = house.refusals;
      assert.deepEqual([refusal?.sender, refusal?.rejection.code], [null, code]);
      assert.deepEqual(house.arrivals, []);
    }));

const forbidden: Readonly<Record<string, [RejectionCode, (own: Device, other: Device) => [string, Buffer | string]]>> =
  {
    "on the topic of another node": ["topic-forbidden", (_, other) => [topics.node(other.nodeId, "batch"), "b"]],
    "as the coordinator": ["topic-unknown", () => [topics.coordinatorState, "{}"]],
    "as a verifier": ["topic-unknown", () => [beaconTopic, "{}"]],
    "of a receipt to itself": ["topic-unknown", (own) => [topics.receipt(own.nodeId), "{}"]],
    "in another network": ["topic-unknown", (own) => [`cairn/1/elsewhere/node/${own.nodeId}/batch`, "b"]],
    "a little larger than allowed": [
      "payload-too-large",
      (own) => [topics.node(own.nodeId, "batch"), Buffer.alloc(limits.messageBytes + 1)],
    ],
  };
for (const [what, [code, message]] of Object.entries(forbidden))
  test(`a publication ${what} is refused as ${code} and costs its sender the connection, nobody else`, () =>
    onBroker(async (house) => {
      const [own, client] = await connected(house);
      const [other, neighbour] = await connected(house);
      const [topic, payload] = message(own, other);
      const closed = closing(client);
      client.publish(topic, payload, { qos: 1 });
      await closed;
      assert.deepEqual(house.refusals, [
        { sender: own.nodeId, topic, bytes: Buffer.from(payload).length, rejection: house.refusals[0]?.rejection },
      ]);
      assert.equal(house.refusals[0]?.rejection.code, code);
      await neighbour.publishAsync(topics.node(other.nodeId, "batch"), "still here", { qos: 1 });
      assert.deepEqual(
        house.arrivals.map(({ sender }) => sender),
        [other.nodeId],
      );
    }));

test("a publication of 10 MB is cut off at its announcement while another node keeps working", () =>
  onBroker(async (house) => {
    const [own, client] = await connected(house);
    const [other, neighbour] = await connected(house);
    const closed = closing(client);
    client.publish(topics.node(own.nodeId, "batch"), Buffer.alloc(10_000_000), { qos: 1 });
    await neighbour.publishAsync(topics.node(other.nodeId, "batch"), "meanwhile", { qos: 1 });
    await closed;
    await neighbour.publishAsync(topics.node(other.nodeId, "batch"), "afterwards", { qos: 1 });
    const [refusal, ...more] = house.refusals;
    assert.deepEqual([refusal?.sender, refusal?.rejection.code, more.length], [own.nodeId, "payload-too-large", 0]);
    assert.match(refusal?.rejection.detail ?? "", /100000\d\d bytes/);
    assert.deepEqual(
      house.arrivals.map(({ payload }) => payload.toString()),
      ["meanwhile", "afterwards"],
    );
  }));

test("a stranger who announces 200 MB is cut off at once, before a byte of it is kept", () =>
  onBroker(async (house) => {
    const socket = await house.rawSocket();
    const closed = closing(socket);
    // CONNECT with the largest remaining length but one byte.
    const before = performance.now();
    socket.write(Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]));
    await closed;
    assert.ok(performance.now() - before < 3_000, "it was cut off only when its time to connect ran out");
    assert.partialDeepStrictEqual(house.refusals, [{ sender: null, rejection: { code: "payload-too-large" } }]);
  }));

test("a subscription to what belongs to others is refused and leaves the connection open", () =>
  onBroker(async (house) => {
    const [own, client] = await connected(house);
    const { nodeId } = makeDevice();
    const foreign = [
      "#",
      "+/#",
      topics.receipt(nodeId),
      topics.node(nodeId, "batch"),
      topics.node(own.nodeId, "batch"),
    ];
    for (const filter of foreign)
      await assert.rejects(client.subscribeAsync(filter), /[Uu]nspecified error|128/, filter);
    assert.deepEqual(
      house.refusals.map(({ sender, topic, rejection }) => [sender, topic, rejection.code]),
      foreign.map((topic) => [own.nodeId, topic, "topic-forbidden"]),
    );
    await client.publishAsync(topics.node(own.nodeId, "batch"), "still here", { qos: 1 });
    assert.equal(house.arrivals.length, 1);
  }));

test("what is published for a node reaches that node and no other", () =>
  onBroker(async (house) => {
    const [[one, first], [, second]] = [await connected(house), await connected(house)];
    const [heardByFirst, heardBySecond] = [heard(first), heard(second)];
    await first.subscribeAsync([topics.receipt(one.nodeId), topics.desired(one.nodeId)], { qos: 1 });
    await second.subscribeAsync(topics.anyBeacon, { qos: 1 });
    house.broker.publish(topics.receipt(one.nodeId), "receipt");
    house.broker.publish(beaconTopic, "beacon");
    await until(
      () => heardByFirst.length + heardBySecond.length === 2,
      () => "nothing was heard",
    );
    assert.deepEqual(heardByFirst, [[topics.receipt(one.nodeId), "receipt"]]);
    assert.deepEqual(heardBySecond, [[beaconTopic, "beacon"]]);
  }));

test("a retained beacon and the coordinator's state reach a node that comes later, the newest alone", () =>
  onBroker(async (house) => {
    house.broker.publish(beaconTopic, "older", { retain: true });
    house.broker.publish(beaconTopic, "newer", { retain: true });
    house.broker.publish(topics.coordinatorState, "online", { retain: true });
    const [, client] = await connected(house);
    const messages = heard(client);
    await client.subscribeAsync([topics.anyBeacon, topics.coordinatorState], { qos: 1 });
    await until(
      () => messages.length === 2,
      () => `${messages.length} messages`,
    );
    assert.deepEqual(messages.sort(), [
      [beaconTopic, "newer"],
      [topics.coordinatorState, "online"],
    ]);
  }));

test("the last will of a broken connection arrives in its node's name, that of a clean goodbye does not", () =>
  onBroker(async (house) => {
    const device = admitted(house);
    const will = {
      topic: topics.node(device.nodeId, "death"),
      payload: Buffer.from("farewell"),
      qos: 1 as const,
      retain: false,
    };
    const polite = await house.connect(device, { will });
    await polite.endAsync();
    const broken = await house.connect(device, { will });
    broken.stream.destroy();
    await house.arrived(1);
    assert.equal(house.arrivals.length, 1);
    assert.partialDeepStrictEqual(house.arrivals, [{ sender: device.nodeId, channel: "death", payload: will.payload }]);
  }));

test("a last will on the topic of another node is refused", () =>
  onBroker(async (house) => {
    const { nodeId } = makeDevice();
    const topic = topics.node(nodeId, "death");
    const client = await house.connect(admitted(house), {
      will: { topic, payload: Buffer.from("farewell"), qos: 1, retain: false },
    });
    client.stream.destroy();
    await house.refused(1);
    assert.partialDeepStrictEqual(house.refusals, [{ topic, rejection: { code: "topic-forbidden" } }]);
    assert.deepEqual(house.arrivals, []);
  }));

test("a message is acknowledged only when the coordinator is not busy any more, and only its sender waits", () =>
  onBroker(async (house) => {
    const [one, first] = await connected(house);
    const [two, second] = await connected(house);
    const free = Promise.withResolvers<void>();
    house.busy = free.promise;
    let acknowledged = false;
    const sent = first.publishAsync(topics.node(one.nodeId, "batch"), "1", { qos: 1 }).then(() => {
      acknowledged = true;
    });
    await house.arrived(1);
    house.busy = undefined;
    await second.publishAsync(topics.node(two.nodeId, "batch"), "2", { qos: 1 });
    assert.equal(acknowledged, false);
    free.resolve();
    await sent;
  }));

test("a node can be disconnected, and a node that connects again takes the place of its older connection", () =>
  onBroker(async (house) => {
    const device = admitted(house);
    const older = await house.connect(device);
    const [other, neighbour] = await connected(house);
    const replaced = closing(older);
    const newer = await house.connect(device);
    await replaced;
    const ended = closing(newer);
    house.broker.disconnect(device.nodeId);
    await ended;
    await neighbour.publishAsync(topics.node(other.nodeId, "batch"), "still here", { qos: 1 });
  }));

test("any bytes from strangers leave the broker at work", () =>
  onBroker(async (house) => {
    const [device, client] = await connected(house);
    const anyBytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      // A CONNECT header with any rest.
      fc.uint8Array({ minLength: 4, maxLength: 120 }).map((rest) => Uint8Array.from([0x10, rest.length, ...rest])),
    );
    await fc.assert(
      fc.asyncProperty(anyBytes, async (bytes) => {
        const socket = await house.rawSocket();
        const closed = closing(socket.resume());
        socket.end(bytes);
        await closed;
      }),
      { numRuns: 60 },
    );
    await client.publishAsync(topics.node(device.nodeId, "batch"), "still here", { qos: 1 });
    assert.equal(house.arrivals.length, 1);
  }));

test("a port that is taken is reported", () =>
  onBroker(async (house) => {
    const place = { topics, now: Date.now, host: "127.0.0.1", port: house.port };
    const second = await openEmbeddedBroker(place, {
      authenticate: async () => null,
      arrived: () => undefined,
      refused: () => {},
    });
    await assert.rejects(second.start(), { code: "EADDRINUSE" });
    assert.equal(second.receivingSince(), null);
    await second.close();
  }));

test("what a node sent is drained only when all of it is committed, and it is told so when that takes too long", () =>
  onBroker(async (house) => {
    const [device, client] = await connected(house);
    house.commits = false;
    for (const text of ["1", "2"]) await client.publishAsync(topics.node(device.nodeId, "batch"), text, { qos: 1 });
    assert.equal(await house.broker.drained(20), false);
    const drained = house.broker.drained(5_000);
    house.uncommitted[1]?.();
    assert.equal(await house.broker.drained(20), false);
    house.uncommitted[0]?.();
    assert.equal(await drained, true);
    assert.equal(await house.broker.drained(0), true);
  }));

test("messages are received since the start, and no more after the close", () =>
  onBroker(async (house) => {
    const since = house.broker.receivingSince();
    assert.ok(since !== null && Math.abs(Date.now() - since) < 5_000);
    await house.broker.close();
    assert.equal(house.broker.receivingSince(), null);
  }));

test("closing ends every connection and lets in nobody any more", () =>
  onBroker(async (house) => {
    const [, client] = await connected(house);
    const closed = closing(client);
    await house.broker.close();
    await closed;
    await assert.rejects(house.rawSocket(), { code: "ECONNREFUSED" });
  }));

function admitted(house: BrokerOnPort): Device {
  const device = makeDevice();
  house.admit(device);
  return device;
}

async function connected(house: BrokerOnPort): Promise<[Device, MqttClient]> {
  const device = admitted(house);
  return [device, await house.connect(device)];
}

/** Settles when the connection has ended, however it ended. */
function closing(connection: MqttClient | Socket): Promise<void> {
  return new Promise((resolve) => {
    connection.once("close", () => resolve());
  });
}

/** Topic and text of every message that comes. */
function heard(client: MqttClient): [string, string][] {
  const messages: [string, string][] = [];
  client.on("message", (topic, payload) => messages.push([topic, payload.toString()]));
  return messages;
}
