/**
 * What a reading costs on its way into the ledger: CPU time of coordinators, broker and database together, on each way that the
 * coordinator can be run. All laboratories stand beside each other, so that their runs can be interleaved.
 */
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Laboratory, openLaboratory } from "@cairn/localnet";
import { nodeIdOf } from "@cairn/protocol";
import Database from "better-sqlite3";
import { startChild } from "./child.ts";
import { cpuOf, familyCpuOf, type Meter, spent } from "./cpu.ts";
import type { LoadPlan } from "./ingest-load.ts";
import { postmasterOf } from "./scale-writer.ts";

type Route = {
  readonly name: string;
  readonly broker: "embedded" | "mosquitto" | "nats";
  readonly ledger: "sqlite" | "postgres";
  readonly coordinators: 1 | 2;
};

export const routes = [
  { name: "aedes_sqlite", broker: "embedded", ledger: "sqlite", coordinators: 1 },
  { name: "mosquitto_postgres_1", broker: "mosquitto", ledger: "postgres", coordinators: 1 },
  { name: "mosquitto_postgres_2", broker: "mosquitto", ledger: "postgres", coordinators: 2 },
  { name: "nats_postgres_1", broker: "nats", ledger: "postgres", coordinators: 1 },
  { name: "nats_postgres_2", broker: "nats", ledger: "postgres", coordinators: 2 },
] as const satisfies readonly Route[];
export type RouteName = (typeof routes)[number]["name"];

/** us of CPU time per reading, of each part. The embedded broker and SQLite are inside the coordinator. */
export type IngestCost = {
  readonly coordinators: number;
  readonly broker: number;
  readonly database: number;
  readonly whole: number;
  readonly readingsPerSecond: number;
  /** Refusals for a gap, after which a node sent its window again. */
  readonly gaps: number;
};

export type IngestCase = {
  readonly name: RouteName;
  /** Throws when readings that were receipted are not stored, or others are. */
  run(batchesPerKey: number): Promise<IngestCost>;
  close(): Promise<void>;
};

type Key = { readonly name: string; readonly publicKey: string } & LoadPlan["keys"][number];

const readingsPerBatch = 50;
/** Work that goes on after the last receipt: acknowledgements to the broker. */
const afterwardsMs = 300;
/** No slot ends while something is measured. */
const slotSeconds = 3_600;

export function makeKeys(count: number): readonly Key[] {
  return Array.from({ length: count }, (_, index) => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    return {
      name: `load-${index}`,
      nodeId: nodeIdOf(publicKey),
      publicKey: publicKey.export({ format: "pem", type: "spki" }).toString(),
      privateKey: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    };
  });
}

/**
 * Starts everything and sends a first, uncounted load, the same to each coordinator: compiled code, channels and files are there when it
 * counts. Without it two replicas would seem dearer than one, because each has half as much to warm up with.
 */
export async function openIngestCase(
  route: (typeof routes)[number],
  keys: readonly Key[],
  warmUpBatches: number,
): Promise<IngestCase> {
  const laboratory = await openLaboratory({
    simulated: keys.map(({ name, publicKey }) => ({ name, publicKey })),
    broker: route.broker,
    ledger: route.ledger,
    ledgerFolder: tmpdir(),
    coordinators: route.coordinators,
    slotSeconds,
  });
  try {
    for (const coordinator of laboratory.coordinators) coordinator.start();
    for (const coordinator of laboratory.coordinators) await coordinator.ready();
    const meter = await openMeter(laboratory);
    const load = { port: portOf(laboratory), network: "local", keys: keys.map(withPassword(laboratory)), window: 8 };
    let runs = 0;
    const made: IngestCase = {
      name: route.name,
      async run(batchesPerKey) {
        runs += 1;
        const before = await storedIn(laboratory);
        const plan: LoadPlan = { ...load, readingsPerBatch, batchesPerKey, run: runs };
        const readings = keys.length * batchesPerKey * readingsPerBatch;
        const { us, seconds, resent } = await runLoad(plan, meter, laboratory);
        const stored = (await storedIn(laboratory)) - before;
        if (stored !== readings)
          throw new Error(`${route.name}: ${readings} readings were receipted, but ${stored} are stored`);
        const per = (name: string) => (us[name] ?? 0) / readings;
        const parts = { coordinators: per("coordinators"), broker: per("broker"), database: per("database") };
        const whole = parts.coordinators + parts.broker + parts.database;
        return { ...parts, whole, readingsPerSecond: readings / seconds, gaps: resent };
      },
      close: () => laboratory.close(),
    };
    await made.run(warmUpBatches * route.coordinators);
    return made;
  } catch (cause) {
    await laboratory.close();
    throw cause;
  }
}

function portOf({ nodeUrls }: Laboratory): number {
  return Number(new URL(nodeUrls[0] ?? "").port);
}

function withPassword({ logins }: Laboratory) {
  return ({ nodeId, privateKey }: Key): LoadPlan["keys"][number] => {
    if (logins === undefined) return { nodeId, privateKey };
    const { password } = JSON.parse(readFileSync(join(logins, `${nodeId}.json`), "utf8")) as { password: string };
    return { nodeId, privateKey, password };
  };
}

async function openMeter({ coordinators, brokers, postgres }: Laboratory): Promise<Meter> {
  const postmaster = postgres && (await postmasterOf(postgres.server, postgres.url));
  const sum = (pids: readonly (number | undefined)[]) => pids.reduce<number>((us, pid) => us + cpuOf(pid ?? 0), 0);
  return () => ({
    coordinators: sum(coordinators.map(({ pid }) => pid())),
    broker: sum(brokers.map(({ pid }) => pid())),
    database: postmaster === undefined ? 0 : familyCpuOf(postmaster),
  });
}

async function storedIn({ postgres, ledgerFile }: Laboratory): Promise<number> {
  if (postgres) {
    const [row] = await postgres.server.query<{ stored: string }>(
      postgres.url,
      "select coalesce(sum(readings), 0) as stored from total",
    );
    return Number(row?.stored);
  }
  const ledger = new Database(ledgerFile, { readonly: true });
  try {
    return ledger.prepare<[], number>("select readings from total").pluck().get() ?? 0;
  } finally {
    ledger.close();
  }
}

async function runLoad(plan: LoadPlan, meter: Meter, laboratory: Laboratory) {
  const load = startChild(new URL("./ingest-load.ts", import.meta.url), []);
  load.tell(JSON.stringify(plan));
  await load.hear();
  let done = { seconds: 0, resent: 0 };
  const us = await spent(meter, async () => {
    load.tell("go");
    try {
      ({ done } = await load.hear<{ done: typeof done }>());
    } catch (cause) {
      throw new Error(`the load did not end; the coordinator says:\n${laboratory.log("coordinator").slice(-2_000)}`, {
        cause,
      });
    }
    await sleep(afterwardsMs);
  });
  await load.end();
  return { us, ...done };
}
