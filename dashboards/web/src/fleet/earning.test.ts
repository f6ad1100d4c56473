import assert from "node:assert/strict";
import { test } from "node:test";
import type { SlotState } from "@cairn/protocol";
import { valley } from "../../testing/script.ts";
import { earningsOf, floorOutOfReach, standingOf } from "./earning.ts";

const { fleet } = valley(Date.UTC(2026, 2, 1));
const half = { uptimeFloorBps: 5_000, workShareBps: 0 };

function slots(text: string): SlotState[] {
  const letters: Record<string, SlotState> = { c: "credited", m: "missed", v: "void", o: "open", "-": "ahead" };
  return [...text].map((letter) => letters[letter] ?? "ahead");
}

test("a node that is offline or was never heard of does not earn", () => {
  assert.equal(standingOf({ state: "offline", slots: slots("cccc") }, half), "offline");
  assert.equal(standingOf({ state: "unheard", slots: slots("mmmm") }, half), "unheard");
  assert.equal(standingOf({ state: "degraded", slots: slots("cmc-") }, half), "earning");
});

test("the floor is out of reach only when even all slots to come would not suffice, and void slots do not count", () => {
  assert.equal(floorOutOfReach(slots("mm--"), half), false);
  assert.equal(floorOutOfReach(slots("mmm-"), half), true);
  assert.equal(floorOutOfReach(slots("mvvv"), half), true);
  assert.equal(floorOutOfReach(slots("vvvv"), half), false);
  assert.equal(floorOutOfReach(slots("mmmm"), null), false);
});

test("under the floor a node earns nothing where uptime alone is paid, but still for its work where work is paid", () => {
  const row = { state: "online" as const, slots: slots("mmm-") };
  assert.equal(standingOf(row, half), "under-floor");
  assert.equal(standingOf(row, { ...half, workShareBps: 5_000 }), "earning");
});

test("nodes of one cause are told together, with the earliest time", () => {
  const [row] = fleet.nodes;
  assert.ok(row !== undefined);
  const rows = [50, 20, 70].map((stateSince, index) => ({
    ...row,
    nodeId: String(index),
    state: "offline" as const,
    stateReason: "silent",
    stateSince,
  }));
  const earnings = earningsOf([...rows, { ...row, nodeId: "well" }], half);
  assert.equal(earnings.total, 4);
  assert.equal(earnings.notEarning, 3);
  assert.equal(earnings.causes.length, 1);
  assert.equal(earnings.causes[0]?.since, 20);
  assert.equal(earnings.causes[0]?.rows.length, 3);
});
