import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { afterEach, beforeEach, test } from "node:test";
import { encodeCredential, type NodeId, nodeIdOf, signerOf, topicsOf } from "@cairn/protocol";
import { startTestNetwork, type TestNetwork, until } from "../../testing/network.ts";
import { silent } from "../../testing/surroundings.ts";
import { type Link, openLink } from "./mqtt.ts";

const topics = topicsOf("test");
const surroundings = {
  steadyNow: () => performance.now(),
  later(ms: number, task: () => void) {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  },
};

let network: TestNetwork;
let nodeId: NodeId;
let sign: ReturnType<typeof signerOf>;
let link: Link | undefined;
let signed = 0;
let attempts: number[];
let events: string[];

beforeEach(async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  nodeId = nodeIdOf(publicKey);
  sign = signerOf(privateKey);
  signed = 0;
  attempts = [];
  events = [];
  network = await startTestNetwork({ publicKey: publicKey.export({ format: "pem", type: "spki" }).toString(), nodeId });
});
afterEach(async () => {
  await link?.close();
  await network.stopBroker();
});

function open(more: Partial<Parameters<typeof openLink>[0]> = {}): Link {
  link = openLink(
    {
      urls: [network.url],
      clientId: nodeId,
      // Seconds count in a token: one more for every attempt makes each its own.
      signIn: () => ({
        username: nodeId,
        password: encodeCredential("test", nodeId, Date.now() + 1_000 * signed++, sign),
      }),
      will: { topic: topics.node(nodeId, "death"), payload: "gone" },
      filters: [topics.receipt(nodeId), topics.anyBeacon],
      greeting: { topic: topics.node(nodeId, "birth"), payload: "here" },
      backoff(attempt) {
        attempts.push(attempt);
        return 20;
      },
      surroundings,
      log: silent,
      ...more,
    },
    {
      up: () => events.push("up"),
      down: () => events.push("down"),
      message: (topic, _payload, retained) => events.push(`${topic.split("/")[3]} ${retained}`),
    },
  );
  return link;
}

test("every connect signs a new password, subscribes, greets, and brings retained messages back", async () => {
  network.beacon();
  open();
  await until("the first connect", () => events.includes("up") && events.includes("beacon true"));
  network.cut();
  await until("the second connect", () => events.filter((event) => event === "up").length === 2);
  await until("the beacon again", () => events.filter((event) => event === "beacon true").length === 2);
  assert.equal(network.heard.births.length, 2);
  assert.equal(new Set(network.heard.passwords).size, 2);
  network.beacon();
  await until("a live beacon", () => events.includes("beacon false"));
  assert.deepEqual(network.heard.faults, []);
});

test("a broken connection publishes the will, a close says goodbye itself", async () => {
  const opened = open();
  await until("the connect", () => events.includes("up"));
  network.cut();
  await until("the will", () => network.heard.deaths.length === 1);
  await until("the second connect", () => events.filter((event) => event === "up").length === 2);
  await opened.close();
  assert.deepEqual(network.heard.deaths, ["gone", "gone"]);
  await assert.rejects(opened.publish("x", "y"), /not connected/);
});

test("a broker that is away or refuses is tried again with a rising attempt, and found when it is back", async () => {
  network.mood.admits = false;
  open();
  await until("three refusals", () => attempts.length >= 3);
  await network.stopBroker();
  const refused = attempts.length;
  await until("three failures", () => attempts.length >= refused + 3);
  assert.deepEqual(
    attempts,
    attempts.map((_, index) => index),
  );
  assert.deepEqual(events, []);
  network.mood.admits = true;
  await network.startBroker();
  await until("the connect", () => events.includes("up"));
});

test("a publish is rejected when the connection is lost before its acknowledgement", async () => {
  const opened = open();
  await until("the connect", () => events.includes("up"));
  const published = opened.publish(topics.node(nodeId, "evidence"), Buffer.alloc(2_000));
  network.cut();
  await assert.rejects(published);
  await until("the next connect", () => events.filter((event) => event === "up").length === 2);
  await opened.publish(topics.node(nodeId, "evidence"), "now");
});

test("a denied subscription counts as no connection", async () => {
  const denied = topics.receipt("0".repeat(40) as NodeId);
  link = openLink(
    {
      urls: [network.url],
      clientId: nodeId,
      signIn: () => ({ username: nodeId, password: encodeCredential("test", nodeId, Date.now(), sign) }),
      will: { topic: topics.node(nodeId, "death"), payload: "gone" },
      filters: [denied],
      greeting: { topic: topics.node(nodeId, "birth"), payload: "here" },
      backoff(attempt) {
        attempts.push(attempt);
        return 20;
      },
      surroundings,
      log: silent,
    },
    { up: () => events.push("up"), down: () => events.push("down"), message: () => {} },
  );
  await until("two attempts", () => attempts.length >= 2);
  assert.deepEqual(events, []);
});

test("of several brokers the next is tried after a failed attempt, and the one that took the node is tried first again", async () => {
  const tried: string[] = [];
  const log = { ...silent, warn: (fields: { broker?: string }) => void tried.push(fields.broker ?? "") };
  const nowhere = "mqtt://127.0.0.1:1";
  open({ urls: [nowhere, network.url], log });
  await until("the connect", () => events.includes("up"));
  assert.deepEqual(tried, [nowhere]);
  network.cut();
  await until("the second connect", () => events.filter((event) => event === "up").length === 2);
  assert.deepEqual(tried, [nowhere, network.url]);
});

test("credentials that cannot be read make the attempt fail, and are read again at the next", async () => {
  let reads = 0;
  open({
    signIn() {
      reads++;
      if (reads < 3) throw new Error("the file is just being replaced");
      return { username: nodeId, password: encodeCredential("test", nodeId, Date.now(), sign) };
    },
  });
  await until("the connect", () => events.includes("up"));
  assert.deepEqual([reads, attempts], [3, [0, 1]]);
});

test("what the coordinator says comes at quality 0, so that a broker need not keep a queue per subscription", async () => {
  open();
  await until("the connect", () => events.includes("up"));
  assert.ok(network.heard.granted.length > 0);
  assert.deepEqual(new Set(network.heard.granted), new Set([0]));
});
