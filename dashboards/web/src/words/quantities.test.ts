import assert from "node:assert/strict";
import { test } from "node:test";
import { readableQuantity, shownUnit } from "./quantities.ts";

test("units of the wire are shown as people write them", () => {
  assert.equal(readableQuantity(21.37, "Cel", "en-GB"), "21.37 °C");
  assert.equal(readableQuantity(0.3712, "/", "en-GB"), "37.12 %");
  assert.equal(readableQuantity(94_120, "Pa", "en-GB"), "941.2 hPa");
  assert.equal(readableQuantity(2_930_000_000, "B", "de-DE"), "2,93 GB");
  assert.equal(readableQuantity(1_200, "B", "en-GB"), "1.2 kB");
  assert.equal(readableQuantity(3, "count", "en-GB"), "3");
});

test("a unit that the page does not know is shown as it came", () => {
  assert.equal(readableQuantity(2.5, "cd", "en-GB"), "2.5 cd");
});

test("a position keeps six decimals, a small value four", () => {
  assert.equal(readableQuantity(46.9480901, "lat", "en-GB"), "46.94809 °");
  assert.equal(readableQuantity(0.012345, "V", "en-GB"), "0.0123 V");
});

test("all ticks of an axis share the unit of its largest value", () => {
  assert.deepEqual(shownUnit("W", 1_500), { factor: 0.001, label: "kW" });
  assert.deepEqual(shownUnit("W", 150), { factor: 1, label: "W" });
});
