import assert from "node:assert/strict";
import { test } from "node:test";
import { type Columns, drawingOf, liveColumns, mergeColumns, trimmedColumns } from "./columns.ts";

function stored(times: number[], qualities = times.map(() => 0)): Columns {
  return { unit: "Cel", times, values: times.map((time) => time / 1_000), qualities, storedTo: times.at(-1) ?? 0 };
}

function arrived(...times: number[]): Columns {
  return liveColumns(
    times.map((at) => ({ series: "environment.temperature", unit: "Cel", at, value: at / 1_000, quality: "good" })),
  );
}

test("what came live and what was fetched later are merged without a reading twice", () => {
  const merged = mergeColumns(
    mergeColumns(stored([1_000, 2_000]), arrived(5_000)),
    stored([2_000, 3_000, 4_000, 5_000]),
  );
  assert.deepEqual(merged.times, [1_000, 2_000, 3_000, 4_000, 5_000]);
  assert.deepEqual(merged.values, [1, 2, 3, 4, 5]);
  assert.equal(merged.storedTo, 5_000);
});

test("readings of one event are ordered by their time of measurement", () => {
  assert.deepEqual(arrived(3_000, 1_000, 2_000).times, [1_000, 2_000, 3_000]);
});

test("what is older than the range goes, except the last one before it", () => {
  assert.deepEqual(trimmedColumns(stored([1, 2, 3, 4]), 3).times, [2, 3, 4]);
  assert.deepEqual(trimmedColumns(stored([1, 2, 3, 4]), 9).times, [4]);
  assert.deepEqual(trimmedColumns(stored([1, 2]), 0).times, [1, 2]);
});

test("the line breaks where readings are missing, and only there", () => {
  const drawing = drawingOf(stored([1_000, 2_000, 3_000, 9_000, 10_000, 12_000, 13_000]), 0);
  assert.deepEqual(drawing.times, [1_000, 2_000, 3_000, 6_000, 9_000, 10_000, 12_000, 13_000]);
  assert.deepEqual(drawing.line, [1, 2, 3, null, 9, 10, 12, 13]);
});

test("live readings, which may be the newest of their batches, are not taken for a gap before the patience is over", () => {
  const columns = mergeColumns(stored([1_000, 2_000, 3_000]), arrived(9_000, 15_000, 40_000));
  assert.deepEqual(drawingOf(columns, 10_000).line, [1, 2, 3, 9, 15, null, 40]);
});

test("bad values are not drawn as measured: their span is named and the line is broken", () => {
  const drawing = drawingOf(stored([1_000, 2_000, 3_000, 4_000, 5_000], [0, 2, 2, 0, 2]), 0);
  assert.deepEqual(drawing.line, [1, null, null, 4, null]);
  assert.deepEqual(drawing.bad, [
    [2_000, 4_000],
    [5_000, 5_000],
  ]);
});

test("a span of bad values ends where readings are missing", () => {
  const drawing = drawingOf(stored([1_000, 2_000, 3_000, 9_000], [0, 2, 2, 0]), 0);
  assert.deepEqual(drawing.bad, [[2_000, 3_000]]);
});
