/**
 * How fast one coordinator process takes in signed batches: 200 simulated keys, batches of 50 readings, QoS 1 through the embedded
 * broker, verified, committed to SQLite (synchronous), storage receipts returned. Baselines of the same run: bare P-256 verifications
 * on one core, and bare better-sqlite3 inserts of the same rows into the same table in transactions of 1,000.
 *
 *   npm run bench -- ingest [--runs 3] [--batches 100]
 */
import { spawn } from "node:child_process";
import { generateKeyPairSync, sign, verify } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { openLaboratory } from "@cairn/localnet";
import { nodeIdOf } from "@cairn/protocol";
import Database from "better-sqlite3";
import type { LoadPlan } from "./ingest-load.ts";
import { median } from "./median.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "3" },
    batches: { type: "string", default: "100" },
    keys: { type: "string", default: "200" },
  },
});
const runs = Number(values.runs);
const batchesPerKey = Number(values.batches);
const keyCount = Number(values.keys);
const readingsPerBatch = 50;
/** As the load makes them. */
const seriesPerBatch = 5;
const readingsPerSeries = readingsPerBatch / seriesPerBatch;
const rows = 300_000;

/** Verifications of a batch-sized message per second, one after the other. */
function bareVerifications(): number {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const message = Buffer.alloc(900, 7);
  const signature = sign("sha256", message, privateKey);
  let count = 0;
  const startedAt = performance.now();
  while (performance.now() - startedAt < 1_500) {
    for (let index = 0; index < 100; index++)
      if (!verify("sha256", message, publicKey, signature)) throw new Error("not valid");
    count += 100;
  }
  return count / ((performance.now() - startedAt) / 1000);
}

/** Inserts per second into a table like the ledger's own, indexed and as durable as it. */
function bareInserts(folder: string, schema: readonly string[]): number {
  const path = join(folder, "bare.sqlite");
  const database = new Database(path);
  database.pragma("journal_mode = wal");
  database.pragma("synchronous = full");
  database.pragma("cache_size = -32768");
  database.pragma("wal_autocheckpoint = 16000");
  for (const statement of schema) database.exec(statement);
  const insert = database.prepare("insert into reading (channel, at, id, value, quality) values (?, ?, ?, ?, ?)");
  const transaction = database.transaction((first: number) => {
    for (let row = first; row < first + 1_000; row++) {
      const batch = Math.floor(row / readingsPerBatch);
      // In the order in which the ledger writes a batch: one series after the other.
      const place = row % readingsPerBatch;
      const channel = 1 + (batch % keyCount) * seriesPerBatch + Math.floor(place / readingsPerSeries);
      const at = 1_790_000_000_000 + Math.floor(batch / keyCount) * 10_000 + (place % readingsPerSeries) * 1_000;
      insert.run(channel, at, batch * 512 + place, (row % 20_000) / 100, 0);
    }
  });
  const startedAt = performance.now();
  for (let row = 0; row < rows; row += 1_000) transaction(row);
  const rate = rows / ((performance.now() - startedAt) / 1000);
  database.close();
  for (const suffix of ["", "-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
  return rate;
}

/** Runs the load process; returns seconds from the first batch sent to the last receipt. */
function runLoad(plan: LoadPlan): Promise<{ seconds: number; cpuSeconds: number }> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      [new URL("./ingest-load.ts", import.meta.url).pathname, JSON.stringify(plan)],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    createInterface({ input: child.stdout }).on("line", (line) => {
      const { done } = JSON.parse(line);
      if (done) resolve(done);
    });
    child.on("exit", (code) => {
      if (code !== 0) reject(new Error(`the load ended with code ${code}`));
    });
  });
}

const folder = mkdtempSync(join(tmpdir(), "cairn-bench-ingest-"));
const keys = Array.from({ length: keyCount }, (_, index) => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    name: `load-${index}`,
    nodeId: nodeIdOf(publicKey),
    publicKey: publicKey.export({ format: "pem", type: "spki" }).toString(),
    privateKey: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
  };
});
const laboratory = await openLaboratory({ simulated: keys.map(({ name, publicKey }) => ({ name, publicKey })) });
laboratory.coordinator.start();
await laboratory.coordinatorReady();
const ledger = new Database(laboratory.ledgerFile, { readonly: true });
const schema = ledger
  .prepare<[], string>("select sql from sqlite_master where tbl_name = 'reading' and sql is not null order by rootpage")
  .pluck()
  .all();
const stored = () => ledger.prepare<[], number>("select readings from total").pluck().get() ?? 0;

const verifications: number[] = [];
const inserts: number[] = [];
const rates: number[] = [];
const ratios: number[] = [];
try {
  // A first, uncounted run: compiled code, channels and file are there when it counts.
  const load = { port: laboratory.mqttPort, network: "local", keys, readingsPerBatch, window: 8 };
  await runLoad({ ...load, batchesPerKey: 20, run: 1 });
  for (let run = 1; run <= runs; run++) {
    const verifying = bareVerifications();
    const inserting = bareInserts(folder, schema);
    const before = stored();
    const { seconds, cpuSeconds } = await runLoad({ ...load, batchesPerKey, run: run + 1 });
    const readings = keyCount * batchesPerKey * readingsPerBatch;
    if (stored() - before !== readings)
      throw new Error(`${readings} readings were receipted, but ${stored() - before} are stored`);
    const rate = readings / seconds;
    const limit = Math.min(verifying * readingsPerBatch, inserting);
    verifications.push(verifying);
    inserts.push(inserting);
    rates.push(rate);
    ratios.push(rate / limit);
    process.stdout.write(
      `run ${run}: ${Math.round(rate)} readings/s taken in; ${Math.round(verifying)} bare verifications/s (${Math.round(verifying * readingsPerBatch)} readings/s), ` +
        `${Math.round(inserting)} bare inserts/s; ratio ${(rate / limit).toFixed(2)}; load process ${(cpuSeconds / seconds).toFixed(2)} cores\n`,
    );
  }
} finally {
  ledger.close();
  await laboratory.close();
  rmSync(folder, { recursive: true, force: true });
}
const figures = { readings_per_s: Math.round(median(rates)), ratio_to_limit: Number(median(ratios).toFixed(3)) };
const baseline = {
  verify_readings_per_s: Math.round(median(verifications) * readingsPerBatch),
  insert_rows_per_s: Math.round(median(inserts)),
};
process.stdout.write(`${JSON.stringify({ bench: "ingest", figures, baseline, runs })}\n`);
