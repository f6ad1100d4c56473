/** The schema of a ledger on PostgreSQL: brought forward by migrations, and refused when it is not what they make. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { CoordinatorFault } from "../../fault.ts";
import { type Postgres, postgresClock, type Transaction } from "./database.ts";

type Migration = {
  readonly number: number;
  readonly name: string;
  readonly text: string;
  readonly sha256: string;
  readonly compatibleFrom: number;
};
type Applied = {
  readonly number: number;
  readonly name: string;
  readonly sha256: string;
  readonly compatible_from: number;
};

const folder = new URL("./migrations/", import.meta.url);
/** First key of this program's advisory locks ("cair"); the second tells apart ledgers in one database. */
const lockSpace = 0x63616972;
const migrationWaitMs = 60_000;
/** Who waits for a table, because a backup reads it, makes all replicas wait: less than a duty is held, then it is tried with the next start. */
const tableWaitMs = 4_000;
/** Replicas are seen every second: one that was seen this lately runs, or was stopped a moment ago and is waited for. */
const seenMs = 4_000;
const stopWaitMs = 6_000;

/** The migrations of this program, in their order. */
export function readMigrations(): readonly Migration[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".sql"))
    .sort()
    .map((name, index) => {
      const text = readFileSync(new URL(name, folder), "utf8");
      const [, from] = /^-- compatible-from: (\d+)\n/.exec(text) ?? [];
      if (from === undefined) throw new Error(`${name} does not begin with "-- compatible-from: N"`);
      const sha256 = createHash("sha256").update(text).digest("hex");
      return { number: index + 1, name, text, sha256, compatibleFrom: Number(from) };
    });
}

/**
 * Applies the migrations that the ledger has not seen, each in a transaction of its own that others who open it wait for. A ledger that
 * is newer by migrations which leave this program's schema usable is left as it is: replicas of two versions run on one ledger.
 * Throws CoordinatorFault: `ledger-newer`, `ledger-in-use`, `ledger-damaged`.
 */
export async function migrate(postgres: Postgres): Promise<void> {
  const migrations = readMigrations();
  let applied = 0;
  do {
    applied = await postgres.transaction(async (transaction) => {
      await transaction.run(`set local lock_timeout = ${migrationWaitMs}`);
      await transaction.run(`set local statement_timeout = ${migrationWaitMs}`);
      await transaction.run("select pg_advisory_xact_lock($1, hashtext(current_schema()))", [lockSpace]);
      await transaction.run(
        `create table if not exists schema_migration (
           number integer primary key,
           name text collate "C" not null,
           sha256 text collate "C" not null,
           applied_at bigint not null,
           -- Lowest schema that a program may know and still work with this one.
           compatible_from integer not null
         )`,
      );
      const known = await transaction.rows<Applied>(
        "select number, name, sha256, compatible_from from schema_migration order by number",
      );
      judge(known, migrations);
      const missing = migrations.slice(known.length);
      const breaking = missing.find(({ compatibleFrom }) => compatibleFrom > known.length);
      if (breaking) await othersStopped(transaction, breaking);
      const [next] = missing;
      if (next) await apply(transaction, next);
      else await lookForTables(transaction, migrations);
      return known.length;
    });
  } while (applied < migrations.length);
}

function judge(applied: readonly Applied[], migrations: readonly Migration[]): void {
  const newer = applied.filter(({ number }) => number > migrations.length);
  const needs = Math.max(0, ...newer.map(({ compatible_from }) => compatible_from));
  if (needs > migrations.length)
    throw new CoordinatorFault(
      "ledger-newer",
      `the ledger is at schema ${applied.at(-1)?.number}, which needs a program that knows ${needs}; this one knows ${migrations.length}: update it`,
    );
  for (const [index, { number, name, sha256 }] of applied.entries()) {
    if (number !== index + 1) throw damaged(`migration ${index + 1} is not on record, but ${name} is`);
    const file = migrations[index];
    if (file && file.sha256 !== sha256) throw damaged(`${name} was applied, but was not this program's ${file.name}`);
  }
}

/** Replicas that do not know the migration and cannot live with it would go on writing as if nothing had changed. */
async function othersStopped(transaction: Transaction, { name }: Migration): Promise<void> {
  const [table] = await transaction.rows("select where to_regclass('replica') is not null");
  if (!table) return;
  for (const giveUpAt = performance.now() + stopWaitMs; ; await sleep(500)) {
    const running = await transaction.rows<{ name: string }>(
      `select distinct split_part(name, '/', 1) as name from replica where seen_at > ${postgresClock} - $1 order by name`,
      [seenMs],
    );
    if (running.length === 0) return;
    if (performance.now() < giveUpAt) continue;
    const names = running.map((replica) => replica.name).join(", ");
    throw new CoordinatorFault(
      "ledger-in-use",
      `${name} makes of the ledger what programs of an older version cannot live with, and some run on it: stop ${names} first`,
    );
  }
}

async function apply(transaction: Transaction, { number, name, text, sha256, compatibleFrom }: Migration) {
  try {
    await transaction.run(`set local lock_timeout = ${tableWaitMs}`);
    await transaction.run(text);
  } catch (cause) {
    // What it makes is there already (class 42): part of it was made by another hand.
    const { code = "" } = cause as { code?: string };
    if (!/^42(?!501)/.test(code)) throw cause;
    throw damaged(`${name} is not on record, but cannot be applied: ${(cause as Error).message}`, cause);
  }
  await transaction.run(
    `insert into schema_migration (number, name, sha256, applied_at, compatible_from)
     values ($1, $2, $3, ${postgresClock}, $4)`,
    [number, name, sha256, compatibleFrom],
  );
}

/** Every table that the migrations on record have made. */
async function lookForTables(transaction: Transaction, migrations: readonly Migration[]): Promise<void> {
  const tables = migrations.flatMap(({ text }) =>
    [...text.matchAll(/^create table (\w+)/gm)].map(([, table]) => table),
  );
  const missing = await transaction.rows<{ name: string }>(
    "select name from unnest($1::text[]) as wanted (name) where to_regclass(name) is null",
    [tables],
  );
  if (missing.length > 0) throw damaged(`the table ${missing.map(({ name }) => name).join(", ")} is missing`);
}

function damaged(what: string, cause?: unknown): CoordinatorFault {
  return new CoordinatorFault("ledger-damaged", `the ledger's schema is damaged: ${what}`, { cause });
}
