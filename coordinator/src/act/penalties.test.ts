import assert from "node:assert/strict";
import { test } from "node:test";
import type { RejectionCode } from "@cairn/protocol";
import { makeDevice } from "../../testing/devices.ts";
import { createPenalties, type Penalties } from "./penalties.ts";

const { nodeId } = makeDevice();
const { nodeId: otherNode } = makeDevice();
const seconds = 1_000;

test("the twentieth refusal within ten seconds disconnects the sender, and only that one", () => {
  const penalties = createPenalties();
  assert.deepEqual(noteMany(penalties, 19, 0), Array(19).fill(false));
  assert.equal(penalties.isShut(nodeId, 0), false);
  assert.equal(penalties.note(nodeId, "schema-mismatch", 9_999), true);
  assert.equal(penalties.isShut(nodeId, 9_999), true);
  assert.equal(penalties.isShut(otherNode, 9_999), false);
});

test("a sender who was disconnected stays out for ten seconds", () => {
  const penalties = createPenalties();
  noteMany(penalties, 20, 5 * seconds);
  assert.equal(penalties.isShut(nodeId, 15 * seconds - 1), true);
  assert.equal(penalties.isShut(nodeId, 15 * seconds), false);
});

test("what was still under way from a sender who is out neither shortens its time nor disconnects it again", () => {
  const penalties = createPenalties();
  noteMany(penalties, 19, 0);
  penalties.note(nodeId, "schema-mismatch", 9_999);
  assert.equal(penalties.note(nodeId, "schema-mismatch", 10_001), false);
  assert.equal(penalties.isShut(nodeId, 19_998), true);
  assert.equal(penalties.isShut(nodeId, 19_999), false);
});

test("twenty refusals over more than ten seconds cost nothing", () => {
  const penalties = createPenalties();
  noteMany(penalties, 19, 0);
  assert.equal(penalties.note(nodeId, "schema-mismatch", 10 * seconds), false);
  assert.deepEqual(noteMany(penalties, 18, 11 * seconds), Array(18).fill(false));
  assert.equal(penalties.note(nodeId, "schema-mismatch", 12 * seconds), true);
});

test("a sender who comes back and goes on is disconnected again", () => {
  const penalties = createPenalties();
  noteMany(penalties, 20, 0);
  assert.deepEqual(noteMany(penalties, 20, 10 * seconds).at(-1), true);
  assert.equal(penalties.isShut(nodeId, 19 * seconds), true);
});

test("refusals that an honest node meets after a cut line are never held against it", () => {
  const penalties = createPenalties();
  const honest: RejectionCode[] = ["sequence-duplicate", "sequence-gap", "evidence-late", "evidence-duplicate"];
  for (const code of honest) assert.ok(!noteMany(penalties, 100, 0, code).includes(true), code);
  assert.equal(penalties.isShut(nodeId, 0), false);
  assert.ok(noteMany(penalties, 20, 0, "signature-invalid").includes(true));
});

function noteMany(
  penalties: Penalties,
  times: number,
  now: number,
  code: RejectionCode = "schema-mismatch",
): boolean[] {
  return Array.from({ length: times }, () => penalties.note(nodeId, code, now));
}
