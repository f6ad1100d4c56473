/**
 * How fast one node takes readings into its outbox so that they survive SIGKILL and loss of power (the real edge store, group commit of at
 * most 50 ms), and how fast a backlog leaves it again (the real uplink: seal, read, encode and sign, receipt, delete by range). Baseline of
 * the same run: bare better-sqlite3 inserts of the same rows into the same table, as durable, in transactions of 1,000.
 *
 *   npm run bench -- outbox [--runs 3] [--rows 300000]
 *
 * Each measurement is a process of its own, so that its memory is a node's. One more process is killed while it takes readings in, and
 * everything that it had called accepted must be in its file.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setImmediate as turn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type BootId, encodeBatch, nodeIdOf, type Reading, signerOf } from "@cairn/protocol";
import Database from "better-sqlite3";
import { createUplink } from "../node-runtime/src/act/uplink.ts";
import { meaningOfRefusal, nextUplinkSteps } from "../node-runtime/src/decide/uplink.ts";
import type { Log, Surroundings } from "../node-runtime/src/model.ts";
import { openEdgeStore } from "../node-runtime/src/store/edge-store.ts";
import { median } from "./median.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "3" },
    rows: { type: "string", default: "300000" },
    part: { type: "string" },
    folder: { type: "string" },
  },
});
const runs = Number(values.runs);
const rows = Number(values.rows);
const bounds = { enqueue_per_s: 10_000, drain_per_s: 30_000, rss_mb: 100 };

/** As a fusion of sensors gives them: 16 series, ten times a second, with fractions. The value tells which reading it is. */
function readingAt(index: number): Reading {
  const series = `bench.sensor${index % 16}`;
  return {
    series,
    unit: "m/s",
    at: 1_800_000_000_000 + Math.floor(index / 16) * 100,
    value: index + 0.5,
    quality: "good",
  };
}

const surroundings: Surroundings = {
  now: Date.now,
  steadyNow: () => performance.now(),
  later(ms, task) {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  },
  random: Math.random,
};
const silent: Log = { debug() {}, info() {}, warn() {}, error: (fields, text) => console.error(text, fields) };

const open = (folder: string) =>
  openEdgeStore({
    folder,
    bootId: randomBytes(16).toString("hex") as BootId,
    capBytes: 1_000_000_000,
    surroundings,
    log: silent,
    broken(cause) {
      throw cause;
    },
  });

function say(figures: Record<string, number>): void {
  writeSync(1, `${JSON.stringify(figures)}\n`);
}

const rssMb = () => process.memoryUsage.rss() / 1e6;

/** Takes `rows` readings in, in calls of 100 as sensors make them, never more than 20,000 ahead of the disk. Says what it accepted. */
async function enqueue(folder: string, count: number): Promise<void> {
  const store = open(folder);
  const waits: number[] = [];
  let accepted = 0;
  let highest = 0;
  const startedAt = performance.now();
  for (let given = 0; given < count; ) {
    const until = Math.min(given + 1_000, count);
    while (given < until) {
      const readings = Array.from({ length: Math.min(100, until - given) }, (_, index) => readingAt(given + index));
      given += readings.length;
      const givenAt = performance.now();
      const upTo = given;
      store.accept(readings, "results", () => {
        accepted = upTo;
        waits.push(performance.now() - givenAt);
      });
    }
    await turn();
    say({ accepted });
    highest = Math.max(highest, rssMb());
  }
  store.commit();
  const seconds = (performance.now() - startedAt) / 1000;
  waits.sort((a, b) => a - b);
  say({ accepted, perSecond: accepted / seconds, longestWaitMs: waits.at(-1) ?? 0, rss: highest });
  store.close();
}

/** Empties the outbox through the uplink. The coordinator answers every batch in the next turn of the loop. */
async function drain(folder: string): Promise<void> {
  const store = open(folder);
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const nodeId = nodeIdOf(publicKey);
  const sign = signerOf(privateKey);
  const backlog = store.queued().results;
  const memory: number[] = [];
  let bytes = 0;
  const uplink = createUplink({
    store,
    limits: { window: 8, batchReadings: 500, batchMs: 0, graceMs: 0, refusals: 3 },
    surroundings,
    log: silent,
    next: nextUplinkSteps,
    meaning: meaningOfRefusal,
    backoff: () => 60_000,
    async send(batch) {
      bytes += encodeBatch(batch, nodeId, sign).length;
      await turn();
      uplink.receipt({ boot: batch.boot, upTo: batch.sequence });
    },
  });
  const startedAt = performance.now();
  uplink.connected();
  uplink.coordinatorIs("online");
  for (let turns = 0; store.queued().results > 0 || store.outstanding(1).length > 0; turns++) {
    await turn();
    if (turns % 50 === 0) memory.push(rssMb());
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const half = memory.slice(Math.floor(memory.length / 2));
  say({
    perSecond: backlog / seconds,
    bytesPerReading: bytes / backlog,
    rss: Math.max(...memory),
    // Flat: the second half of the backlog takes no more memory than the first did.
    growth: Math.max(...half) - Math.max(...memory.slice(0, Math.floor(memory.length / 2))),
  });
  uplink.close();
  store.close();
}

function bare(folder: string, count: number): void {
  const db = new Database(join(folder, "bare.sqlite"));
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = FULL");
  db.exec(
    "CREATE TABLE results (id INTEGER PRIMARY KEY AUTOINCREMENT, series INTEGER NOT NULL, at INTEGER NOT NULL, value REAL NOT NULL, quality INTEGER NOT NULL) STRICT",
  );
  const insert = db.prepare("INSERT INTO results (series, at, value, quality) VALUES (?, ?, ?, ?)");
  const transaction = db.transaction((first: number) => {
    for (let index = first; index < Math.min(first + 1_000, count); index++) {
      const { at, value } = readingAt(index);
      insert.run(index % 16, at, value, 0);
    }
  });
  const startedAt = performance.now();
  for (let first = 0; first < count; first += 1_000) transaction(first);
  say({ perSecond: count / ((performance.now() - startedAt) / 1000) });
  db.close();
}

type Said = Record<string, number>;

function start(part: string, folder: string): { child: ChildProcess; lines: AsyncIterable<string> } {
  const script = fileURLToPath(import.meta.url);
  // The flags and the environment that a launcher gives the daemon (node-runtime/src/main.ts).
  const cache = process.env.NODE_COMPILE_CACHE ?? join(scratch, "compiled");
  const child = spawn(
    process.execPath,
    [
      "--max-semi-space-size=1",
      "--optimize-for-size",
      script,
      "--part",
      part,
      "--folder",
      folder,
      "--rows",
      String(rows),
    ],
    { stdio: ["ignore", "pipe", "inherit"], env: { MALLOC_ARENA_MAX: "1", ...process.env, NODE_COMPILE_CACHE: cache } },
  );
  return { child, lines: createInterface({ input: child.stdout ?? process.stdin }) };
}

/** Runs one part to its end; answers with the last figures it said. */
async function measure(part: string, folder: string): Promise<Said> {
  const { child, lines } = start(part, folder);
  const ended = once(child, "exit");
  let last: Said = {};
  for await (const line of lines) last = JSON.parse(line) as Said;
  const [code] = await ended;
  if (code !== 0) throw new Error(`${part} ended with ${code}`);
  return last;
}

/** Kills a process that takes readings in; returns how many readings of those it had called accepted are missing. */
async function killed(folder: string): Promise<{ accepted: number; missing: number }> {
  const { child, lines } = start("enqueue", folder);
  const afterReadings = rows * (0.2 + 0.6 * Math.random());
  let accepted = 0;
  for await (const line of lines) {
    accepted = Math.max(accepted, (JSON.parse(line) as Said).accepted ?? 0);
    if (accepted >= afterReadings) child.kill("SIGKILL");
  }
  const db = new Database(join(folder, "edge.sqlite"), { readonly: true });
  const present = new Set(db.prepare("SELECT value FROM results").pluck().all() as number[]);
  db.close();
  let missing = 0;
  for (let index = 0; index < accepted; index++) if (!present.has(readingAt(index).value)) missing++;
  return { accepted, missing };
}

const scratch = values.part ? "" : mkdtempSync(join(tmpdir(), "cairn-bench-"));

async function main(): Promise<void> {
  const folderOf = (name: string) => mkdtempSync(join(scratch, `${name}-`));
  const figures = { enqueue: [] as number[], drain: [] as number[], rss: [] as number[], bare: [] as number[] };
  try {
    // A first, unmeasured run fills the compile cache, as the daemon's own start does.
    await measure("bare", folderOf("warm"));
    for (let run = 1; run <= runs; run++) {
      const folder = folderOf("run");
      const bareInserts = await measure("bare", folder);
      const taken = await measure("enqueue", folder);
      const left = await measure("drain", folder);
      figures.bare.push(bareInserts.perSecond ?? 0);
      figures.enqueue.push(taken.perSecond ?? 0);
      figures.drain.push(left.perSecond ?? 0);
      figures.rss.push(Math.max(taken.rss ?? 0, left.rss ?? 0));
      console.log(
        `run ${run}: enqueue ${Math.round(taken.perSecond ?? 0)}/s (longest wait ${Math.round(taken.longestWaitMs ?? 0)} ms, ` +
          `${Math.round(taken.rss ?? 0)} MB), drain ${Math.round(left.perSecond ?? 0)}/s (${Math.round(left.rss ?? 0)} MB, ` +
          `growth ${(left.growth ?? 0).toFixed(1)} MB, ${(left.bytesPerReading ?? 0).toFixed(1)} bytes a reading), ` +
          `bare inserts ${Math.round(bareInserts.perSecond ?? 0)}/s`,
      );
    }
    const { accepted, missing } = await killed(folderOf("killed"));
    console.log(`killed with SIGKILL after ${accepted} accepted readings: ${missing} missing`);
    const result = {
      bench: "outbox",
      figures: {
        enqueue_per_s: Math.round(median(figures.enqueue)),
        drain_per_s: Math.round(median(figures.drain)),
        rss_mb: Math.round(median(figures.rss) * 10) / 10,
        lost_after_kill: missing,
      },
      baseline: { bare_inserts_per_s: Math.round(median(figures.bare)) },
      runs,
    };
    const { enqueue_per_s, drain_per_s, rss_mb } = result.figures;
    const holds =
      enqueue_per_s >= bounds.enqueue_per_s &&
      drain_per_s >= bounds.drain_per_s &&
      rss_mb <= bounds.rss_mb &&
      missing === 0;
    if (!holds) process.exitCode = 1;
    console.log(JSON.stringify(result));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (values.part === "enqueue") await enqueue(values.folder ?? "", rows);
else if (values.part === "drain") await drain(values.folder ?? "");
else if (values.part === "bare") bare(values.folder ?? "", rows);
else await main();
