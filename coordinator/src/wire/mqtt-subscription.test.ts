import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { generate, type IConnackPacket, type Packet, parser } from "mqtt-packet";
import { eventually } from "../../testing/broker/eventually.ts";
import { keptLog } from "../../testing/broker/opened-broker.ts";
import { openSubscription, type Subscription, type SubscriptionListener } from "./mqtt-subscription.ts";

type Answers = { connack: Partial<IConnackPacket>; granted: number; unsuback?: boolean };

/** A scripted MQTT 5 broker: answers as it is told and keeps what it hears. */
let server: Server;
let sockets: Socket[];
let heard: Packet[];
let answers: Answers;
let subscription: Subscription | undefined;
let url = "";
const v5 = { protocolVersion: 5 };

beforeEach(async () => {
  sockets = [];
  heard = [];
  answers = { connack: { reasonCode: 0 }, granted: 1 };
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    const packets = parser(v5);
    packets.on("packet", (packet) => {
      heard.push(packet);
      if (packet.cmd === "connect")
        socket.write(generate({ cmd: "connack", sessionPresent: false, ...answers.connack } as Packet, v5));
      if (packet.cmd === "subscribe") {
        const granted = packet.subscriptions.map(() => answers.granted);
        socket.write(generate({ cmd: "suback", messageId: packet.messageId ?? 0, granted } as Packet, v5));
      }
      if (packet.cmd === "unsubscribe" && answers.unsuback)
        socket.write(generate({ cmd: "unsuback", messageId: packet.messageId ?? 0, granted: [0, 0] } as Packet, v5));
    });
    socket.on("data", (chunk) => packets.parse(chunk));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  url = `mqtt://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
});
afterEach(async () => {
  await subscription?.close();
  subscription = undefined;
  for (const socket of sockets) socket.destroy();
  server.close();
});

type Taken = { topic: string; text: string; acknowledge(): void };

function open(more: Partial<SubscriptionListener> = {}, log = keptLog()) {
  const taken: Taken[] = [];
  const states: string[] = [];
  subscription = openSubscription(
    {
      urls: [url],
      clientId: "replica",
      filters: ["$share/g/a/+", "$share/g/b/+"],
      credentials: () => ({ username: "u", password: "p" }),
      random: () => 0.99,
      log,
    },
    {
      message(topic, payload, acknowledge) {
        taken.push({ topic, text: payload.toString(), acknowledge });
        return undefined;
      },
      up: () => states.push("up"),
      down: () => states.push("down"),
      ...more,
    },
  );
  return { taken, states, log, start: () => subscription?.start() };
}

function send(socket: Socket | undefined, messageId: number, text: string, qos: 0 | 1 = 1): void {
  const packet = { cmd: "publish", topic: "a/x", payload: text, qos, dup: false, retain: false, messageId } as const;
  socket?.write(generate(packet, v5));
}

const acknowledgements = () => heard.flatMap((packet) => (packet.cmd === "puback" ? [packet.messageId] : []));

test("the session outlives the connection, and thousands of messages may be unacknowledged", async () => {
  const { start, states } = open();
  await start();
  const connect = heard.find(({ cmd }) => cmd === "connect");
  assert.partialDeepStrictEqual(connect, {
    clientId: "replica",
    clean: false,
    username: "u",
    properties: { sessionExpiryInterval: 60, receiveMaximum: 2_048 },
  });
  assert.partialDeepStrictEqual(heard[1], { subscriptions: [{ topic: "$share/g/a/+", qos: 1 }] });
  assert.deepEqual(states, ["up"]);
});

test("nothing is acknowledged by itself; what is acknowledged, in whatever order, is so once", async () => {
  const { start, taken } = open();
  await start();
  for (const id of [1, 2, 300]) send(sockets[0], id, `${id}`);
  send(sockets[0], 0, "without", 0);
  await eventually(
    () => taken.length === 4,
    () => `${taken.length} messages`,
  );
  await sleep(50);
  assert.deepEqual(acknowledgements(), []);
  for (const index of [2, 0, 0, 3]) taken[index]?.acknowledge();
  await eventually(
    () => acknowledgements().length >= 2,
    () => `${acknowledgements()}`,
  );
  await sleep(50);
  assert.deepEqual(acknowledgements(), [300, 1]);
});

test("while the coordinator is busy the socket is not read, and what waits there comes afterwards", async () => {
  const gate = Promise.withResolvers<void>();
  let count = 0;
  const { start } = open({
    message() {
      count++;
      return count === 1 ? gate.promise : undefined;
    },
  });
  await start();
  send(sockets[0], 1, "1");
  await eventually(
    () => count === 1,
    () => "nothing came",
  );
  const text = "x".repeat(100_000);
  for (let id = 2; id <= 200; id++) send(sockets[0], id, text);
  await sleep(200);
  assert.ok(count < 100, `${count} messages were taken while it was busy`);
  gate.resolve();
  await eventually(
    () => count === 200,
    () => `${count} of 200 messages`,
  );
});

test("an acknowledgement that comes after its connection has ended is not sent on the next one", async () => {
  const { start, taken, states } = open();
  await start();
  send(sockets[0], 7, "7");
  await eventually(
    () => taken.length === 1,
    () => "nothing came",
  );
  sockets[0]?.destroy();
  await eventually(
    () => states.length === 3,
    () => states.join(),
  );
  assert.deepEqual(states, ["up", "down", "up"]);
  taken[0]?.acknowledge();
  await sleep(50);
  assert.deepEqual(acknowledgements(), []);
});

const refusals: Readonly<Record<string, [Partial<Answers>, string]>> = {
  "credentials that it does not take": [{ connack: { reasonCode: 0x86 } }, "broker-refused"],
  "rights that are missing": [{ connack: { reasonCode: 0x87 } }, "broker-refused"],
  "a broker without shared subscriptions": [
    { connack: { reasonCode: 0, properties: { sharedSubscriptionAvailable: false } } },
    "broker-refused",
  ],
  "a subscription that it denies": [{ granted: 0x87 }, "broker-refused"],
  "a broker that is busy": [{ connack: { reasonCode: 0x89 } }, "broker-unreachable"],
};
for (const [what, [more, code]] of Object.entries(refusals))
  test(`at the start, ${what} ends in ${code}`, async () => {
    answers = { ...answers, ...more };
    const { start } = open();
    await assert.rejects(async () => start(), { code });
  });

test("credentials that were good and are refused later are told as expired, and tried again", async () => {
  const { start, log, states } = open();
  await start();
  answers = { ...answers, connack: { reasonCode: 0x87 } };
  sockets[0]?.destroy();
  await eventually(
    () => log.codes().includes("broker-credentials-expired"),
    () => log.lines.join("\n"),
  );
  answers = { ...answers, connack: { reasonCode: 0 } };
  await eventually(
    () => states.length === 3,
    () => states.join(),
  );
});

test("a second replica of the same name is told from other ends of a connection", async () => {
  const { start, log } = open();
  await start();
  sockets[0]?.write(generate({ cmd: "disconnect", reasonCode: 0x8e } as Packet, v5));
  await eventually(
    () => log.lines.some((line) => line.includes("another replica")),
    () => log.lines.join("\n"),
  );
});

test("bytes that are no MQTT end the connection and nothing else", async () => {
  const { start, states } = open();
  await start();
  sockets[0]?.write(Buffer.alloc(64, 0xff));
  await eventually(
    () => states.length === 3,
    () => states.join(),
  );
});

test("who leaves takes its filters back, can still acknowledge, and knows whether the broker has heard of it", async () => {
  const { start, taken } = open();
  assert.equal(await subscription?.leave(), false);
  await start();
  send(sockets[0], 1, "1");
  await eventually(
    () => taken.length === 1,
    () => "nothing came",
  );
  assert.equal(await subscription?.leave(), false);
  answers.unsuback = true;
  assert.equal(await subscription?.leave(), true);
  assert.partialDeepStrictEqual(heard.at(-1), {
    cmd: "unsubscribe",
    unsubscriptions: ["$share/g/a/+", "$share/g/b/+"],
  });
  taken[0]?.acknowledge();
  await eventually(
    () => acknowledgements().length === 1,
    () => "nothing was acknowledged",
  );
});

test("a goodbye leaves the session for whoever comes back under the name", async () => {
  const { start, taken } = open();
  await start();
  send(sockets[0], 1, "1");
  await eventually(
    () => taken.length === 1,
    () => "nothing came",
  );
  taken[0]?.acknowledge();
  await subscription?.close();
  await eventually(
    () => heard.at(-1)?.cmd === "disconnect",
    () => `${heard.map(({ cmd }) => cmd)}`,
  );
  assert.deepEqual(acknowledgements(), [1]);
  assert.equal(
    (heard.at(-1) as { properties?: { sessionExpiryInterval?: number } }).properties?.sessionExpiryInterval,
    undefined,
  );
});
