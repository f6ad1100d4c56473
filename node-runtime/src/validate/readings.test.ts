import assert from "node:assert/strict";
import { test } from "node:test";
import { BatchPayload, checker, type Reading, type Unit } from "@cairn/protocol";
import fc from "fast-check";
import { faultOf, fitReadings, readingDiscards } from "./readings.ts";

const good: Reading = { series: "host.cpu.load", unit: "/", at: 1_700_000_000_000, value: 0.5, quality: "good" };
const counts = () => ({ "series-name": 0, unit: 0, time: 0, value: 0, quality: 0 });

test("readings that the wire would refuse are left out and counted by what is wrong with them", () => {
  const seen = counts();
  const bad = [
    { ...good, series: "Load" },
    { ...good, series: "load" },
    { ...good, series: `host.${"x".repeat(60)}` },
    { ...good, unit: "kg" as Unit },
    { ...good, at: 1.5 },
    { ...good, at: -1 },
    { ...good, value: Number.NaN },
    { ...good, value: Number.POSITIVE_INFINITY },
    { ...good, quality: "fine" as Reading["quality"] },
  ];
  assert.deepEqual(fitReadings([good, ...bad, good], seen), [good, good]);
  assert.deepEqual(seen, { "series-name": 3, unit: 1, time: 2, value: 2, quality: 1 });
  assert.deepEqual(Object.keys(seen), [...readingDiscards]);
});

test("whatever is let through fits the schema of a batch", () => {
  const check = checker("batch", BatchPayload);
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[a-z]{1,4}(\.[a-z0-9_-]{1,9}){0,9}$/));
  const reading = fc.record({
    series: text,
    unit: fc.constantFrom("/", "m", "kg"),
    at: fc.double(),
    value: fc.double(),
  });
  fc.assert(
    fc.property(reading, (some) => {
      const given = { ...some, quality: "good" } as Reading;
      if (faultOf(given) !== undefined) return;
      const { series: s, unit: u, at: t, value } = given;
      const payload = { boot: "0".repeat(32), n: 1, seq: 1, series: [{ s, u, t, d: [0], v: [value] }] };
      assert.ok(check(JSON.parse(JSON.stringify(payload))).ok);
    }),
  );
});
