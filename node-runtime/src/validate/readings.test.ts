import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import {
  type BootId,
  encodeBatch,
  nodeIdOf,
  parseBatchEnvelope,
  parseBatchPayload,
  type Reading,
  readingsOf,
  signerOf,
  type Unit,
} from "@cairn/protocol";
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

test("whatever is let through comes out of a batch as it went in, and what the batch refuses was not let through", () => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const sign = signerOf(privateKey);
  const nodeId = nodeIdOf(publicKey);
  const mostly = <T>(usual: fc.Arbitrary<T>, odd: fc.Arbitrary<T>) =>
    fc.oneof({ weight: 5, arbitrary: usual }, { weight: 1, arbitrary: odd });
  const reading = fc.record({
    series: mostly(fc.stringMatching(/^[a-z][a-z0-9]{0,4}(\.[a-z0-9][a-z0-9_-]{0,7}){1,8}$/), fc.string()),
    unit: fc.constantFrom("/", "m", "s", "kg"),
    at: mostly(fc.integer({ min: -5, max: 253_402_300_800_005 }), fc.double()),
    value: mostly(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.double()),
  });
  let fitting = 0;
  fc.assert(
    fc.property(reading, (some) => {
      const given = { ...some, quality: "good" } as Reading;
      const batch = { boot: "0".repeat(32) as BootId, bootCount: 1, sequence: 1, dropped: [], readings: [given] };
      const envelope = parseBatchEnvelope(encodeBatch(batch, nodeId, sign));
      assert.ok(envelope.ok);
      const payload = parseBatchPayload(envelope.value);
      assert.equal(faultOf(given) === undefined, payload.ok);
      if (!payload.ok) return;
      fitting++;
      // JSON knows no negative zero.
      assert.deepEqual([...readingsOf(payload.value)], [{ ...given, value: given.value + 0, at: given.at + 0 }]);
    }),
    { numRuns: 300 },
  );
  assert.ok(fitting > 20, `only ${fitting} of the readings fitted`);
});
