import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesFor, chanceFor, xoshiro128 } from "./random.ts";

test("the generator gives the numbers of the reference implementation", () => {
  // The first ten of xoshiro128** 1.1 for the state 1, 2, 3, 4.
  const expected = [
    11_520, 0, 5_927_040, 70_819_200, 2_031_721_883, 1_637_235_492, 1_287_239_034, 3_734_860_849, 3_729_100_597,
    4_258_142_804,
  ];
  const next = xoshiro128([1, 2, 3, 4]);
  assert.deepEqual(
    expected.map(() => next()),
    expected,
  );
});

test("chance is even over [0, 1)", () => {
  const chance = chanceFor("even", "test");
  const counts = new Array<number>(20).fill(0);
  for (let draw = 0; draw < 100_000; draw++) {
    const place = Math.floor(chance() * 20);
    counts[place] = (counts[place] ?? 0) + 1;
  }
  assert.equal(counts.length, 20);
  for (const count of counts) assert.ok(Math.abs(count - 5_000) < 350, `${count} of 5000`);
});

test("a seed that spells out a purpose is not that purpose", () => {
  assert.notDeepEqual(bytesFor("a", "b"), bytesFor("ab"));
  assert.notDeepEqual(bytesFor("a", 1, 2), bytesFor("a", 12));
  assert.deepEqual(bytesFor("a", "b", 3), bytesFor("a", "b", 3));
});
