import assert from "node:assert/strict";
import { test } from "node:test";
import type { Heard, NodeStatus } from "../model.ts";
import { nodeStatus } from "./node-status.ts";

const unheard: NodeStatus = { state: "unheard", since: null, reason: "never heard of since it was enrolled" };
const online: NodeStatus = { state: "online", since: 500, reason: "answers every slot" };
const heard: Heard = {
  now: 100_000,
  slotMs: 10_000,
  previous: online,
  lastHeardAt: 99_000,
  died: false,
  recentSlots: [true, true, true, true],
};

test("a node that was never heard of is unheard, since no time", () => {
  assert.deepEqual(nodeStatus({ ...heard, previous: unheard, lastHeardAt: null, recentSlots: [false] }), unheard);
});

test("a node that answers every slot is online since it was first seen so", () => {
  assert.deepEqual(nodeStatus({ ...heard, previous: unheard }), { ...online, since: 100_000 });
  assert.deepEqual(nodeStatus(heard), online);
});

test("a node that was heard of before its first slot is over is online", () => {
  assert.equal(nodeStatus({ ...heard, recentSlots: [] }).state, "online");
});

test("a node whose data arrives without evidence is degraded, with the number of slots in a row", () => {
  const reasonAfter = (...recentSlots: boolean[]) => nodeStatus({ ...heard, recentSlots }).reason;
  assert.equal(nodeStatus({ ...heard, recentSlots: [false, true] }).state, "degraded");
  assert.match(reasonAfter(false, true, true), /1 slot,/);
  assert.match(reasonAfter(false, false, true), /2 slots,/);
  assert.match(reasonAfter(false, false, false), /3 slots,/);
});

test("a slot missed before the last answered one leaves the node online", () => {
  assert.equal(nodeStatus({ ...heard, recentSlots: [true, false, false] }).state, "online");
});

test("a node that is silent for more than two slots is offline, for two slots exactly it is not", () => {
  assert.notEqual(nodeStatus({ ...heard, lastHeardAt: 80_000, recentSlots: [false, false] }).state, "offline");
  const silent = nodeStatus({ ...heard, lastHeardAt: 79_999 });
  assert.deepEqual([silent.state, silent.since], ["offline", 100_000]);
  assert.match(silent.reason, /silent/);
});

test("a node whose last will came is offline at once, for that reason", () => {
  const dead = nodeStatus({ ...heard, died: true });
  assert.equal(dead.state, "offline");
  assert.match(dead.reason, /last will/);
});

test("a state that lasts keeps its time and renews its reason", () => {
  const degraded = nodeStatus({ ...heard, recentSlots: [false, true] });
  const later = nodeStatus({
    ...heard,
    now: 200_000,
    lastHeardAt: 199_000,
    previous: degraded,
    recentSlots: [false, false],
  });
  assert.deepEqual([later.state, later.since], ["degraded", 100_000]);
  assert.match(later.reason, /2 slots/);
});
