import assert from "node:assert/strict";
import { test } from "node:test";
import { valley } from "../../testing/script.ts";
import { messagesFor } from "../words/messages.ts";
import { inOrder, matching } from "./filter.ts";

const { nodes } = valley(Date.UTC(2026, 2, 1)).fleet;
const german = messagesFor("de");
const found = (search: string): string[] =>
  matching(nodes, search, (row) => german.states[row.state]).map(({ name }) => name);

test("rows stand by name with digits as numbers, whatever their states", () => {
  assert.deepEqual(
    inOrder(nodes.toReversed(), "en").map(({ name }) => name),
    ["mast-1", "mast-2", "mast-3", "mast-10"],
  );
});

test("every word of a search must occur, in name, id, reason or state as it is shown", () => {
  assert.deepEqual(found("MAST-1"), ["mast-1", "mast-10"]);
  assert.deepEqual(found("beeinträchtigt"), ["mast-3"]);
  assert.deepEqual(found("mast will"), ["mast-2"]);
  assert.deepEqual(found(nodes[3]?.nodeId.slice(0, 12) ?? "?"), ["mast-10"]);
  assert.deepEqual(found("mast nowhere"), []);
  assert.equal(found("  ").length, nodes.length);
});
