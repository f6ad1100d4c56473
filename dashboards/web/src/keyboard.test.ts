import assert from "node:assert/strict";
import { test } from "node:test";
import { chordMs, keyAction } from "./keyboard.ts";

test("g and a letter go to a page, the letter alone does not", () => {
  assert.equal(keyAction({ key: "g", at: 0 }, { key: "e", at: 300 }), "go-epochs");
  assert.equal(keyAction(null, { key: "e", at: 300 }), null);
  assert.equal(keyAction({ key: "x", at: 0 }, { key: "r", at: 300 }), null);
});

test("a g that waited too long is forgotten", () => {
  assert.equal(keyAction({ key: "g", at: 0 }, { key: "f", at: chordMs + 1 }), null);
});

test("single keys act, also right after a g that they do not belong to", () => {
  assert.equal(keyAction(null, { key: "j", at: 0 }), "next");
  assert.equal(keyAction({ key: "g", at: 0 }, { key: "k", at: 10 }), "previous");
  assert.equal(keyAction(null, { key: "?", at: 0 }), "show-keys");
});
