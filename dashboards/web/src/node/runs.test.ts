import assert from "node:assert/strict";
import { test } from "node:test";
import type { SlotVerdictView } from "@cairn/protocol";
import { runsOf } from "./runs.ts";

function verdict(slot: number, state: SlotVerdictView["state"], reason: string = state, epoch = 1): SlotVerdictView {
  return { epoch, slot, opensAt: slot * 1_000, state, answeredAt: null, reason };
}

test("neighbouring slots of the same verdict and reason are one line, newest first", () => {
  const runs = runsOf([verdict(1, "credited"), verdict(2, "credited"), verdict(3, "missed"), verdict(4, "credited")]);
  assert.deepEqual(
    runs.map(({ state, count, first, last }) => [state, count, first.slot, last.slot]),
    [
      ["credited", 1, 4, 4],
      ["missed", 1, 3, 3],
      ["credited", 2, 1, 2],
    ],
  );
});

test("another reason, another epoch or a slot in between begins another line", () => {
  assert.equal(runsOf([verdict(1, "void", "broker"), verdict(2, "void", "verifier")]).length, 2);
  assert.equal(runsOf([verdict(1, "credited", "credited", 1), verdict(2, "credited", "credited", 2)]).length, 2);
  assert.equal(runsOf([verdict(1, "credited"), verdict(3, "credited")]).length, 2);
});

test("answered slots stand together and tell the soonest and the latest answer, whatever their reasons say", () => {
  const answered = (slot: number, after: number): SlotVerdictView => ({
    ...verdict(slot, "credited", `accepted ${after} ms after`),
    answeredAt: slot * 1_000 + after,
  });
  const [run, ...others] = runsOf([answered(1, 600), answered(2, 40), answered(3, 200)]);
  assert.deepEqual(run?.answeredAfter, { least: 40, most: 600 });
  assert.equal(run?.count, 3);
  assert.deepEqual(others, []);
});

test("slots that have not begun have no verdict to tell", () => {
  assert.deepEqual(runsOf([verdict(9, "ahead")]), []);
});
