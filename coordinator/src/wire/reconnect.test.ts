import assert from "node:assert/strict";
import { test } from "node:test";
import { pause, reconnectMs, within } from "./reconnect.ts";

test("the wait doubles from 0.2 s to 5 s, and chance takes off up to half of it", () => {
  const waits = Array.from({ length: 8 }, (_, attempt) => reconnectMs(attempt, 0));
  assert.deepEqual(waits, [200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
  assert.equal(reconnectMs(0, 0.5), 150);
  assert.ok(reconnectMs(1_000, 0.999) >= 2_500);
});

test("a pause ends early when it is told to, and at once when it was told before", async () => {
  const ended = new AbortController();
  const started = performance.now();
  const waiting = pause(60_000, ended.signal);
  ended.abort();
  await waiting;
  await pause(60_000, ended.signal);
  assert.ok(performance.now() - started < 5_000);
});

test("a wait for what fails or never ends is over all the same", async () => {
  await within(60_000, Promise.reject(new Error("no")));
  await within(5, new Promise(() => {}));
});
