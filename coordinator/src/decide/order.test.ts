import assert from "node:assert/strict";
import { test } from "node:test";
import type { BootId, SignedBatch } from "@cairn/protocol";
import fc from "fast-check";
import type { BootState } from "../model.ts";
import { orderRules } from "./order.ts";

const boot = "ab".repeat(16) as BootId;
const fresh: BootState = { knownCount: null, countUsedBy: null, highestCount: 0, storedUpTo: 0 };
const known: BootState = { ...fresh, knownCount: 3 };

test("the first batch of a boot has sequence 1, the next one follows", () => {
  assert.equal(codeOf(fresh, batch(1)), "taken");
  assert.equal(codeOf({ ...known, storedUpTo: 1 }, batch(2)), "taken");
  assert.equal(codeOf(fresh, batch(2)), "sequence-gap");
});

test("what is stored already is a duplicate, even when it states gaps", () => {
  const state = { ...known, storedUpTo: 5 };
  for (const seq of [1, 4, 5]) assert.equal(codeOf(state, batch(seq, [1, 9])), "sequence-duplicate");
});

test("a gap is taken when its ranges cover it together, in any order and overlapping", () => {
  const state = { ...known, storedUpTo: 2 };
  assert.equal(codeOf(state, batch(9, [3, 8])), "taken");
  assert.equal(codeOf(state, batch(9, [6, 8], [3, 5])), "taken");
  assert.equal(codeOf(state, batch(9, [1, 4], [3, 7], [4, 20])), "taken");
  assert.equal(codeOf(state, batch(9, [3, 5], [7, 8])), "sequence-gap");
  assert.equal(codeOf(state, batch(9, [4, 8])), "sequence-gap");
  assert.equal(codeOf(state, batch(9, [3, 7])), "sequence-gap");
});

test("a refused gap names the first batch that nothing accounts for", () => {
  const verdict = orderRules.batch({ ...known, storedUpTo: 2 }, batch(9, [3, 5], [7, 8]), false);
  assert.match(verdict === null || verdict === "early" ? "" : verdict.detail, /\b9\b.*\b6\b/);
});

test("where a batch may wait, a gap is early and nothing else is", () => {
  const state = { ...known, storedUpTo: 2 };
  assert.equal(codeOf(state, batch(4), true), "early");
  assert.equal(codeOf(state, batch(3), true), "taken");
  assert.equal(codeOf(state, batch(4, [3, 3]), true), "taken");
  assert.equal(codeOf(state, batch(2), true), "sequence-duplicate");
  assert.equal(codeOf({ ...state, knownCount: 7 }, batch(9), true), "boot-mismatch");
});

test("for any gaps a batch is taken exactly when every number before it is stored or stated", () => {
  const anyRange = fc
    .tuple(fc.integer({ min: 1, max: 20 }), fc.nat({ max: 8 }))
    .map(([first, more]) => [first, first + more]);
  fc.assert(
    fc.property(
      fc.nat({ max: 12 }),
      fc.integer({ min: 1, max: 20 }),
      fc.array(anyRange, { maxLength: 6 }),
      (storedUpTo, seq, ranges) => {
        const stated = (number: number) => ranges.some(([first = 0, last = 0]) => first <= number && number <= last);
        const between = Array.from({ length: Math.max(0, seq - storedUpTo - 1) }, (_, index) => storedUpTo + 1 + index);
        const expected = seq <= storedUpTo ? "sequence-duplicate" : between.every(stated) ? "taken" : "sequence-gap";
        assert.equal(codeOf({ ...known, storedUpTo }, batch(seq, ...ranges)), expected);
      },
    ),
    { numRuns: 1_000 },
  );
});

test("a known boot comes with its own counter, a new boot with one that no other has", () => {
  for (const judge of [batchCode, evidenceCode]) {
    assert.equal(judge({ ...fresh, knownCount: 3 }, 3), "taken");
    assert.equal(judge({ ...fresh, knownCount: 3 }, 4), "boot-mismatch");
    assert.equal(judge({ ...fresh, knownCount: 3 }, 2), "boot-mismatch");
    assert.equal(judge({ ...fresh, countUsedBy: "cd".repeat(16) as BootId }, 3), "boot-regressed");
  }
});

test("evidence of a boot below the highest is refused, a batch of it is backlog", () => {
  assert.equal(evidenceCode({ ...known, highestCount: 4 }, 3), "boot-regressed");
  assert.equal(evidenceCode({ ...known, highestCount: 3 }, 3), "taken");
  assert.equal(evidenceCode({ ...fresh, highestCount: 3 }, 4), "taken");
  assert.equal(batchCode({ ...known, highestCount: 4 }, 3), "taken");
});

test("judging changes neither the state nor the batch", () => {
  const state = Object.freeze({ ...known, storedUpTo: 1 });
  const dropped = Object.freeze([gap(5, 6), gap(2, 4)]);
  const payload = Object.freeze({ ...batch(7), dropped: dropped as never });
  assert.equal(orderRules.batch(state, payload, false), null);
  assert.deepEqual(
    dropped.map(({ first }) => first),
    [5, 2],
  );
});

function batch(seq: number, ...ranges: number[][]): SignedBatch {
  return { boot, n: 3, seq, series: [], dropped: ranges.map(([first = 0, last = 0]) => gap(first, last)) };
}

function gap(first: number, last: number) {
  return { first, last, readings: 1, reason: "store-full" as const };
}

function codeOf(state: BootState, payload: SignedBatch, mayWait = false): string {
  const verdict = orderRules.batch(state, payload, mayWait);
  return verdict === "early" ? verdict : (verdict?.code ?? "taken");
}

function batchCode(state: BootState, n: number): string {
  return codeOf(state, { ...batch(1), n });
}

function evidenceCode(state: BootState, count: number): string {
  return orderRules.evidence(state, boot, count)?.code ?? "taken";
}
