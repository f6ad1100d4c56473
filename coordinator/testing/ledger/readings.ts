/** Behaviour of every ledger: readings are given back as they were measured, and go when they are too old. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeId } from "@cairn/protocol";
import type { Ledger } from "../../src/model.ts";
import { bootId } from "../devices.ts";
import { slotsOf, slotTime } from "../founding.ts";
import { batchInput, column, evidenceInput, slotRow } from "../inputs.ts";
import { enrolled, send } from "./admission.ts";
import { outcomeOf } from "./epochs.ts";
import { type OpenStore, onStore } from "./opened-store.ts";

const day = 86_400_000;
const manyRefusals = 1_000_000;

export function readingBehaviour(open: OpenStore): void {
  test(
    "readings of a range come oldest first, both ends included, from the series of that node alone",
    onStore(open, async ({ ledger }) => {
      const [one, two] = [await enrolled(ledger), await enrolled(ledger)];
      await measure(ledger, one.nodeId, "host.load", [30, 10, 20], [3, 1, 2]);
      await measure(ledger, one.nodeId, "host.load", [40, 50], [4, 5]);
      await measure(ledger, one.nodeId, "host.temp", [20], [99]);
      await measure(ledger, two.nodeId, "host.load", [20], [77]);
      const { unit, times, values } = await read(ledger, one.nodeId, "host.load", 20, 40, 100);
      assert.deepEqual([unit, times, values], ["/", [20, 30, 40], [2, 3, 4]]);
    }),
  );

  test(
    "a limit keeps the newest readings of the range, oldest of them first",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      await measure(ledger, nodeId, "host.load", [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]);
      assert.deepEqual((await read(ledger, nodeId, "host.load", 0, 4, 2)).times, [3, 4]);
    }),
  );

  test(
    "a range without readings is empty, a series that never was is null",
    onStore(open, async ({ ledger }) => {
      const [one, two] = [await enrolled(ledger), await enrolled(ledger)];
      await measure(ledger, one.nodeId, "host.load", [10], [1]);
      assert.deepEqual((await read(ledger, one.nodeId, "host.load", 11, 99, 10)).times, []);
      assert.equal(await ledger.readings(one.nodeId, "host.loads", 0, 99, 10), null);
      assert.equal(await ledger.readings(two.nodeId, "host.load", 0, 99, 10), null);
    }),
  );

  test(
    "values are the same doubles and qualities the same as they came in",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const values = [0.1 + 0.2, -1e-300, Number.MAX_VALUE, Number.MIN_VALUE, 2 ** 53 - 1, 0, 7];
      const times = values.map((_, index) => index);
      const qualities = [0, 1, 2, 0, 1, 2, 0];
      await send(ledger, [batchInput(nodeId, bootId(), { series: [column("a.b", times, values, qualities)] })]);
      const stored = await read(ledger, nodeId, "a.b", 0, 10, 10);
      assert.deepEqual(stored.values, values);
      assert.deepEqual(stored.qualities, qualities);
    }),
  );

  test(
    "a batch of 500 readings in 100 series is stored without one missing",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const series = Array.from({ length: 100 }, (_, index) =>
        column(`many.s${index}`, [1, 2, 3, 4, 5], [0, 0, 0, 0, index]),
      );
      await send(ledger, [batchInput(nodeId, bootId(), { series })]);
      assert.deepEqual(await ledger.counts(), { readings: 500, batches: 1 });
      const latest = await ledger.latestReadings(nodeId);
      assert.equal(latest.length, 100);
      for (const { series: name, value } of latest) assert.equal(value, Number(name.slice("many.s".length)));
      for (const { s } of series) assert.equal((await read(ledger, nodeId, s, 0, 9, 9)).times.length, 5);
    }),
  );

  test(
    "the latest reading of a series is the one measured last, not the one that came last",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      assert.deepEqual(await ledger.latestReadings(nodeId), []);
      await measure(ledger, nodeId, "host.load", [100], [1]);
      await measure(ledger, nodeId, "air.temp", [120], [2]);
      await measure(ledger, nodeId, "host.load", [50, 90], [3, 4]);
      assert.deepEqual(await ledger.latestReadings(nodeId), [
        { series: "air.temp", unit: "/", at: 120, value: 2, quality: 0 },
        { series: "host.load", unit: "/", at: 100, value: 1, quality: 0 },
      ]);
    }),
  );

  test(
    "a node that names series without end is refused once it has a thousand, and keeps those it has",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const boot = bootId();
      const named = (seq: number) =>
        Array.from({ length: 128 }, (_, index) => column(`made.up-${seq}-${index}`, [seq], [index]));
      for (let seq = 1; seq <= 8; seq++)
        assert.deepEqual(await send(ledger, [batchInput(nodeId, boot, { seq, series: named(seq) })]), [
          `stored ${seq}`,
        ]);
      assert.deepEqual(
        await send(ledger, [batchInput(nodeId, boot, { seq: 9, series: [column("one.more", [1], [1])] })]),
        ["schema-mismatch 8"],
      );
      assert.deepEqual(await send(ledger, [batchInput(nodeId, boot, { seq: 9, series: named(1) })]), ["stored 9"]);
    }),
  );

  test(
    "pruning forgets all but a node's thousand newest boots",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const boots = Array.from({ length: 1_005 }, () => bootId());
      await send(
        ledger,
        boots.map((boot, index) => batchInput(nodeId, boot, { n: index + 1, seq: 1 })),
      );
      await ledger.prune({ readingsMs: 30 * day, evidenceMs: 90 * day, rejections: manyRefusals }, slotTime(1));
      assert.deepEqual(await send(ledger, [batchInput(nodeId, boots[5] ?? bootId(), { n: 6, seq: 1 })]), [
        "sequence-duplicate 1",
      ]);
      assert.deepEqual(await send(ledger, [batchInput(nodeId, boots[4] ?? bootId(), { n: 5, seq: 1 })]), ["stored 1"]);
    }),
  );

  test(
    "pruning removes readings by when they were received, no younger ones, and no count of them",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const now = slotTime(0) + 40 * day;
      const boot = bootId();
      const received = [now - 31 * day, now - 30 * day - 1, now - 30 * day, now - day];
      for (const [index, receivedAt] of received.entries())
        await send(ledger, [
          batchInput(nodeId, boot, {
            seq: index + 1,
            receivedAt,
            series: [column("a.b", [now - 10 + index], [index])],
          }),
        ]);
      const retention = { readingsMs: 30 * day, evidenceMs: 90 * day, rejections: manyRefusals };
      assert.ok((await ledger.prune(retention, now)) > 0);
      assert.deepEqual((await read(ledger, nodeId, "a.b", 0, now, 10)).values, [2, 3]);
      assert.deepEqual(await ledger.counts(), { readings: 4, batches: 4 });
      assert.equal(await ledger.prune(retention, now), 0);
      assert.deepEqual(await send(ledger, [batchInput(nodeId, boot, { seq: 1 })]), ["sequence-duplicate 4"]);
    }),
  );

  test(
    "readings that come after all older ones were pruned stay",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const boot = bootId();
      const times = Array.from({ length: 500 }, (_, index) => index);
      const old = Array.from({ length: 41 }, (_, index) =>
        batchInput(nodeId, boot, {
          seq: index + 1,
          receivedAt: slotTime(0),
          series: index === 40 ? [] : [column("a.b", times, times)],
        }),
      );
      await send(ledger, old);
      const now = slotTime(0) + 2 * day;
      const retention = { readingsMs: day, evidenceMs: day, rejections: manyRefusals };
      for (let round = 0; round < 100; round++) {
        await ledger.prune(retention, now);
        if ((await read(ledger, nodeId, "a.b", 0, now, 1)).times.length === 0) break;
      }
      assert.deepEqual((await read(ledger, nodeId, "a.b", 0, now, 1)).times, []);
      await send(ledger, [batchInput(nodeId, boot, { seq: 42, receivedAt: now, series: [column("a.b", [now], [1])] })]);
      await ledger.prune(retention, now);
      assert.deepEqual((await read(ledger, nodeId, "a.b", 0, now, 10)).times, [now]);
    }),
  );

  test(
    "pruning removes evidence, work and slots of closed epochs when they are too old, and nothing of an open epoch",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const boot = bootId();
      const [first, second] = [slotsOf(1), slotsOf(2)];
      for (const slot of [...first, ...second]) {
        await ledger.openSlot(slotRow(slot));
        await send(ledger, [evidenceInput(nodeId, boot, { slot }), batchInput(nodeId, boot, { seq: slot + 1, slot })]);
        await ledger.closeSlot(slot, slotTime(slot + 1), null);
      }
      await ledger.closeEpoch(outcomeOf({ epoch: 1, operators: [] }), slotTime(6));
      const retention = { readingsMs: 365 * day, evidenceMs: 3 * 60_000, rejections: manyRefusals };
      const shown = async () => ({
        slots: (await ledger.slots(0)).map(({ slot }) => slot),
        answered: (await ledger.answers(0, 99)).map(({ slot }) => slot).sort((a, b) => a - b),
      });
      // Slot 2 closed exactly as long ago as evidence is kept: it stays.
      assert.ok((await ledger.prune(retention, slotTime(6))) > 0);
      assert.deepEqual(await shown(), { slots: [2, 3, 4, 5, ...second], answered: [2, 3, 4, 5, ...second] });
      assert.ok((await ledger.prune(retention, slotTime(6) + day)) > 0);
      assert.deepEqual(await shown(), { slots: second, answered: second });
      // A new slot must not make the unfinished epoch look old either.
      await ledger.openSlot(slotRow(2_000));
      await ledger.prune(retention, slotTime(2_000));
      const facts = await ledger.epochFacts(2, 6, 6);
      assert.deepEqual(facts.nodes[0]?.answered, second);
      assert.deepEqual(facts.nodes[0]?.worked, second);
    }),
  );
}

async function measure(ledger: Ledger, nodeId: NodeId, series: string, times: number[], values: number[]) {
  const node = (await ledger.nodes()).find((other) => other.nodeId === nodeId);
  const n = (node?.readingsStored ?? 0) + 1;
  const verdict = await send(ledger, [batchInput(nodeId, bootId(), { n, series: [column(series, times, values)] })]);
  assert.deepEqual(verdict, ["stored 1"]);
}

async function read(ledger: Ledger, nodeId: NodeId, series: string, from: number, to: number, limit: number) {
  const stored = await ledger.readings(nodeId, series, from, to, limit);
  assert.ok(stored);
  return stored;
}
