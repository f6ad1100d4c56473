import assert from "node:assert/strict";
import { test } from "node:test";
import { localTime, spanOf, spansOf, utcTime } from "./times.ts";

const noon = new Date(2026, 2, 1, 12, 4, 9).getTime();

test("a time of today is a time of day, one of another day carries its date", () => {
  assert.equal(localTime(noon, noon, "en-GB", "minute"), "12:04");
  assert.equal(localTime(noon, noon, "en-GB", "second"), "12:04:09");
  assert.match(localTime(noon - 86_400_000, noon, "en-GB", "minute"), /28 Feb.*12:04/);
  assert.match(localTime(noon - 86_400_000, noon, "de-DE", "minute"), /28\. Feb.*12:04/);
});

test("midnight is 00:00, never 24:00", () => {
  assert.equal(localTime(new Date(2026, 2, 1, 0, 0, 0).getTime(), noon, "en-GB", "minute"), "00:00");
});

test("the title of a time is in UTC and says so", () => {
  assert.equal(utcTime(0), "1970-01-01 00:00:00 UTC");
});

test("an age is told in its largest unit and never rounded up", () => {
  assert.deepEqual(spanOf(59_999), { count: 59, unit: "s" });
  assert.deepEqual(spanOf(119_000), { count: 1, unit: "min" });
  assert.deepEqual(spanOf(3_600_000), { count: 1, unit: "h" });
  assert.deepEqual(spanOf(86_400_000 * 3), { count: 3, unit: "d" });
  assert.deepEqual(spanOf(-5), { count: 0, unit: "s" });
});

test("a duration is told in its two largest units, the second only when it is not zero", () => {
  assert.deepEqual(spansOf(192_000), [
    { count: 3, unit: "min" },
    { count: 12, unit: "s" },
  ]);
  assert.deepEqual(spansOf(180_000), [{ count: 3, unit: "min" }]);
  assert.deepEqual(spansOf(86_400_000 + 3_000), [{ count: 1, unit: "d" }]);
});
