/**
 * The PostgreSQL side of a copy: where it stands is written with every page in the same transaction, so that it goes on from there after
 * a cut at any point. Until it is complete, the founding terms are not in their place, and no coordinator serves the ledger.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { CoordinatorFault } from "../fault.ts";
import { type LedgerRows, pageRows, pagesOf, postgresRows, type Range, within } from "./copy-rows.ts";
import { type CopiedTable, canonical, keyOf, type Row } from "./copy-tables.ts";
import { decodeFounding, differingTerms, encodeHalfCopied, termsIn } from "./founding.ts";
import type { Postgres, Transaction } from "./postgres/database.ts";
import { openPartitions } from "./postgres/partitions.ts";
import { migrate } from "./postgres/schema.ts";

/** First key of the advisory lock that keeps two copies apart ("ccpy"); the second tells apart ledgers in one database. */
const copying = 0x63637079;
const lockPatienceMs = 3_000;
const lockStepMs = 100;

/** Columns that only PostgreSQL has, with their values for a row. */
export type Placement = {
  /** Day of receipt of each reading, by its id. */
  dayOf(reading: number): number;
};

export type CopyTarget = {
  readonly rows: LedgerRows;
  /** Whether an earlier run has completed a copy here. */
  readonly wasComplete: boolean;
  /** How far a table was filled by earlier runs; `done` when all of it was. */
  standing(table: CopiedTable): Promise<{ readonly after: Row | null; readonly done: boolean }>;
  /** Adds the page of rows after the last one; `upTo` null: it was the table's last page. */
  fill(table: CopiedTable, page: { rows: readonly Row[]; range: Range }, placement: Placement): Promise<void>;
  /** Makes the table hold what `source` does, and nothing else. Returns rows written. */
  repair(table: CopiedTable, source: LedgerRows, placement: Placement): Promise<number>;
  /** Nobody serves the ledger from now on. */
  shut(): Promise<void>;
  /** Numbers given from now on are higher than those copied, and than `lastBatch`. Puts the founding terms in their place. */
  finish(lastBatch: number): Promise<void>;
};

/**
 * Runs `body` on the target, which nobody else copies into meanwhile. Throws CoordinatorFault `ledger-foreign` when there is another
 * ledger there, or one that has been served since it was copied.
 */
export async function onCopyTarget<T>(
  postgres: Postgres,
  terms: string,
  body: (target: CopyTarget) => Promise<T>,
): Promise<T> {
  await migrate(postgres);
  return postgres.alone(async (connection) => {
    await lock(connection);
    try {
      return await body(await openTarget(postgres, connection, terms));
    } finally {
      await connection.rows("select pg_advisory_unlock($1, hashtext(current_schema()))", [copying]);
    }
  });
}

/** Waits a little: a copy that was killed is noticed by the server in a moment. */
async function lock(connection: Transaction): Promise<void> {
  for (let waited = 0; ; waited += lockStepMs) {
    const [taken] = await connection.rows<{ free: boolean }>(
      "select pg_try_advisory_lock($1, hashtext(current_schema())) as free",
      [copying],
    );
    if (taken?.free) return;
    if (waited >= lockPatienceMs)
      throw new CoordinatorFault("ledger-unreachable", "another copy into this ledger is running: wait until it ends");
    await sleep(lockStepMs);
  }
}

async function openTarget(postgres: Postgres, connection: Transaction, terms: string): Promise<CopyTarget> {
  const partitions = openPartitions(postgres);
  const rows = postgresRows(connection);
  const wasComplete = await atomically(connection, () => claim(connection, terms));

  async function ensurePartitions(table: CopiedTable, page: readonly Row[], placement: Placement): Promise<void> {
    if (table.name === "reading") await partitions.ensure(page.map((row) => placement.dayOf(Number(row[2]))));
  }

  async function put(table: CopiedTable, page: readonly Row[], placement: Placement): Promise<void> {
    if (page.length === 0) return;
    const { columns, valuesOf } = placed(table, placement);
    await connection.copy(
      `copy ${table.name} (${columns.join(", ")}) from stdin`,
      Buffer.from(page.map((row) => `${valuesOf(row).map(copyText).join("\t")}\n`).join("")),
    );
  }

  return {
    rows,
    wasComplete,
    async standing(table) {
      const [row] = await connection.rows<{ last_key: string | null; done: number }>(
        "select last_key, done from ledger_copy where table_name = $1",
        [table.name],
      );
      const done = row?.done === 1;
      return { after: row?.last_key && (done || !table.rekeyed) ? JSON.parse(row.last_key) : null, done };
    },
    async fill(table, { rows: page, range }, placement) {
      await ensurePartitions(table, page, placement);
      const last = range.upTo ?? keyOf(table, page.at(-1) ?? range.after ?? []);
      await atomically(connection, async () => {
        if (range.after === null) await connection.run(`delete from ${table.name}`);
        await put(table, page, placement);
        await connection.run(
          `insert into ledger_copy (table_name, last_key, done) values ($1, $2, $3)
           on conflict (table_name) do update set last_key = excluded.last_key, done = excluded.done`,
          [table.name, JSON.stringify(last), range.upTo === null ? 1 : 0],
        );
      });
    },
    async repair(table, source, placement) {
      const ranges = await differingRanges(table, source, rows);
      for (const range of ranges) await ensurePartitions(table, await source.page(table, range, pageRows), placement);
      return atomically(connection, async () => {
        // All that goes before anything comes: a row may be back under another key.
        if (!table.parent) for (const range of ranges) await clear(connection, table, range);
        let written = 0;
        for (const range of ranges) {
          const page = await source.page(table, range, pageRows);
          if (table.parent) await putOver(connection, table, page);
          else await put(table, page, placement);
          written += page.length;
        }
        return written;
      });
    },
    async shut() {
      await connection.run("update network set founding = $1", [encodeHalfCopied(terms)]);
    },
    async finish(lastBatch) {
      await atomically(connection, async () => {
        for (const table of ["node", "channel", "batch", "rejection"])
          await connection.rows(
            `select setval(pg_get_serial_sequence($1, 'id'), greatest($2, (select coalesce(max(id), 0) from ${table}), 1),
               greatest($2, (select coalesce(max(id), 0) from ${table})) > 0)`,
            [table, table === "batch" ? lastBatch : 0],
          );
        await connection.run("update network set founding = $1", [terms]);
      });
      // Plans are made for the rows that are there now, not for an empty ledger.
      await connection.run("analyze");
    },
  };
}

/** Makes this the place of a copy, or finds that it is. Whether the copy was complete. */
async function claim(connection: Transaction, terms: string): Promise<boolean> {
  const [network] = await connection.rows<{ founding: string }>("select founding from network");
  await connection.run(
    `create table if not exists ledger_copy (
       table_name text collate "C" primary key,
       last_key text collate "C",
       done integer not null
     )`,
  );
  if (network === undefined) {
    const [used] = await connection.rows("select from node limit 1");
    if (used) throw foreign("it holds nodes, but belongs to no network");
    await connection.run("insert into network (only_row, founding) values (1, $1)", [encodeHalfCopied(terms)]);
    return false;
  }
  const known = termsIn(network.founding);
  const different = differingTerms(decodeFounding(known.terms), decodeFounding(terms));
  if (different !== "") throw foreign(`it belongs to a network founded on other terms: ${different}`);
  if (known.halfCopied) return false;
  const [copied] = await connection.rows("select from ledger_copy limit 1");
  if (!copied) throw foreign("it is a ledger of its own and not a copy");
  const [served] = await connection.rows("select from replica union all select from duty limit 1");
  if (served)
    throw foreign("a coordinator has run on it since it was copied, and copying again would undo what it stored");
  return true;
}

function foreign(what: string): CoordinatorFault {
  return new CoordinatorFault("ledger-foreign", `the target of the copy cannot be used: ${what}`);
}

async function atomically<T>(connection: Transaction, body: () => Promise<T>): Promise<T> {
  await connection.run("begin");
  try {
    const result = await body();
    await connection.run("commit");
    return result;
  } catch (cause) {
    // A connection that is gone has ended its transaction by itself.
    await connection.run("rollback").catch(() => {});
    throw cause;
  }
}

/** Ranges of a table, one page of the source each, in which the two ledgers hold different rows. */
async function differingRanges(table: CopiedTable, source: LedgerRows, target: LedgerRows): Promise<readonly Range[]> {
  const ranges: Range[] = [];
  for await (const { rows, range } of pagesOf(source, table)) {
    const there = await target.page(table, range, rows.length + 1);
    if (canonical(there) !== canonical(rows)) ranges.push(range);
  }
  return ranges;
}

async function clear(connection: Transaction, table: CopiedTable, range: Range): Promise<void> {
  const { where, values } = within(table, range, (number) => `$${number}`);
  await connection.run(`delete from ${table.name}${where}`, values);
}

/** Rows that others refer to are written over, never removed. */
async function putOver(
  connection: Transaction,
  { name, key, columns }: CopiedTable,
  rows: readonly Row[],
): Promise<void> {
  const marks = columns.map((_, index) => `$${index + 1}`);
  const others = columns.filter((column) => !key.includes(column));
  const text = `insert into ${name} (${columns.join(", ")}) overriding system value values (${marks.join(", ")})
    on conflict (${key.join(", ")}) do update set ${others.map((column) => `${column} = excluded.${column}`).join(", ")}`;
  for (const row of rows) await connection.run(text, row);
}

function placed({ name, columns }: CopiedTable, placement: Placement) {
  if (name === "reading")
    return { columns: [...columns, "day"], valuesOf: (row: Row): Row => [...row, placement.dayOf(Number(row[2]))] };
  if (name === "rejection_count" || name === "total")
    return { columns: [...columns, "shard"], valuesOf: (row: Row): Row => [...row, 0] };
  return { columns, valuesOf: (row: Row): Row => row };
}

/** A value in the text format of `copy`: PostgreSQL manual, COPY, "Text Format". */
function copyText(value: Row[number]): string {
  if (value === null) return "\\N";
  if (typeof value === "number") return String(value);
  return value.replace(/[\\\n\r\t]/g, (character) => escapes[character] ?? character);
}

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };
