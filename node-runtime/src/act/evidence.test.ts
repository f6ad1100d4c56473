import assert from "node:assert/strict";
import { test } from "node:test";
import type { Address, Beacon } from "@cairn/protocol";
import { silent, virtualSurroundings } from "../../testing/surroundings.ts";
import { createEvidenceSender } from "./evidence.ts";

const verifier = `0x${"11".repeat(20)}` as Address;
const beacon = (slot: number, by: Address = verifier) => ({
  epoch: 1,
  slot,
  nonce: `0x${String(slot).padStart(64, "0")}` as const,
  opensAt: 0,
  closesAt: 60_000,
  verifier: by,
});

function scene() {
  const surroundings = virtualSurroundings();
  const sent: { slot: number; settle: { resolve(): void; reject(cause: Error): void } }[] = [];
  const sender = createEvidenceSender({
    surroundings,
    log: silent,
    when: (_beacon, retained) => (retained ? { answer: true, delayMs: 0 } : { answer: true, delayMs: 100 }),
    send: ({ slot }: Beacon) =>
      new Promise<void>((resolve, reject) => {
        sent.push({ slot, settle: { resolve, reject } });
      }),
  });
  return { surroundings, sent, sender, slots: () => sent.map(({ slot }) => slot) };
}
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("a beacon is answered once, after its delay, however often it comes", () => {
  const { surroundings, sender, slots } = scene();
  sender.beacon(beacon(5), false);
  sender.beacon(beacon(5), false);
  surroundings.advance(99);
  assert.deepEqual(slots(), []);
  surroundings.advance(1);
  sender.beacon(beacon(5), true);
  surroundings.advance(1_000);
  assert.deepEqual(slots(), [5]);
});

test("an unacknowledged slot is answered again when its beacon comes again, an acknowledged one is not", async () => {
  const { surroundings, sent, sender, slots } = scene();
  sender.beacon(beacon(5), false);
  sender.beacon(beacon(6), false);
  surroundings.advance(100);
  sent[0]?.settle.resolve();
  sent[1]?.settle.reject(new Error("the connection was lost"));
  await settled();
  assert.equal(sender.acknowledged(), 1);
  sender.beacon(beacon(5), true);
  sender.beacon(beacon(6), true);
  surroundings.advance(0);
  assert.deepEqual(slots(), [5, 6, 6]);
});

test("an acknowledged slot that still runs is answered again once after the connection was lost, one that is over is not", async () => {
  const { surroundings, sent, sender, slots } = scene();
  const running = { ...beacon(5), closesAt: surroundings.now() + 60_000 };
  const over = { ...beacon(6), closesAt: surroundings.now() + 50 };
  sender.beacon(running, false);
  sender.beacon(over, false);
  surroundings.advance(100);
  for (const { settle } of sent) settle.resolve();
  await settled();
  sender.disconnected();
  for (const each of [running, running, over]) sender.beacon(each, true);
  surroundings.advance(0);
  assert.deepEqual(slots(), [5, 6, 5]);
});

test("an answer that is still to come is not sent twice because the connection was lost meanwhile", () => {
  const { surroundings, sender, slots } = scene();
  const running = { ...beacon(5), closesAt: surroundings.now() + 60_000 };
  sender.beacon(running, false);
  sender.disconnected();
  sender.beacon(running, true);
  surroundings.advance(1_000);
  assert.deepEqual(slots(), [5]);
});

test("every verifier of a slot gets its own answer", () => {
  const { surroundings, sender, slots } = scene();
  sender.beacon(beacon(5), false);
  sender.beacon(beacon(5, `0x${"22".repeat(20)}` as Address), false);
  surroundings.advance(100);
  assert.deepEqual(slots(), [5, 5]);
});

test("after close nothing is sent, and thousands of beacons are not remembered for ever", () => {
  const { surroundings, sender, slots } = scene();
  for (let slot = 0; slot < 2_000; slot++) sender.beacon(beacon(slot), true);
  surroundings.advance(0);
  assert.equal(slots().length, 2_000);
  sender.beacon(beacon(1_999), true);
  sender.beacon(beacon(0), false);
  sender.close();
  surroundings.advance(1_000);
  assert.equal(slots().length, 2_000);
});
