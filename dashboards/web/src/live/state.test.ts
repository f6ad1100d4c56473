import assert from "node:assert/strict";
import { test } from "node:test";
import { valley } from "../../testing/script.ts";
import { advance, type Input, type Live, nothingKnown, type Problem } from "./state.ts";

const now = Date.UTC(2026, 2, 1, 12, 0, 0);
const script = valley(now);
const [first, second] = script.fleet.nodes;
assert.ok(first !== undefined && second !== undefined);
const problem: Problem = { title: "No", detail: "because", status: 503, path: "/api/v1/fleet" };

function after(...inputs: readonly Input[]): Live {
  return inputs.reduce(advance, nothingKnown);
}

const fleet: Input = { kind: "fleet", view: script.fleet, receivedAt: now - 5_000, asked: true };
const visit: Input = { kind: "visit", nodeId: first.nodeId, rangeMs: 300_000 };
const view = script.nodes.get(first.nodeId);
assert.ok(view !== undefined);
const node: Input = { kind: "node", view };

test("ages are counted by the coordinator's clock, whatever this machine's says", () => {
  assert.equal(after(fleet).clockSkewMs, 5_000);
});

test("a row that changed replaces its own row and leaves the others in their places", () => {
  const changed = { ...second, state: "online" as const };
  const live = after(fleet, { kind: "row", row: changed });
  assert.deepEqual(
    live.fleet?.nodes.map(({ name }) => name),
    script.fleet.nodes.map(({ name }) => name),
  );
  assert.equal(live.fleet?.nodes[1], changed);
  assert.equal(live.fleet?.nodes[0], first);
});

test("a node that was enrolled just now is added", () => {
  const newcomer = { ...second, nodeId: "ff".repeat(20), name: "mast-11" };
  assert.equal(after(fleet, { kind: "row", row: newcomer }).fleet?.nodes.length, script.fleet.nodes.length + 1);
});

test("an answer that an event overtook does not turn the fleet back, a later event always counts", () => {
  const earlier = { ...script.fleet, at: now - 1_000, nodes: [] };
  assert.equal(after(fleet, { ...fleet, view: earlier }).fleet, script.fleet);
  assert.equal(after(fleet, { ...fleet, view: earlier, asked: false }).fleet, earlier);
});

test("the open node's row follows the fleet and its own events", () => {
  const row = { ...first, readingsStored: first.readingsStored + 9 };
  assert.equal(after(visit, node, { kind: "row", row }).node?.row.readingsStored, row.readingsStored);
  const told = { ...script.fleet, nodes: [row] };
  assert.equal(after(visit, node, { ...fleet, view: told }).node?.row.readingsStored, row.readingsStored);
});

test("answers about a node that is no longer open are dropped", () => {
  const elsewhere: Input = { kind: "visit", nodeId: second.nodeId, rangeMs: 300_000 };
  const history: Input = {
    kind: "history",
    nodeId: first.nodeId,
    view: script.readings(first.nodeId, "power.voltage", now - 5_000, now),
    now,
  };
  const live = after(visit, elsewhere, node, history);
  assert.equal(live.node, null);
  assert.deepEqual(live.plots, {});
});

test("a live reading lengthens its plot and becomes the newest value", () => {
  const reading = { series: "power.voltage", unit: "V", at: now + 1_000, value: 12.9, quality: "good" };
  const live = after(visit, node, { kind: "readings", event: { nodeId: first.nodeId, series: [reading] }, now });
  assert.equal(live.plots["power.voltage"]?.times.at(-1), now + 1_000);
  assert.equal(live.node?.series.find(({ series }) => series === "power.voltage")?.value, 12.9);
});

test("a live reading that was measured earlier does not become the newest value", () => {
  const late = { series: "power.voltage", unit: "V", at: now - 60_000, value: 1, quality: "good" };
  const live = after(visit, node, { kind: "readings", event: { nodeId: first.nodeId, series: [late] }, now });
  assert.notEqual(live.node?.series.find(({ series }) => series === "power.voltage")?.value, 1);
  assert.equal(live.plots["power.voltage"]?.times[0], now - 60_000);
});

test("a longer range keeps what is drawn until the answer comes", () => {
  const history: Input = {
    kind: "history",
    nodeId: first.nodeId,
    view: script.readings(first.nodeId, "power.voltage", now - 5_000, now),
    now,
  };
  const live = after(visit, node, history, { ...visit, rangeMs: 3_600_000 });
  assert.notEqual(live.plots["power.voltage"], undefined);
  assert.notEqual(live.node, null);
});

test("an epoch that changed replaces its row, a new one comes on top", () => {
  const [newest, older] = script.epochs;
  assert.ok(newest !== undefined && older !== undefined);
  const settled = { ...newest, state: "settled" as const };
  const next = { ...newest, epoch: newest.epoch + 1, state: "closed" as const };
  const live = after(
    { kind: "epochs", view: { epochs: [older, newest] } },
    { kind: "epoch", row: settled },
    { kind: "epoch", row: next },
  );
  assert.deepEqual(live.epochs, [next, settled, older]);
});

test("a problem stays until what was missing arrives", () => {
  const failed = after({ kind: "problem", topic: "fleet", problem });
  assert.equal(failed.problems.fleet, problem);
  assert.equal(advance(failed, fleet).problems.fleet, undefined);
});

test("a problem of one node is not shown on the next one", () => {
  const failed = after(visit, { kind: "problem", topic: "node", problem });
  assert.equal(advance(failed, { ...visit, nodeId: second.nodeId }).problems.node, undefined);
});
