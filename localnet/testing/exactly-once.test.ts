/**
 * The data path loses nothing and doubles nothing: a real node under load and the real coordinator are killed with SIGKILL twenty times
 * each at random moments; afterwards every reading that the edge store had accepted is in the ledger exactly once.
 */
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { eventually, type Laboratory, laboratoryMissing, openLaboratory, type Part } from "../src/laboratory.ts";

const kills = 20;
const missing = laboratoryMissing();

/** Fifty fixes a second on a line due north: some four hundred readings a second. */
function busyRecording(): string {
  const checksummed = (body: string) => {
    const sum = [...Buffer.from(body)].reduce((xor, byte) => xor ^ byte, 0);
    return `$${body}*${sum.toString(16).toUpperCase().padStart(2, "0")}\r\n`;
  };
  const header = { format: "cairn-recording/1", device: "made for a test", baudRate: 115_200, note: "50 fixes/s" };
  const lines = [JSON.stringify(header)];
  for (let fix = 0; fix < 1_500; fix++) {
    const time = `1200${String(Math.floor(fix / 50)).padStart(2, "0")}.${String((fix % 50) * 2).padStart(2, "0")}`;
    const latitude = `48${(10 + fix / 1_000).toFixed(4).padStart(7, "0")}`;
    const sentences =
      checksummed(`GPGGA,${time},${latitude},N,01134.0000,E,1,09,0.9,520.0,M,47.0,M,,`) +
      checksummed(`GPRMC,${time},A,${latitude},N,01134.0000,E,12.5,0.0,201126,,,A`);
    lines.push(JSON.stringify({ t: fix * 20, b: sentences }));
  }
  return `${lines.join("\n")}\n`;
}

/** Lets the edge store keep a journal of what it accepts, written in the very transaction that accepts it. */
function keepJournal(edgeFile: string): void {
  const edge = new Database(edgeFile);
  edge.exec("create table journal (series integer, at integer, value real)");
  for (const table of ["results", "telemetry"])
    edge.exec(`insert into journal select series, at, value from ${table};
      create trigger journal_${table} after insert on ${table}
      begin insert into journal values (new.series, new.at, new.value); end`);
  edge.close();
}

type Row = { name: string; at: number; value: number };

function accepted(edgeFile: string): Row[] {
  const edge = new Database(edgeFile, { readonly: true });
  const rows = edge
    .prepare<[], Row>(
      "select series.name, journal.at, journal.value from journal join series on series.id = journal.series",
    )
    .all();
  edge.close();
  return rows;
}

function ledgered(ledgerFile: string): Row[] {
  const ledger = new Database(ledgerFile, { readonly: true });
  const rows = ledger
    .prepare<[], Row>(
      "select channel.series as name, reading.at, reading.value from reading join channel on channel.id = reading.channel",
    )
    .all();
  ledger.close();
  return rows;
}

/** How often each reading stands in one list more than in the other. */
function difference(left: readonly Row[], right: readonly Row[]): Map<string, number> {
  const counts = new Map<string, number>();
  const add = (rows: readonly Row[], by: number) => {
    for (const { name, at, value } of rows) {
      const key = `${name} ${at} ${value}`;
      counts.set(key, (counts.get(key) ?? 0) + by);
    }
  };
  add(left, 1);
  add(right, -1);
  return new Map([...counts].filter(([, count]) => count !== 0));
}

async function killAtRandom(part: Part, longestMs: number): Promise<void> {
  for (let kill = 0; kill < kills; kill++) {
    if (!part.isRunning()) part.start();
    await sleep(200 + Math.random() * longestMs);
    await part.end("SIGKILL");
  }
  part.start();
}

function waiting(edgeFile: string): number {
  const edge = new Database(edgeFile, { readonly: true });
  const count = edge
    .prepare<[], number>("select (select count(*) from results) + (select count(*) from telemetry)")
    .pluck()
    .get();
  edge.close();
  return count ?? 0;
}

test(`a node and the coordinator killed ${kills} times each under load leave every accepted reading exactly once in the ledger`, {
  skip: missing ?? false,
}, async () => {
  let laboratory: Laboratory | undefined;
  try {
    laboratory = await openLaboratory({ nodes: 1 });
    const recording = join(laboratory.folder, "busy.jsonl");
    writeFileSync(recording, busyRecording());
    const flags = ["--serial", `replay:${recording}`, "--host-seconds", "1", "--batch-seconds", "0.2"];
    const node = laboratory.node(0, flags);
    const edgeFile = join(laboratory.nodes[0]?.folder ?? "", "edge.sqlite");
    node.start();
    await eventually(
      "the node has made its store",
      30_000,
      () => (existsSync(edgeFile) && waitingOrNot(edgeFile)) || undefined,
    );
    await node.end("SIGKILL");
    keepJournal(edgeFile);
    laboratory.coordinator.start();
    await laboratory.coordinatorReady();

    await Promise.all([killAtRandom(node, 2_500), killAtRandom(laboratory.coordinator, 4_000)]);

    await laboratory.coordinatorReady();
    await sleep(3_000);
    // From here on nothing new is measured from the receiver; the outbox drains.
    await node.end("SIGKILL");
    const draining = laboratory.node(0, ["--host-seconds", "3600", "--batch-seconds", "0.2"]);
    draining.start();
    await eventually("the outbox is empty", 120_000, () => (waiting(edgeFile) === 0 ? true : undefined));
    await draining.end("SIGTERM");
    await laboratory.coordinator.end("SIGTERM");

    const measured = accepted(edgeFile);
    assert.ok(measured.length > 2_000, `the load was too small to mean anything: ${measured.length} readings`);
    assert.deepEqual(difference(measured, ledgered(laboratory.ledgerFile)), new Map());
  } finally {
    await laboratory?.close();
  }
});

/** Whether the store has its tables yet. */
function waitingOrNot(edgeFile: string): boolean {
  try {
    waiting(edgeFile);
    return true;
  } catch {
    return false;
  }
}
