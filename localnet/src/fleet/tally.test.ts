import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Latencies } from "./tally.ts";

test("a percentile is the one of the sorted list, to 2 % and a tenth of a millisecond", () => {
  const durations = fc.array(fc.double({ min: 0.2, max: 1_000_000, noNaN: true }), { minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(durations, fc.constantFrom(0.5, 0.95, 0.99), (list, share) => {
      const latencies = new Latencies();
      for (const each of list) latencies.add(each);
      const exact = [...list].sort((a, b) => a - b)[Math.ceil(share * list.length) - 1] ?? 0;
      const found = latencies.quantile(share) ?? 0;
      assert.ok(found >= exact - 0.051 && found <= exact * 1.02 + 0.051, `${found} for ${exact}`);
    }),
  );
});

test("nothing measured is no duration, also after a report", () => {
  const latencies = new Latencies();
  assert.deepEqual(latencies.figures(), { p50: null, p95: null, p99: null });
  latencies.add(5);
  latencies.clear();
  assert.equal(latencies.quantile(0.5), null);
});
