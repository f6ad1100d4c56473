import assert from "node:assert/strict";
import { test } from "node:test";
import type { BootId, SignedBatch } from "@cairn/protocol";
import fc from "fast-check";
import type { BatchOrder, BootState, SequenceRange } from "../model.ts";
import { orderRules, sharedOrderRules } from "./order.ts";

const boot = "ab".repeat(16) as BootId;
const fresh: BootState = { knownCount: null, countUsedBy: null, highestCount: 0, storedUpTo: 0, ahead: [] };
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

test("a refused gap names the first batch that nothing accounts for, and leaves the watermark where it is", () => {
  const state = { ...known, storedUpTo: 2 };
  const order = orderRules.batch(state, batch(9, [3, 5], [7, 8]));
  assert.match(order.rejection?.detail ?? "", /\b9\b.*\b6\b/);
  assert.partialDeepStrictEqual(order, { storedUpTo: 2, ahead: [], stated: [] });
});

test("where replicas share the work a batch is taken ahead of a gap, once, and the watermark passes it when the gap is filled", () => {
  const ahead = shared({ ...known, storedUpTo: 2 }, 4);
  assert.deepEqual(ahead, { rejection: null, storedUpTo: 2, ahead: [[4, 4]], stated: [] });
  const more = shared({ ...known, ...ahead }, 6);
  assert.deepEqual(more.ahead, [
    [4, 4],
    [6, 6],
  ]);
  const again = shared({ ...known, ...more }, 6);
  assert.deepEqual([again.rejection?.code, again.storedUpTo, again.ahead], ["sequence-duplicate", 2, more.ahead]);
  assert.match(again.rejection?.detail ?? "", /\b6\b.*\b3\b/);
  assert.deepEqual(shared({ ...known, ...more }, 5).ahead, [[4, 6]]);
  assert.partialDeepStrictEqual(shared({ ...known, ...more }, 3), { rejection: null, storedUpTo: 4, ahead: [[6, 6]] });
});

test("what is ahead counts for every rule, also where one coordinator takes everything in", () => {
  const state: BootState = { ...known, storedUpTo: 2, ahead: [[4, 6]] };
  assert.equal(codeOf(state, batch(5)), "sequence-duplicate");
  assert.equal(codeOf(state, batch(8)), "sequence-gap");
  assert.partialDeepStrictEqual(orderRules.batch(state, batch(3)), { rejection: null, storedUpTo: 6, ahead: [] });
  assert.partialDeepStrictEqual(orderRules.batch(state, batch(8, [3, 3], [7, 7])), { rejection: null, storedUpTo: 8 });
});

test("a batch that comes again with what was dropped before it raises the watermark and is a duplicate", () => {
  const state: BootState = { ...known, storedUpTo: 2, ahead: [[5, 6]] };
  const order = shared(state, 5, [1, 2], [3, 4]);
  assert.deepEqual([order.rejection?.code, order.storedUpTo, order.ahead], ["sequence-duplicate", 6, []]);
  assert.deepEqual(order.stated, [gap(3, 4)]);
});

test("a statement counts from the first number on that is neither stored nor stated, or not at all", () => {
  const state: BootState = { ...known, storedUpTo: 6, ahead: [[8, 9]] };
  const statedBy = (seq: number, ...ranges: number[][]) =>
    shared(state, seq, ...ranges).stated.map(({ first, last }) => [first, last]);
  assert.deepEqual(statedBy(20, [3, 12]), [[7, 12]]);
  assert.deepEqual(statedBy(20, [8, 12]), [[10, 12]]);
  assert.deepEqual(statedBy(20, [1, 6], [8, 9]), []);
  assert.deepEqual(statedBy(9, [8, 30]), []);
  assert.deepEqual(statedBy(12, [10, 30]), [[10, 30]]);
});

test("being ahead helps against no other refusal, nor without end", () => {
  const holes: BootState = {
    ...known,
    ahead: Array.from({ length: 64 }, (_, index) => [2 * index + 2, 2 * index + 2]),
  };
  assert.equal(shared(holes, 130).rejection?.code, "sequence-gap");
  assert.equal(shared(holes, 129).rejection, null);
  assert.equal(shared({ ...known, knownCount: 7 }, 9).rejection?.code, "boot-mismatch");
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

test("for any order, repetition and gaps, shared or not, what is accounted for is what the sets say, and is stored once", () => {
  const anyBatch = fc.record({
    seq: fc.integer({ min: 1, max: 12 }),
    dropped: fc.option(fc.tuple(fc.integer({ min: 1, max: 12 }), fc.nat({ max: 4 })), { nil: undefined }),
    isShared: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(anyBatch, { maxLength: 30 }), (batches) => {
      let state: BootState = known;
      const accounted = new Set<number>();
      for (const { seq, dropped, isShared } of batches) {
        const range = dropped && ([dropped[0], dropped[0] + dropped[1]] as const);
        const order = (isShared ? sharedOrderRules : orderRules).batch(
          state,
          batch(seq, ...(range ? [[...range]] : [])),
        );
        assert.equal(order.rejection?.code === "sequence-duplicate", accounted.has(seq));
        const taken = order.rejection === null || (accounted.has(seq) && seq > state.storedUpTo);
        if (taken && range) for (let at = range[0]; at <= Math.min(range[1], seq - 1); at++) accounted.add(at);
        if (taken) accounted.add(seq);
        state = { ...known, storedUpTo: order.storedUpTo, ahead: order.ahead };
        assert.deepEqual(rangesOf(accounted), [
          ...(state.storedUpTo > 0 ? [[1, state.storedUpTo]] : []),
          ...state.ahead,
        ]);
        if (!isShared && order.rejection === null) assert.ok(order.storedUpTo >= seq);
      }
    }),
    { numRuns: 2_000 },
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
  assert.equal(orderRules.batch(state, payload).rejection, null);
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

function codeOf(state: BootState, payload: SignedBatch): string {
  return orderRules.batch(state, payload).rejection?.code ?? "taken";
}

function shared(state: BootState, seq: number, ...ranges: number[][]): BatchOrder {
  return sharedOrderRules.batch(state, batch(seq, ...ranges));
}

function rangesOf(numbers: ReadonlySet<number>): SequenceRange[] {
  const ranges: [number, number][] = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const newest = ranges.at(-1);
    if (newest?.[1] === number - 1) newest[1] = number;
    else ranges.push([number, number]);
  }
  return ranges;
}

function batchCode(state: BootState, n: number): string {
  return codeOf(state, { ...batch(1), n });
}

function evidenceCode(state: BootState, count: number): string {
  return orderRules.evidence(state, boot, count)?.code ?? "taken";
}
