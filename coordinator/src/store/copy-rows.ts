/** Reading ledgers page by page in the order of their keys, whatever holds them, and what their tables amount to. */
import { createHash } from "node:crypto";
import { type CopiedTable, canonical, copiedTables, keyOf, type Row, storedValue } from "./copy-tables.ts";
import type { Transaction } from "./postgres/database.ts";
import type { Sqlite } from "./sqlite/database.ts";

/** Rows whose key is above `after` and not above `upTo`; null: no bound. */
export type Range = { readonly after: Row | null; readonly upTo: Row | null };

/** A ledger at one moment. */
export type LedgerRows = {
  /** The first rows of a range. */
  page(table: CopiedTable, range: Range, limit: number): Promise<readonly Row[]>;
  count(table: CopiedTable): Promise<number>;
};

/** What a table holds: two that have the same hold the same rows. */
export type TableDigest = { readonly table: string; readonly rows: number; readonly sha256: string };

/** How far something has come with a table; `of` rows in all. A backup is written and read as a whole: rows are pages of it, or none. */
export type Progress = (step: {
  readonly doing: "copying" | "checking source" | "checking copy" | "repairing" | "backing up" | "restoring";
  readonly table: string;
  readonly rows: number;
  readonly of: number;
}) => void;

/** Rows in memory at a time: a page of evidence tokens is a few megabytes. */
export const pageRows = 4_000;

/** `database` is to be in a transaction, so that all pages show the same moment. */
export function sqliteRows(database: Sqlite): LedgerRows {
  const prepared = new Map<string, ReturnType<typeof prepare>>();
  const prepare = (text: string) => database.prepare<unknown[], unknown[]>(text).raw();
  const statement = (text: string) => {
    const known = prepared.get(text) ?? prepare(text);
    prepared.set(text, known);
    return known;
  };
  return {
    async page(table, range, limit) {
      const { text, values } = question(table, range, () => "?");
      const rows = statement(`${text} limit ?`).all(...values, limit);
      return rows.map((row) => row.map(storedValue));
    },
    async count(table) {
      return Number(statement(`select count(*) from ${fromOf(table)}`).get()?.[0]);
    },
  };
}

/** `connection` is to see one moment: a transaction of repeatable reads, or a ledger that nobody else writes. */
export function postgresRows(connection: Transaction): LedgerRows {
  return {
    async page(table, range, limit) {
      const { text, values } = question(table, range, (number) => `$${number}`);
      const rows = await connection.rows<Record<string, unknown>>(`${text} limit ${limit}`, values);
      return rows.map((row) => table.columns.map((column) => storedValue(row[column])));
    },
    async count(table) {
      const [row] = await connection.rows<{ rows: number }>(`select count(*) as rows from ${fromOf(table)}`);
      return Number(row?.rows);
    },
  };
}

function fromOf({ name, source = name }: CopiedTable): string {
  return source;
}

function question(table: CopiedTable, range: Range, mark: (number: number) => string) {
  const { where, values } = within(table, range, mark);
  const order = table.key.length > 0 ? ` order by ${table.key.join(", ")}` : "";
  return { text: `select ${table.columns.join(", ")} from ${fromOf(table)}${where}${order}`, values };
}

/** The condition that a row is in a range, with its leading space; `mark` names the n-th bound value, from 1 on. */
export function within({ key }: CopiedTable, { after, upTo }: Range, mark: (number: number) => string) {
  const values: unknown[] = [];
  const compared = (operator: string, bound: Row) =>
    `(${key.join(", ")}) ${operator} (${bound.map((value) => mark(values.push(value))).join(", ")})`;
  const conditions = [
    ...(after === null ? [] : [compared(">", after)]),
    ...(upTo === null ? [] : [compared("<=", upTo)]),
  ];
  return { where: conditions.length > 0 ? ` where ${conditions.join(" and ")}` : "", values };
}

/** All pages of a table, one after the other, with the range that each covers: together they cover every key there could be. */
export async function* pagesOf(
  ledger: LedgerRows,
  table: CopiedTable,
  after: Row | null = null,
): AsyncGenerator<{ readonly rows: readonly Row[]; readonly range: Range }> {
  for (let from = after; ; ) {
    const rows = await ledger.page(table, { after: from, upTo: null }, pageRows);
    const last = rows.at(-1);
    const upTo = table.key.length === 0 || rows.length < pageRows || !last ? null : keyOf(table, last);
    yield { rows, range: { after: from, upTo } };
    if (upTo === null) return;
    from = upTo;
  }
}

/** Reads a whole table and says what it amounts to: SHA-256 of the canonical lines of its rows, in the order of their keys. */
export async function digestOf(
  ledger: LedgerRows,
  table: CopiedTable,
  progress: (rows: number) => void = () => {},
): Promise<TableDigest> {
  const hash = createHash("sha256");
  let count = 0;
  for await (const { rows } of pagesOf(ledger, table)) {
    hash.update(canonical(rows));
    count += rows.length;
    progress(count);
  }
  return { table: table.name, rows: count, sha256: hash.digest("hex") };
}

/** The digests of all tables. */
export async function digestsOf(
  ledger: LedgerRows,
  progress: Progress,
  doing: "checking source" | "checking copy",
): Promise<readonly TableDigest[]> {
  const digests: TableDigest[] = [];
  for (const table of copiedTables) {
    const of = await ledger.count(table);
    const report = (rows: number) => progress({ doing, table: table.name, rows, of });
    digests.push(await digestOf(ledger, table, report));
  }
  return digests;
}

/** The tables of which two ledgers hold different rows. */
export function differences(one: readonly TableDigest[], other: readonly TableDigest[]): readonly string[] {
  const known = new Map(other.map((digest) => [digest.table, digest]));
  return one.filter(({ table, sha256 }) => known.get(table)?.sha256 !== sha256).map(({ table }) => table);
}
