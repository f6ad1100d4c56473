import assert from "node:assert/strict";
import { test } from "node:test";
import type { FleetView, NodeRow } from "@cairn/protocol";
import { valley } from "../../testing/script.ts";
import { messagesFor } from "../words/messages.ts";
import type { Phrase } from "../words/phrases.ts";
import { fleetNotes, fleetSentence } from "./fleet-sentence.ts";

const at = new Date(2026, 2, 1, 14, 2, 0).getTime();
const { fleet, network } = valley(at);
const [pattern] = fleet.nodes;
assert.ok(pattern !== undefined);
const well: NodeRow = pattern;
const english = messagesFor("en-GB");
const german = messagesFor("de-CH");

function spoken(phrase: Phrase): string {
  return phrase
    .map((piece) => {
      if (typeof piece === "string") return piece;
      if (piece.kind === "number") return String(piece.value);
      if (piece.kind === "node") return piece.name;
      if (piece.kind === "time") return new Date(piece.at).toTimeString().slice(0, 5);
      return piece.kind === "amount" ? piece.smallest : piece.text;
    })
    .join("");
}

function fleetOf(...rows: readonly Partial<NodeRow>[]): FleetView {
  return {
    ...fleet,
    nodes: rows.map((row, index) => ({ ...well, nodeId: String(index), name: `mast-${index + 1}`, ...row })),
  };
}

const gone = { state: "offline", stateSince: at, stateReason: "its last will" } as const;

test("a fleet that earns is told in one number", () => {
  assert.equal(spoken(fleetSentence(fleetOf({}, {}, {}), network, english, "en-GB")), "3 of 3 nodes are earning.");
  assert.equal(spoken(fleetSentence(fleetOf({}, {}, {}), network, german, "de-CH")), "3 von 3 Knoten verdienen.");
  assert.equal(spoken(fleetSentence(fleetOf({}), network, english, "en-GB")), "The only node is earning.");
});

test("a node that does not earn is named with its state, since when and by what", () => {
  const view = fleetOf({}, gone, {});
  assert.equal(
    spoken(fleetSentence(view, network, english, "en-GB")),
    "1 of 3 nodes is not earning: mast-2 offline since 14:02 (its last will).",
  );
  assert.equal(
    spoken(fleetSentence(view, network, german, "de-CH")),
    "1 von 3 Knoten verdient nicht: mast-2 offline seit 14:02 (its last will).",
  );
});

test("few nodes of one cause are named together", () => {
  const view = fleetOf({}, gone, gone, {});
  assert.equal(
    spoken(fleetSentence(view, network, english, "en-GB")),
    "2 of 4 nodes are not earning: mast-2, mast-3 offline since 14:02 (its last will).",
  );
});

test("more than three are counted by cause instead of named", () => {
  const view = fleetOf({}, gone, gone, gone, { state: "unheard", stateSince: null });
  assert.equal(
    spoken(fleetSentence(view, network, english, "en-GB")),
    "4 of 5 nodes are not earning: 3 offline since 14:02 (its last will), 1 never heard of.",
  );
});

test("brackets of a reason do not nest inside the sentence's", () => {
  const view = fleetOf({ ...gone, stateReason: "its connection broke (last will)" });
  assert.equal(
    spoken(fleetSentence(view, network, english, "en-GB")),
    "1 of 1 node is not earning: mast-1 offline since 14:02 (its connection broke, last will).",
  );
});

test("an empty fleet says so", () => {
  assert.equal(spoken(fleetSentence(fleetOf(), network, english, "en-GB")), "No node is enrolled yet.");
});

test("notes name what is degraded, paid for work only, or void for everybody", () => {
  const missed = { slots: well.slots.map(() => "missed" as const) };
  const degraded = { state: "degraded", stateSince: at, stateReason: "no evidence for 1 slot" } as const;
  assert.deepEqual(fleetNotes(fleetOf(degraded, missed), network, english, "en-GB").map(spoken), [
    "mast-1 degraded since 14:02: no evidence for 1 slot.",
    "Under the uptime floor of 50%, so paid in this epoch for work only: mast-2.",
  ]);
  const voided = { slots: ["void", "void", "ahead"] as NodeRow["slots"] };
  assert.deepEqual(fleetNotes(fleetOf(voided, voided), network, english, "en-GB").map(spoken), [
    "2 slots of this epoch are void: they count for nobody.",
  ]);
  const five = fleetOf(...Array.from({ length: 5 }, () => degraded));
  assert.deepEqual(fleetNotes(five, network, english, "en-GB").map(spoken), [
    "5 degraded since 14:02: no evidence for 1 slot.",
  ]);
});
