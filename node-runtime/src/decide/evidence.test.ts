import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { whenToAnswer } from "./evidence.ts";

const beacon = { epoch: 1, slot: 5, nonce: "0x00", opensAt: 1_000_000, closesAt: 1_060_000 } as const;

test("a live beacon is answered within the first fifth of a slot, whatever this node's clock says", () => {
  fc.assert(
    fc.property(fc.integer(), fc.double({ min: 0, max: 0.999, noNaN: true }), (nowMs, chance) => {
      const answer = whenToAnswer(beacon, false, nowMs, chance);
      assert.ok(answer.answer && answer.delayMs >= 0 && answer.delayMs <= 12_000);
    }),
  );
});

test("a retained beacon is answered while its slot runs, within what is left of it", () => {
  assert.deepEqual(whenToAnswer(beacon, true, 1_050_000, 0.999), { answer: true, delayMs: 1_998 });
  assert.deepEqual(whenToAnswer(beacon, true, 1_060_000, 0), { answer: false, reason: "its slot is over" });
});

test("a beacon of a slot without length is not answered, and no delay exceeds a minute", () => {
  assert.equal(whenToAnswer({ ...beacon, closesAt: beacon.opensAt }, false, 0, 0).answer, false);
  const year = whenToAnswer({ ...beacon, closesAt: beacon.opensAt + 31_536_000_000 }, false, 0, 0.5);
  assert.deepEqual(year, { answer: true, delayMs: 30_000 });
});
