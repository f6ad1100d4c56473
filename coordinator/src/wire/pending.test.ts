import assert from "node:assert/strict";
import { test } from "node:test";
import { createPending } from "./pending.ts";

test("a wait ends when all that was taken before it is committed, in any order, and not for what came later", async () => {
  const pending = createPending();
  const [first, second] = [pending.taken(), pending.taken()];
  let drained = false;
  const waiting = pending.drained(5_000).then((answer) => {
    drained = answer;
  });
  pending.taken();
  second();
  second();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(drained, false);
  first();
  await waiting;
  assert.equal(drained, true);
  assert.equal(pending.size, 1);
});

test("who waits in vain is answered with false, after the patience or at the close", async () => {
  const pending = createPending();
  assert.equal(await pending.drained(0), true);
  pending.taken();
  assert.equal(await pending.drained(5), false);
  const waiting = pending.drained(60_000);
  pending.close();
  assert.equal(await waiting, false);
});
