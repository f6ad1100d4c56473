import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type BootId, encodeBatch, parseBatchEnvelope, parseBatchPayload } from "@cairn/protocol";
import fc from "fast-check";
import { simulatedKey } from "./keys.ts";
import {
  batchAt,
  type FleetShape,
  firstReading,
  misdeeds,
  outagesOf,
  planNodes,
  quietShape,
  readingsOf,
  type Span,
  sealedAt,
  stormOf,
} from "./plan.ts";

const shapes: fc.Arbitrary<FleetShape> = fc.record({
  seed: fc.string({ minLength: 1, maxLength: 12 }),
  nodes: fc.integer({ min: 1, max: 120 }),
  sites: fc.integer({ min: 1, max: 12 }),
  joinMs: fc.integer({ min: 0, max: 60_000 }),
  readingsPerBatch: fc.integer({ min: 1, max: 500 }),
  batchMs: fc.integer({ min: 100, max: 3_600_000 }),
  dayMs: fc.integer({ min: 10_000, max: 86_400_000 }),
  swing: fc.integer({ min: 0, max: 95 }).map((percent) => percent / 100),
  outageEveryMs: fc.integer({ min: 1, max: 3_600_000 }),
  outageMs: fc.integer({ min: 1_000, max: 600_000 }),
  backlogBatches: fc.integer({ min: 0, max: 200 }),
  backlogShare: fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100),
  backlogMs: fc.integer({ min: 0, max: 720 }).map((hours) => hours * 3_600_000),
  stormEveryMs: fc.integer({ min: 1_000, max: 3_600_000 }),
  stormShare: fc.integer({ min: 1, max: 100 }).map((percent) => percent / 100),
  stormJitterMs: fc.integer({ min: 0, max: 60_000 }),
  misbehavingShare: fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100),
  skewMs: fc.integer({ min: 0, max: 600_000 }),
});

function outages(shape: FleetShape, site: number, count: number): Span[] {
  const found: Span[] = [];
  for (const span of outagesOf(shape, site)) if (found.push(span) === count) break;
  return found;
}

/** Everything that is planned, as far as a test wants to look. */
function whole(shape: FleetShape) {
  const nodes = planNodes(shape);
  return {
    nodes,
    batches: nodes.map((node) => [1, 2, 3, 50].map((sequence) => sealedAt(shape, node, sequence))),
    outages: outages(shape, 0, 5),
    storms: [1, 2].map((number) => [...stormOf(shape, number).away]),
    readings: readingsOf(shape, 0, 7, 1_790_000_000_000),
  };
}

describe("the plan of a fleet", () => {
  test("is the same for the same settings, in every part", () => {
    fc.assert(fc.property(shapes, (shape) => assert.deepEqual(whole(shape), whole({ ...shape }))));
  });

  test("another seed makes another plan", () => {
    const shape = { ...quietShape, outageEveryMs: 1_000, misbehavingShare: 0.3, stormShare: 0.5, skewMs: 1_000 };
    const [one, other] = [whole(shape), whole({ ...shape, seed: "cairm" })];
    for (const part of ["nodes", "batches", "outages", "storms"] as const) assert.notDeepEqual(one[part], other[part]);
  });

  test("the shares of misbehaving and of backlogged nodes are exact, and misdeeds are dealt out evenly", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const nodes = planNodes(shape);
        const bad = nodes.filter(({ misdeed }) => misdeed !== undefined);
        assert.equal(bad.length, Math.round(shape.nodes * shape.misbehavingShare));
        const counts = misdeeds.map((each) => bad.filter(({ misdeed }) => misdeed === each).length);
        assert.ok(Math.max(...counts) - Math.min(...counts) <= 1);
        const late = nodes.filter(({ backlog }) => backlog > 0).length;
        assert.equal(late, shape.backlogBatches > 0 ? Math.round(shape.nodes * shape.backlogShare) : 0);
      }),
    );
  });

  test("every site within the number asked for has nodes, in one run of neighbours", () => {
    fc.assert(
      fc.property(shapes, (drawn) => {
        const shape = { ...drawn, sites: Math.min(drawn.sites, drawn.nodes) };
        const sites = planNodes(shape).map(({ site }) => site);
        assert.deepEqual(new Set(sites).size, shape.sites);
        assert.deepEqual(
          sites,
          [...sites].sort((a, b) => a - b),
        );
      }),
    );
  });

  test("clocks are wrong by at most the skew, and nodes join within the time for it", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        for (const { skewMs, joinAtMs } of planNodes(shape)) {
          assert.ok(Math.abs(skewMs) <= shape.skewMs);
          assert.ok(joinAtMs >= 0 && joinAtMs <= shape.joinMs);
        }
      }),
    );
  });

  test("a node seals its backlog in the past and its batches in the future, each later than the one before", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const node = planNodes(shape)[0];
        assert.ok(node);
        const times = Array.from({ length: node.backlog + 30 }, (_, at) => sealedAt(shape, node, at + 1));
        for (const [at, time] of times.entries()) {
          assert.ok(at < node.backlog ? time < 0 : time >= 0, `batch ${at + 1} of ${node.backlog} waiting: ${time}`);
          const before = times[at - 1];
          if (before !== undefined) assert.ok(time > before, `${time} after ${before}`);
        }
        if (node.backlog > 0) assert.equal(times[0], -(shape.backlogMs || node.backlog * shape.batchMs));
      }),
    );
  });

  test("a day holds as many batches as one without a swing, and its rising half more than its falling one", () => {
    const shape = { ...quietShape, batchMs: 1_000, dayMs: 1_000_000, swing: 0.8 };
    const due = (untilMs: number) => {
      let count = 0;
      while (batchAt(shape, 0.5, count) < untilMs) count += 1;
      return count;
    };
    assert.equal(due(shape.dayMs), 1_000);
    // Half a day of (1 + 0.8 sin): 500 and 2 x 0.8 x 1000 / 2 pi.
    assert.ok(Math.abs(due(shape.dayMs / 2) - (500 + 1_600 / (2 * Math.PI))) <= 1);
  });

  test("outages of a site never overlap, last half to one and a half times the mean, and come as often as asked", () => {
    fc.assert(
      fc.property(shapes, fc.nat(11), (shape, site) => {
        let endedAt = 0;
        for (const { fromMs, toMs } of outages(shape, site, 50)) {
          assert.ok(fromMs >= endedAt);
          assert.ok(toMs - fromMs >= 0.5 * shape.outageMs && toMs - fromMs <= 1.5 * shape.outageMs + 1);
          endedAt = toMs;
        }
      }),
    );
    const shape = { ...quietShape, outageEveryMs: 10_000, outageMs: 1_000 };
    const last = outages(shape, 3, 2_000).at(-1)?.toMs ?? 0;
    assert.ok(Math.abs(last / 2_000 - 11_000) < 1_000, `an outage every ${last / 2_000} ms`);
    assert.deepEqual(outages({ ...shape, outageEveryMs: 0 }, 3, 5), []);
  });

  test("a storm throws off its share of the fleet, who come back within the jitter, at once without one", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        for (const delay of stormOf(shape, 3).away.values())
          assert.ok(delay >= 0 && delay <= Math.max(0, shape.stormJitterMs - 1));
      }),
    );
    const shape = { ...quietShape, nodes: 5_000, stormEveryMs: 60_000, stormShare: 0.3 };
    assert.equal(stormOf(shape, 2).atMs, 120_000);
    assert.ok(Math.abs(stormOf(shape, 1).away.size - 1_500) < 100);
    assert.deepEqual(new Set(stormOf({ ...shape, stormJitterMs: 0 }, 1).away.values()), new Set([0]));
    assert.equal(stormOf({ ...shape, stormShare: 1 }, 1).away.size, 5_000);
  });

  test("the counter names every reading of a boot once, and the first one is what a journal says", () => {
    const shape = { ...quietShape, readingsPerBatch: 23 };
    const seen = new Set<number>();
    for (let sequence = 1; sequence <= 40; sequence++) {
      const endsAt = 1_790_000_000_000 + sequence * shape.batchMs;
      const readings = readingsOf(shape, 5, sequence, endsAt);
      assert.equal(readings.length, 23);
      assert.ok(readings.every(({ at }) => at <= endsAt && at > endsAt - shape.batchMs));
      const { value, at } = firstReading(shape, sequence, endsAt);
      assert.deepEqual({ ...readings[0] }, { series: "sim.counter", unit: "count", at, value, quality: "good" });
      for (const { series, value: count } of readings) {
        if (series !== "sim.counter") continue;
        assert.ok(!seen.has(count));
        seen.add(count);
      }
    }
  });

  test("every batch that can be planned is one that the protocol takes", () => {
    const { nodeId, sign } = simulatedKey("plan", 0);
    const boot = "0".repeat(32) as BootId;
    fc.assert(
      fc.property(shapes, fc.integer({ min: 1, max: 1_000_000 }), (shape, sequence) => {
        const readings = readingsOf(shape, 3, sequence, 1_790_000_000_000);
        const message = encodeBatch({ boot, bootCount: 1, sequence, dropped: [], readings }, nodeId, sign);
        const envelope = parseBatchEnvelope(message);
        assert.ok(envelope.ok);
        const payload = parseBatchPayload(envelope.value);
        assert.ok(payload.ok, payload.ok ? "" : payload.rejection.detail);
      }),
      { numRuns: 50 },
    );
  });
});
