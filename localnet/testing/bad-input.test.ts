/** Bad input against the real coordinator: each kind has its code, is counted and shown, and costs its sender alone. */
import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Batch,
  type BootId,
  checker,
  encodeBatch,
  encodeCredential,
  encodeEvidence,
  evidenceProfile,
  type Hex,
  type NodeId,
  nodeIdOf,
  nonceToClaim,
  parseBeacon,
  parseReceipt,
  type RejectionCode,
  RejectionsView,
  rejections,
  type Signer,
  type StorageReceipt,
  signerOf,
  topicsOf,
  ueidOf,
} from "@cairn/protocol";
import mqtt, { type MqttClient } from "mqtt";
import { eventually, type Laboratory, laboratoryMissing, openLaboratory } from "../src/laboratory.ts";

const skip = laboratoryMissing() ?? false;
const topics = topicsOf("local");
const checkRejections = checker("rejections", RejectionsView);
const slotSeconds = 2;

type Sender = { name: string; nodeId: NodeId; publicKey: string; signer: Signer; ueid: string };

function createSender(name: string): Sender {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    name,
    nodeId: nodeIdOf(publicKey),
    publicKey: publicKey.export({ format: "pem", type: "spki" }).toString(),
    signer: signerOf(createPrivateKey(privateKey.export({ format: "pem", type: "pkcs8" }))),
    ueid: ueidOf(publicKey).toString("base64url"),
  };
}

const senders = {
  honest: createSender("honest"),
  forger: createSender("forger"),
  replayer: createSender("replayer"),
  disorderly: createSender("disorderly"),
  giant: createSender("giant"),
  truncating: createSender("truncating"),
  misshapen: createSender("misshapen"),
  trespasser: createSender("trespasser"),
  late: createSender("late"),
  flooder: createSender("flooder"),
};
const stranger = createSender("stranger");
let laboratory: Laboratory;

before(async () => {
  if (skip) return;
  const simulated = Object.values(senders).map(({ name, publicKey }) => ({ name, publicKey }));
  laboratory = await openLaboratory({ simulated, slotSeconds });
  laboratory.coordinator.start();
  await laboratory.coordinatorReady();
});
after(async () => {
  await laboratory?.close();
});

async function connect(sender: Sender, signer = sender.signer): Promise<MqttClient> {
  return mqtt.connectAsync(`mqtt://127.0.0.1:${laboratory.mqttPort}`, {
    clientId: sender.nodeId,
    username: sender.nodeId,
    password: encodeCredential("local", sender.nodeId, Date.now(), signer),
    protocolVersion: 4,
    reconnectPeriod: 0,
  });
}

const boot = randomBytes(16).toString("hex") as BootId;

function batchOf(sender: Sender, sequence: number, more: Partial<Batch> = {}, signer = sender.signer): Buffer {
  const reading = { series: "test.counter", unit: "count", at: Date.now(), value: sequence, quality: "good" } as const;
  const batch = { boot, bootCount: 1, sequence, dropped: [], readings: [reading], ...more };
  return encodeBatch(batch, sender.nodeId, signer);
}

/** Refusals of a sender by code, as the interface shows them; waits until the code is among them. */
async function shown(nodeId: NodeId | null, code: RejectionCode): Promise<RejectionsView["latest"][number]> {
  return eventually(`a refusal ${code}`, 15_000, async () => {
    const answer = await fetch(`${laboratory.base}/api/v1/rejections`);
    const view = checkRejections(await answer.json());
    assert.ok(view.ok);
    const entry = view.value.latest.find((refused) => refused.nodeId === nodeId && refused.code === code);
    if (!entry) return undefined;
    assert.ok((view.value.byCode[code] ?? 0) >= 1, "it is counted");
    assert.equal(entry.sentence, rejections[code].sentence);
    assert.equal(entry.remedy, rejections[code].remedy);
    return entry;
  });
}

/** An honest batch still gets its receipt: whatever happened cost its sender alone. */
async function honestIsServed(): Promise<void> {
  honestSequence += 1;
  const client = await connect(senders.honest);
  const stored = new Promise<number>((resolve) => {
    client.on("message", (_topic, payload) => {
      const { nodeId } = senders.honest;
      const receipt = parseReceipt(payload, { ...laboratory.network(), nodeId });
      if (receipt.ok && receipt.value.kind === "stored") resolve(receipt.value.receipt.upTo);
    });
  });
  await client.subscribeAsync(topics.receipt(senders.honest.nodeId), { qos: 1 });
  await client.publishAsync(topics.node(senders.honest.nodeId, "batch"), batchOf(senders.honest, honestSequence), {
    qos: 1,
  });
  assert.equal(await stored, honestSequence);
  await client.endAsync();
}
let honestSequence = 0;

/** Resolves when the coordinator has cut the connection. */
function cut(client: MqttClient): Promise<void> {
  client.on("error", () => {});
  return new Promise((resolve) => client.on("close", () => resolve()));
}

test("an unknown key is not let in", { skip }, async () => {
  await assert.rejects(connect(stranger), /Not authorized|Bad username/i);
  const entry = await shown(null, "key-unknown");
  assert.match(entry.detail, new RegExp(stranger.nodeId));
  await honestIsServed();
});

test("a token that another key signed is not let in", { skip }, async () => {
  await assert.rejects(connect(senders.forger, stranger.signer), /Not authorized|Bad username/i);
  await shown(null, "signature-invalid");
});

test("a batch with a wrong signature is refused and not stored", { skip }, async () => {
  const { forger } = senders;
  const client = await connect(forger);
  const before = (await laboratory.client.health()).readingsStored;
  await client.publishAsync(topics.node(forger.nodeId, "batch"), batchOf(forger, 1, {}, stranger.signer), { qos: 1 });
  await shown(forger.nodeId, "signature-invalid");
  assert.equal((await laboratory.client.health()).readingsStored, before);
  await client.publishAsync(topics.node(forger.nodeId, "batch"), batchOf(senders.honest, 1), { qos: 1 });
  await shown(forger.nodeId, "key-mismatch");
  await client.endAsync();
  await honestIsServed();
});

test("a replayed batch is refused as duplicate and stored once", { skip }, async () => {
  const { replayer } = senders;
  const client = await connect(replayer);
  const batch = batchOf(replayer, 1);
  const before = (await laboratory.client.health()).readingsStored;
  for (let time = 0; time < 3; time++)
    await client.publishAsync(topics.node(replayer.nodeId, "batch"), batch, { qos: 1 });
  const entry = await shown(replayer.nodeId, "sequence-duplicate");
  await eventually("both replays are counted", 5_000, async () =>
    (await shown(replayer.nodeId, "sequence-duplicate")).count === 2 ? true : undefined,
  );
  assert.match(entry.detail, /sequence 1/);
  assert.equal((await laboratory.client.health()).readingsStored, before + 1);
  await client.endAsync();
});

test("a reordered sequence is refused as gap until the missing batch has come", { skip }, async () => {
  const { disorderly } = senders;
  const client = await connect(disorderly);
  const topic = topics.node(disorderly.nodeId, "batch");
  const before = (await laboratory.client.health()).readingsStored;
  for (const sequence of [1, 3, 2, 3]) await client.publishAsync(topic, batchOf(disorderly, sequence), { qos: 1 });
  await shown(disorderly.nodeId, "sequence-gap");
  await eventually("1, 2 and 3 are stored", 5_000, async () =>
    (await laboratory.client.health()).readingsStored === before + 3 ? true : undefined,
  );
  const otherBoot = randomBytes(16).toString("hex") as BootId;
  await client.publishAsync(topic, batchOf(disorderly, 1, { boot: otherBoot }), { qos: 1 });
  await shown(disorderly.nodeId, "boot-regressed");
  await client.publishAsync(topic, batchOf(disorderly, 4, { bootCount: 7 }), { qos: 1 });
  await shown(disorderly.nodeId, "boot-mismatch");
  await client.endAsync();
});

test("a payload of 10 MB ends its sender's connection and nobody else's", { skip }, async () => {
  const { giant } = senders;
  const bystander = await connect(senders.honest);
  let bystanderCut = false;
  bystander.on("close", () => {
    bystanderCut = true;
  });
  const client = await connect(giant);
  const closed = cut(client);
  client.publish(topics.node(giant.nodeId, "batch"), Buffer.alloc(10_000_000, 65), { qos: 1 });
  await closed;
  const entry = await shown(giant.nodeId, "payload-too-large");
  assert.match(entry.detail, /10000\d{3} bytes/);
  assert.equal(bystanderCut, false);
  await bystander.endAsync();
  await honestIsServed();
});

test("truncated JSON is refused, signed or not", { skip }, async () => {
  const { truncating } = senders;
  const client = await connect(truncating);
  const topic = topics.node(truncating.nodeId, "batch");
  const whole = batchOf(truncating, 1);
  await client.publishAsync(topic, whole.subarray(0, whole.length - 20), { qos: 1 });
  await shown(truncating.nodeId, "signature-invalid");
  await client.publishAsync(topic, whole.subarray(0, 40), { qos: 1 });
  await shown(truncating.nodeId, "envelope-malformed");
  await client.publishAsync(topics.node(truncating.nodeId, "birth"), '{"boot":"', { qos: 1 });
  await shown(truncating.nodeId, "payload-malformed");
  await client.publishAsync(topics.node(truncating.nodeId, "birth"), '{"boot":1}', { qos: 1 });
  await shown(truncating.nodeId, "schema-mismatch");
  await client.endAsync();
  await honestIsServed();
});

test("a correctly signed batch of the wrong shape is answered by a receipt that names it and why", {
  skip,
}, async () => {
  const { misshapen } = senders;
  const { nodeId } = misshapen;
  const client = await connect(misshapen);
  const receipts: StorageReceipt[] = [];
  client.on("message", (_topic, payload) => {
    const receipt = parseReceipt(payload, { ...laboratory.network(), nodeId });
    if (receipt.ok && receipt.value.kind === "stored") receipts.push(receipt.value.receipt);
  });
  await client.subscribeAsync(topics.receipt(nodeId), { qos: 1 });
  const send = async (payload: Buffer): Promise<StorageReceipt | undefined> => {
    const before = receipts.length;
    await client.publishAsync(topics.node(nodeId, "batch"), payload, { qos: 1 });
    return eventually("a receipt", 5_000, async () => receipts[before]);
  };
  const refused = (upTo: number, sequence: number, code: RejectionCode) => ({
    ...{ nodeId, boot, upTo },
    refused: { sequence, code },
  });
  const noNumber = { series: "test.counter", unit: "count", at: 0, value: Number.NaN, quality: "good" } as const;
  const bad = batchOf(misshapen, 1, { readings: [noNumber] });
  assert.deepEqual(await send(bad), refused(0, 1, "schema-mismatch"));
  await shown(nodeId, "schema-mismatch");
  const dropped = [{ first: 1, last: 1, readings: 1, reason: "refused" }] as const;
  assert.deepEqual(await send(batchOf(misshapen, 2, { dropped })), { nodeId, boot, upTo: 2 });
  assert.deepEqual(await send(batchOf(misshapen, 3, { readings: [noNumber] })), refused(2, 3, "schema-mismatch"));
  await client.endAsync();
  await honestIsServed();
});

test("a topic of another node, or of nobody, ends the connection", { skip }, async () => {
  const { trespasser, honest } = senders;
  const first = await connect(trespasser);
  const firstCut = cut(first);
  first.publish(topics.node(honest.nodeId, "batch"), batchOf(trespasser, 1), { qos: 1 });
  await firstCut;
  await shown(trespasser.nodeId, "topic-forbidden");
  const second = await connect(trespasser);
  const secondCut = cut(second);
  second.publish("somebody/else", "hello", { qos: 1 });
  await secondCut;
  await shown(trespasser.nodeId, "topic-unknown");
  await honestIsServed();
});

test("a beacon answered after its window earns nothing and says so", { skip }, async () => {
  const { late } = senders;
  const { domain, verifiers } = laboratory.network();
  const client = await connect(late);
  const beacon = await new Promise<{ nonce: Hex; slot: number; closesAt: number }>((resolve) => {
    client.on("message", (_topic, payload) => {
      const parsed = parseBeacon(payload, domain, verifiers);
      if (parsed.ok) resolve(parsed.value);
    });
    client.subscribe(topics.anyBeacon, { qos: 1 });
  });
  const evidence = (nonce: Hex) =>
    encodeEvidence(
      {
        eat_profile: evidenceProfile,
        eat_nonce: nonceToClaim(nonce),
        ueid: late.ueid,
        iat: Math.floor(Date.now() / 1000),
        uptime: 1,
        bootcount: 1,
        bootseed: Buffer.from(boot, "hex").toString("base64url"),
        swname: "test",
        swversion: ["1"],
        cairn: { slot: beacon.slot, storedUpTo: 0 },
      },
      late.nodeId,
      late.signer,
    );
  await sleep(Math.max(0, beacon.closesAt - Date.now()) + 200);
  await client.publishAsync(topics.node(late.nodeId, "evidence"), evidence(beacon.nonce), { qos: 1 });
  await shown(late.nodeId, "evidence-late");
  await client.publishAsync(topics.node(late.nodeId, "evidence"), evidence(`0x${"12".repeat(32)}`), { qos: 1 });
  await shown(late.nodeId, "nonce-unknown");
  await client.endAsync();
});

test("who floods with refused messages is shut out for a while, and others are served meanwhile", {
  skip,
}, async () => {
  const { flooder } = senders;
  const client = await connect(flooder);
  const closed = cut(client);
  for (let message = 0; message < 40; message++)
    client.publish(topics.node(flooder.nodeId, "batch"), randomBytes(200), { qos: 1 });
  await closed;
  await shown(flooder.nodeId, "rate-exceeded");
  await assert.rejects(connect(flooder), /Not authorized|Bad username/i);
  await honestIsServed();
});
