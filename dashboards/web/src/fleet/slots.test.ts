import assert from "node:assert/strict";
import { test } from "node:test";
import type { SlotState } from "@cairn/protocol";
import { barsOf, countsInWords, mostBars, scoreOf, stripWidth } from "./slots.ts";

test("an epoch of up to 60 slots has a bar for each", () => {
  const slots: SlotState[] = ["credited", "missed", "open", "ahead"];
  assert.deepEqual(
    barsOf(slots).map(({ state }) => state),
    slots,
  );
});

test("a longer epoch is drawn in runs, and a run with one missed slot shows as missed", () => {
  const slots = Array.from({ length: 1_440 }, (_, index): SlotState => (index === 700 ? "missed" : "credited"));
  const bars = barsOf(slots);
  assert.equal(bars.length, mostBars);
  assert.deepEqual(
    bars.filter(({ state }) => state === "missed").map(({ first }) => first),
    [696],
  );
  assert.equal(
    bars.reduce((sum, bar) => sum + bar.slots.length, 0),
    1_440,
  );
});

test("a strip stays within 240 px for every length an epoch may have", () => {
  for (let count = 1; count <= 8_192; count += 1) assert.ok(stripWidth(count) <= 240, `${count} slots`);
});

test("a strip in words names what occurs, most first", () => {
  const words = countsInWords(
    ["credited", "ahead", "credited", "missed", "missed", "missed"],
    (count, state) => `${count} ${state}`,
  );
  assert.equal(words, "3 missed, 2 credited, 1 ahead");
});

test("the score counts judged slots only: void, open and answered ones do not press it", () => {
  assert.deepEqual(scoreOf(["credited", "missed", "void", "answered", "open", "ahead"]), { credited: 1, judged: 2 });
});
