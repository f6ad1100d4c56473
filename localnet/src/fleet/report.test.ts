import assert from "node:assert/strict";
import { test } from "node:test";
import type { FleetCounts } from "./fleet.ts";
import { intervalLine, summarise, summaryLines } from "./report.ts";
import { emptyTotals, type Totals } from "./tally.ts";

const noLatency = { p50: null, p95: null, p99: null };

function countsOf(honest: Partial<Totals>, backlogBatches = 0, bad: Partial<Totals> = {}): FleetCounts {
  return {
    ...{ nodes: 1_200, connected: 1_150, honest: { ...emptyTotals(), ...honest }, backlogBatches },
    ...{ backlogReadings: backlogBatches * 20, latencyMs: noLatency },
    misbehaving: { ...emptyTotals(), ...bad, nodes: 12, connected: 3, misdeeds: { flood: 50 } },
  };
}

test("a line of figures says what the interval added, as rates where they are rates", () => {
  const before = countsOf({ connects: 1_000, batchesSent: 100, refusals: { "sequence-gap": 2 } });
  const now = countsOf(
    {
      ...{ connects: 1_100, batchesSent: 600, batchesReceipted: 400, readingsReceipted: 8_000, evidenceSent: 1_150 },
      refusals: { "sequence-gap": 5 },
    },
    70,
    { connects: 50, cuts: 4, refusals: { "connack-4": 9 } },
  );
  const line = intervalLine({ seconds: 10, before, now, latencyMs: { p50: 2, p95: 9.5, p99: 30 } }, 61_000);
  assert.equal(
    line,
    "61 s  connected 1,150/1,200, 15 connects/s, batches/s sent 50 receipted 40, 800 readings/s, " +
      "receipts p50 2 p95 9.5 p99 30 ms, evidence 1,150, slot receipts 0, refusals sequence-gap 3, backlog 70 batches, " +
      "misbehaving: refusals connack-4 9, cut off 4",
  );
});

test("readings are lost when they wait, were set aside or were taken back after their receipt", () => {
  const readings = { readingsCreated: 1_000, readingsReceipted: 900, readingsSetAside: 40, readingsTakenBack: 20 };
  const summary = summarise(countsOf(readings, 3), 10);
  assert.equal(summary.readingsLost, 120);
  assert.equal(summary.readingsReceiptedPerSecond, 90);
  const said = summaryLines(summary).join("\n");
  assert.match(said, /lost: 120 readings .* 60 still wait, 40 were refused for good, 20 were receipted and are missed/);
  const whole = summarise(countsOf({ readingsCreated: 5, readingsReceipted: 5 }), 10);
  assert.match(summaryLines(whole).at(-1) ?? "", /lost: none/);
});
