import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { Batch, BootId, Reading } from "@cairn/protocol";
import { silent, type VirtualSurroundings, virtualSurroundings } from "../../testing/surroundings.ts";
import { NodeFault } from "../fault.ts";
import { type EdgeStore, openEdgeStore } from "./edge-store.ts";
import { openReadOnly } from "./sqlite.ts";
import { statusText, summarise } from "./summary.ts";

let folder: string;
let surroundings: VirtualSurroundings;
let opened: EdgeStore[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cairn-store-"));
  surroundings = virtualSurroundings();
  opened = [];
});
afterEach(() => {
  for (const store of opened) store.kill();
  rmSync(folder, { recursive: true });
});

function open(
  capBytes = 10_000_000,
  broken: (cause: unknown) => void = (cause) => assert.fail(String(cause)),
): EdgeStore {
  const bootId = randomBytes(16).toString("hex") as BootId;
  const store = openEdgeStore({ folder, bootId, capBytes, surroundings, log: silent, broken });
  opened.push(store);
  return store;
}

function crash(store: EdgeStore): void {
  store.kill();
  surroundings.dropTimers();
  opened = opened.filter((other) => other !== store);
}

const reading = (value: number, more: Partial<Reading> = {}): Reading => ({
  series: "test.value",
  unit: "m",
  at: 1_700_000_000_000 + Math.trunc(value),
  value,
  quality: "good",
  ...more,
});
const readings = (from: number, count: number) => Array.from({ length: count }, (_, index) => reading(from + index));
const valuesOf = (batch: Batch | undefined) => batch?.readings.map(({ value }) => value);

test("readings are accepted when their group is committed, 50 ms after the first of it", () => {
  const store = open();
  let accepted = 0;
  store.accept(readings(0, 3), "results", () => accepted++);
  surroundings.advance(40);
  store.accept(readings(3, 2), "telemetry", () => accepted++);
  assert.equal(accepted, 0);
  assert.deepEqual(store.queued(), { results: 0, telemetry: 0 });
  surroundings.advance(10);
  assert.equal(accepted, 2);
  assert.deepEqual(store.queued(), { results: 3, telemetry: 2 });
  assert.equal(store.tally().accepted, 5);
});

test("a reading comes out as it went in, whatever its series, unit, time, value and quality", () => {
  const store = open();
  const given = [
    reading(1.5, { series: "gnss.latitude", unit: "lat", at: 0, quality: "uncertain" }),
    reading(-7e-300, { series: "gnss.latitude", unit: "lat", at: 253_402_300_799_999, quality: "bad" }),
    reading(2 ** 53, { series: "gnss.latitude", unit: "lon", at: 1 }),
    reading(-0.1, { series: "host.load", unit: "/" }),
  ];
  store.accept(given, "results");
  store.commit();
  const taken = [store.seal("results", 500, 9), store.outstanding(9)][1]?.flatMap(
    (batch) => store.read(batch)?.readings ?? [],
  );
  assert.deepEqual(taken, given);
});

test("a sealed batch has the same content and number after a crash, and comes before those of the new boot", () => {
  const first = open();
  first.accept(readings(0, 25), "results");
  first.commit();
  const sealed = first.seal("results", 10, 2);
  const before = sealed.map((batch) => first.read(batch));
  assert.deepEqual(before.map(valuesOf), [
    readings(0, 10).map(({ value }) => value),
    readings(10, 10).map(({ value }) => value),
  ]);
  crash(first);

  const second = open();
  assert.equal(second.boot.count, first.boot.count + 1);
  assert.notEqual(second.boot.id, first.boot.id);
  second.accept(readings(100, 10), "results");
  second.commit();
  second.seal("results", 500, 1);
  const outstanding = second.outstanding(10);
  assert.deepEqual(
    outstanding.map(({ boot, sequence }) => [boot.count, sequence]),
    [
      [1, 1],
      [1, 2],
      [2, 1],
    ],
  );
  assert.deepEqual(
    outstanding.slice(0, 2).map((batch) => second.read(batch)),
    before,
  );
  const last = outstanding[2];
  assert.ok(last);
  // The five readings that the first boot had not sealed belong to the second.
  assert.deepEqual(valuesOf(second.read(last)), [20, 21, 22, 23, 24, ...readings(100, 10).map(({ value }) => value)]);
});

test("what was not committed is gone after a crash, and what was committed is not", () => {
  const first = open();
  first.accept(readings(0, 5), "results");
  surroundings.advance(50);
  first.accept(readings(5, 5), "results");
  crash(first);
  assert.equal(open().queued().results, 5);
});

test("a receipt frees the batches it covers, once, however often and in whatever order receipts come", () => {
  const store = open();
  store.accept(readings(0, 40), "results");
  store.accept(readings(40, 20), "telemetry");
  store.commit();
  store.seal("results", 10, 4);
  store.seal("telemetry", 10, 2);
  const { id } = store.boot;
  assert.equal(store.received({ boot: id, upTo: 3 }), 30);
  assert.equal(store.received({ boot: id, upTo: 3 }), 0);
  assert.equal(store.received({ boot: id, upTo: 1 }), 0);
  assert.deepEqual(
    store.outstanding(9).map(({ sequence }) => sequence),
    [4, 5, 6],
  );
  assert.equal(store.storedUpTo(), 3);
  assert.equal(store.received({ boot: id, upTo: 99 }), 30);
  assert.equal(store.storedUpTo(), 6);
  assert.equal(store.received({ boot: "0".repeat(32) as BootId, upTo: 99 }), 0);
  assert.deepEqual(store.queued(), { results: 0, telemetry: 0 });
  assert.equal(store.tally().receipted, 60);
  assert.deepEqual(summarise(folder).waiting, { results: 0, telemetry: 0 });
});

test("a batch holds no more series and no longer time than the wire takes", () => {
  const store = open();
  store.accept(
    Array.from({ length: 130 }, (_, index) => reading(index, { series: `test.s${index}` })),
    "results",
  );
  store.accept(
    [reading(1_000, { at: 0 }), reading(1_001, { at: 2_592_000_000 }), reading(1_002, { at: 2_592_000_001 })],
    "results",
  );
  store.commit();
  const sealed = store.seal("results", 500, 9);
  assert.deepEqual(
    sealed.map(({ readings }) => readings),
    [128, 2, 2, 1],
  );
  assert.deepEqual(valuesOf(sealed[2] && store.read(sealed[2])), [1_000, 1_001]);
});

test("when the cap is hit the lowest class goes first, oldest first, and the losses are stated", () => {
  const store = open(3_200);
  store.accept(readings(0, 60), "telemetry");
  store.accept(readings(60, 60), "results");
  store.commit();
  // 120 readings of 32 bytes in 3,200, less 2 %: 22 too many.
  assert.deepEqual(store.queued(), { results: 60, telemetry: 38 });
  assert.equal(store.tally()["dropped.store-full"], 22);
  store.accept(readings(120, 40), "results");
  store.commit();
  assert.deepEqual(store.queued(), { results: 98, telemetry: 0 });
  store.accept(readings(160, 10), "results");
  store.commit();
  assert.equal(store.queued().results, 98);
  const [sealed] = store.seal("results", 500, 1);
  assert.ok(sealed);
  const batch = store.read(sealed);
  assert.equal(valuesOf(batch)?.[0], 72, "the oldest results went");
  assert.deepEqual(batch?.dropped, [{ first: 1, last: 1, readings: 72, reason: "store-full" }]);
  assert.equal(batch?.sequence, 2);
});

test("a sealed batch that the cap hits goes whole, and the next batch of its boot states its number, also after a crash", () => {
  const first = open(3_200);
  first.accept(readings(0, 30), "telemetry");
  first.commit();
  first.seal("telemetry", 10, 3);
  first.accept(readings(30, 80), "results");
  first.commit();
  assert.deepEqual(
    first.outstanding(9).map(({ sequence }) => sequence),
    [3],
  );
  const [left] = first.outstanding(1);
  assert.ok(left);
  const stated = [
    { first: 1, last: 1, readings: 10, reason: "store-full" },
    { first: 2, last: 2, readings: 10, reason: "store-full" },
  ];
  assert.deepEqual(first.read(left)?.dropped, stated);
  crash(first);
  const second = open(3_200);
  assert.deepEqual(second.read(left)?.dropped, stated);
  assert.deepEqual(
    valuesOf(second.read(left)),
    readings(20, 10).map(({ value }) => value),
  );
});

test("when the newest batches of an earlier boot are lost, an empty batch of that boot states them, also after a crash", () => {
  const first = open(1_600);
  first.accept(readings(0, 20), "telemetry");
  first.commit();
  first.seal("telemetry", 10, 2);
  crash(first);
  const second = open(1_600);
  second.accept(readings(20, 49), "results");
  second.commit();
  assert.deepEqual(second.outstanding(9), []);
  assert.deepEqual(second.openTails(), [first.boot]);
  const statement = second.sealStatement(first.boot);
  assert.deepEqual(second.openTails(), []);
  crash(second);
  const third = open(1_600);
  const batch = third.read(statement);
  assert.equal(batch?.sequence, 3);
  assert.equal(batch?.boot, first.boot.id);
  assert.deepEqual(batch?.readings, []);
  assert.deepEqual(
    batch?.dropped.map(({ first, last, readings }) => [first, last, readings]),
    [
      [1, 1, 10],
      [2, 2, 10],
    ],
  );
  assert.equal(third.received({ boot: first.boot.id, upTo: 3 }), 0);
  assert.deepEqual(third.outstanding(9), []);
  assert.deepEqual(third.openTails(), []);
});

test("a boot that loses hundreds of batches still states them in as few entries as the wire takes", () => {
  const store = open(640);
  for (let round = 0; round < 200; round++) {
    store.accept(readings(round * 100, 10), "results");
    store.commit();
    store.seal("results", 10, 1);
    store.accept(readings(round * 100 + 10, 19), "results");
    store.commit();
  }
  store.seal("results", 500, 1);
  const newest = store.outstanding(9).at(-1);
  assert.ok(newest);
  const dropped = store.read(newest)?.dropped ?? [];
  assert.ok(dropped.length <= 64, `${dropped.length} entries`);
  assert.equal(dropped[0]?.first, 1);
  assert.equal(dropped.at(-1)?.last, newest.sequence - 1);
  const lost = dropped.reduce((sum, { readings }) => sum + readings, 0);
  assert.equal(lost, store.tally()["dropped.store-full"]);
  // The ledger had taken the tenth before it was lost here: the statement begins behind it.
  store.received({ boot: store.boot.id, upTo: 10 });
  assert.equal(store.read(newest)?.dropped[0]?.first, 11);
});

test("a refused batch is set aside with its readings, stated, and no more than 64 of them are kept", () => {
  const store = open();
  store.accept(readings(0, 700), "results");
  store.commit();
  const sealed = store.seal("results", 10, 70);
  for (const batch of sealed.slice(0, 69)) store.setAside(batch, "schema-mismatch");
  const last = sealed.at(-1);
  assert.ok(last);
  const batch = store.read(last);
  assert.ok((batch?.dropped.length ?? 99) <= 64);
  assert.ok(batch?.dropped.every(({ reason }) => reason === "refused"));
  assert.equal(store.tally()["dropped.refused"], 690);
  const db = openReadOnly(folder);
  const kept = db.prepare("SELECT sequence, code, payload FROM refused ORDER BY id").all() as {
    sequence: number;
    payload: string;
  }[];
  db.close();
  assert.equal(kept.length, 64);
  assert.deepEqual(JSON.parse(kept.at(-1)?.payload ?? "")[0], reading(680));
});

test("an abandoned boot leaves nothing behind but its count and its refused batches", () => {
  const first = open();
  first.accept(readings(0, 20), "results");
  first.commit();
  first.seal("results", 10, 2);
  crash(first);
  const second = open();
  second.abandon(first.boot, "boot-regressed");
  assert.deepEqual(second.outstanding(9), []);
  assert.deepEqual(second.openTails(), []);
  assert.deepEqual(second.queued(), { results: 0, telemetry: 0 });
  assert.equal(second.tally()["dropped.refused"], 20);
  assert.equal(summarise(folder).refusedBatchesKept, 2);
});

for (const code of ["sequence-gap", "sequence-duplicate"] as const)
  test(`a ledger that lost what it had receipted, and says ${code} to what follows, is told that the numbers were freed`, () => {
    const store = open();
    store.accept(readings(0, 30), "results");
    store.commit();
    store.seal("results", 10, 3);
    const { id } = store.boot;
    store.received({ boot: id, upTo: 2 });
    const [head] = store.outstanding(1);
    assert.ok(head);
    store.received({ boot: id, upTo: 0, refused: { sequence: 3, code } });
    assert.deepEqual(store.read(head)?.dropped, [{ first: 1, last: 2, readings: 0, reason: "already-freed" }]);
    store.received({ boot: id, upTo: 3 });
    assert.deepEqual(store.outstanding(9), []);
    assert.equal(summarise(folder).unstated.batches, 0);
  });

test("a late gap refusal of another batch than the oldest invents no gap", () => {
  const store = open();
  store.accept(readings(0, 40), "results");
  store.commit();
  store.seal("results", 10, 4);
  const { id } = store.boot;
  store.received({ boot: id, upTo: 2 });
  store.received({ boot: id, upTo: 0, refused: { sequence: 4, code: "sequence-gap" } });
  const [head] = store.outstanding(1);
  assert.ok(head);
  assert.deepEqual(store.read(head)?.dropped, []);
});

test("the boot counter rises with every start, also when the database is lost", () => {
  assert.equal(open().boot.count, 1);
  crash(opened[0] as EdgeStore);
  const second = open();
  assert.equal(second.boot.count, 2);
  crash(second);
  for (const name of ["edge.sqlite", "edge.sqlite-wal", "edge.sqlite-shm"]) rmSync(join(folder, name), { force: true });
  const third = open();
  assert.equal(third.boot.count, 3);
  crash(third);
  writeFileSync(join(folder, "boot-counter"), "nonsense");
  assert.equal(open().boot.count, 4);
});

test("a damaged file is set aside, a new one begun, and the loss stated in its first batch", () => {
  const first = open();
  first.accept(readings(0, 5_000), "results");
  first.close();
  opened = [];
  const file = join(folder, "edge.sqlite");
  const bytes = readFileSync(file);
  bytes.fill(0xaa, 8_192, 40_000);
  writeFileSync(file, bytes);
  truncateSync(file, 60_000);
  const second = open();
  assert.equal(second.boot.count, 2);
  second.accept(readings(0, 1), "results");
  second.commit();
  const [sealed] = second.seal("results", 10, 1);
  assert.ok(sealed);
  assert.deepEqual(second.read(sealed)?.dropped, [{ first: 1, last: 1, readings: 0, reason: "store-damaged" }]);
  assert.equal(statSync(`${file}.damaged`).size, 60_000);
});

test("damage that shows while the daemon runs ends the run, and the next one begins a new file", () => {
  const first = open(100_000_000);
  for (let round = 0; round < 50; round++) first.accept(readings(round * 10_000, 10_000), "results");
  first.close();
  opened = [];
  const causes: unknown[] = [];
  const second = open(100_000_000, (cause) => causes.push(cause));
  const file = join(folder, "edge.sqlite");
  const bytes = readFileSync(file);
  bytes.fill(0xaa, 100_000, bytes.length - 100_000);
  writeFileSync(file, bytes);
  assert.throws(() => {
    for (let round = 0; round < 1_000; round++)
      for (const sealed of second.seal("results", 500, 1)) second.read(sealed);
  });
  assert.equal(causes.length, 1);
  crash(second);
  assert.deepEqual(open().queued(), { results: 0, telemetry: 0 });
});

test("a second daemon on the same folder is refused while the first one runs", () => {
  open();
  assert.throws(
    () => open(),
    (fault) => fault instanceof NodeFault && fault.code === "store-unusable",
  );
});

test("a series beyond the first thousand is refused and counted, known ones go on", () => {
  const store = open();
  store.accept(
    Array.from({ length: 1_001 }, (_, index) => reading(index, { series: `test.s${index}` })),
    "results",
  );
  store.accept([reading(5, { series: "test.s5" })], "results");
  store.commit();
  assert.equal(store.queued().results, 1_001);
  assert.equal(store.tally()["refused.series-limit"], 1);
});

test("of slot receipts the one with most credit is kept per epoch and verifier, for the last thousand epochs", () => {
  const store = open();
  const receipt = (epoch: number, credited: number) => ({
    epoch,
    verifier: "0xv",
    credited,
    message: Buffer.from(`${epoch} ${credited}`),
  });
  assert.equal(store.keepSlotReceipt(receipt(1, 3)), true);
  assert.equal(store.keepSlotReceipt(receipt(1, 5)), true);
  assert.equal(store.keepSlotReceipt(receipt(1, 4)), false);
  for (let epoch = 2; epoch <= 1_010; epoch++) store.keepSlotReceipt(receipt(epoch, 1));
  assert.deepEqual(summarise(folder).slotReceipts, { epochs: 1_000, newestEpoch: 1_010 });
});

test("the file stays within its cap, and a reading costs no more of it than is counted", () => {
  const store = open(2_000_000);
  for (let round = 0; round < 40; round++) {
    store.accept(
      Array.from({ length: 5_000 }, (_, index) => reading(round * 5_000 + index + 0.123, { quality: "bad" })),
      "results",
    );
    store.commit();
  }
  assert.ok(store.queued().results > 60_000);
  store.close();
  opened = [];
  const { size } = statSync(join(folder, "edge.sqlite"));
  assert.ok(size < 2_200_000, `${size} bytes`);
});

test("the status tells in words what waits, what was stored and what was lost", () => {
  const store = open(3_200);
  store.accept(readings(0, 120), "results");
  store.commit();
  store.seal("results", 50, 1);
  store.received({ boot: store.boot.id, upTo: 2 });
  const text = statusText(summarise(folder));
  assert.match(text, /Boot 1 .*2 batches numbered, stored by the coordinator up to 2/);
  assert.match(text, /48 results and 0 telemetry readings/);
  assert.match(text, /120 readings accepted, 50 stored/);
  assert.match(text, /22 dropped: store-full/);
  assert.throws(() => summarise(join(folder, "nowhere")), NodeFault);
  const empty = mkdtempSync(join(folder, "empty-"));
  writeFileSync(join(empty, "edge.sqlite"), "");
  assert.throws(() => summarise(empty), NodeFault);
});

test("while the disk refuses, readings wait in memory, the oldest beyond 20,000 go, and what is left is stored later", () => {
  const store = open();
  const blocker = openReadOnly(folder);
  blocker.close();
  const value = reading(Number.NaN);
  // NaN is stored as NULL, which the column refuses: the same way a full disk refuses.
  store.accept([value], "results");
  surroundings.advance(50);
  for (let round = 0; round < 5; round++) store.accept(readings(round * 5_000, 5_000), "results");
  surroundings.advance(1_000);
  assert.equal(store.tally().unstored, 5_001);
  surroundings.advance(1_000);
  assert.equal(store.queued().results, 20_000);
});
