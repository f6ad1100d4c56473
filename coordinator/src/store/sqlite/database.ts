import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import Database from "better-sqlite3";
import { CoordinatorFault } from "../../fault.ts";

export type Sqlite = Database.Database;

const ownMigrations = new URL("./migrations/", import.meta.url);

type Migration = { readonly number: number; readonly name: string; readonly text: string; readonly sha256: string };
type Applied = Omit<Migration, "text"> & { readonly compatible_from: number };

/**
 * Opens (or creates) the ledger's file and brings its schema forward. Write-ahead log with full synchronisation: a commit that was
 * answered survives the process and the power. Throws CoordinatorFault: `ledger-unreadable`, `ledger-newer`, `ledger-damaged`.
 */
export function openDatabase(path: string, migrations: URL = ownMigrations): Sqlite {
  return orUnreadable(path, () => {
    const database = new Database(path);
    try {
      database.pragma("journal_mode = wal");
      database.pragma("synchronous = full");
      database.pragma("foreign_keys = on");
      database.pragma("busy_timeout = 5000");
      database.pragma("cache_size = -32768");
      database.pragma("wal_autocheckpoint = 16000");
      migrate(database, readMigrations(migrations));
    } catch (cause) {
      database.close();
      throw cause;
    }
    return database;
  });
}

/** One more connection to the file of an open ledger, for questions only: whatever it reads, it never holds up the writer. */
export function openReader(path: string): Sqlite {
  return orUnreadable(path, () => {
    const database = new Database(path, { readonly: true, fileMustExist: true });
    database.pragma("busy_timeout = 5000");
    // Beside the writer's cache: pages that a question needs again are in the system's.
    database.pragma("cache_size = -2048");
    return database;
  });
}

/** Statements kept ready by a reader: more than the ledger's questions have forms. */
const statementsKept = 64;

/**
 * The reader as the query builder takes it, which asks by text: each text is prepared once. Statements prepared anew for every question
 * would pile up until the garbage collector, which does not see how much memory SQLite holds for them, comes by.
 */
export function preparingOnce(database: Sqlite): Pick<Sqlite, "prepare" | "close"> {
  const prepared = new Map<string, Database.Statement<unknown[]>>();
  const prepare = (text: string) => {
    const known = prepared.get(text) ?? database.prepare(text);
    if (prepared.size >= statementsKept) prepared.clear();
    prepared.set(text, known);
    return known;
  };
  return { prepare: prepare as Sqlite["prepare"], close: () => database.close() };
}

function orUnreadable<T>(path: string, open: () => T): T {
  try {
    return open();
  } catch (cause) {
    if (cause instanceof CoordinatorFault) throw cause;
    throw new CoordinatorFault("ledger-unreadable", `the ledger ${path} cannot be opened: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** Applies the migrations that the file has not seen, each in a transaction of its own. */
function migrate(database: Sqlite, files: readonly Migration[]): void {
  judgeSchema(database, files);
  const step = database.transaction((): boolean => {
    // Asked again inside the transaction: another process may be at the same.
    const next = files[versionOf(database)];
    if (next === undefined) return false;
    database.exec(next.text);
    recordMigrations(database, files.slice(0, next.number));
    database.pragma(`user_version = ${next.number}`);
    return true;
  });
  while (versionOf(database) < files.length && step.immediate());
}

function readMigrations(folder: URL): readonly Migration[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".sql"))
    .sort()
    .map((name, index) => {
      const text = readFileSync(new URL(name, folder), "utf8");
      return { number: index + 1, name, text, sha256: createHash("sha256").update(text).digest("hex") };
    });
}

/**
 * A schema that is newer by migrations which this program can live with is served; any other newer one is refused, and so is one that
 * the migrations on record did not make.
 */
function judgeSchema(database: Sqlite, files: readonly Migration[]): void {
  const version = versionOf(database);
  const applied = appliedTo(database);
  const newer = Array.from({ length: Math.max(0, version - files.length) }, (_, index) => files.length + 1 + index);
  for (const number of newer) {
    const needs = applied.find((row) => row.number === number)?.compatible_from ?? number;
    if (needs > files.length)
      throw new CoordinatorFault(
        "ledger-newer",
        `the ledger is at schema ${version}, this program knows ${files.length}: update it`,
      );
  }
  if (applied.length === 0) return;
  const damaged = (what: string) => new CoordinatorFault("ledger-damaged", `the ledger's schema is damaged: ${what}`);
  for (const [index, { number, name, sha256 }] of applied.entries()) {
    if (number !== index + 1) throw damaged(`migration ${index + 1} is not on record, but ${name} is`);
    const file = files[index];
    if (file && file.sha256 !== sha256) throw damaged(`${name} was applied, but was not this program's ${file.name}`);
  }
  if (applied.length !== version) throw damaged(`it is at ${version}, with ${applied.length} migrations on record`);
}

function versionOf(database: Sqlite): number {
  return database.pragma("user_version", { simple: true }) as number;
}

/** Empty for a new file, and for one from before migrations were recorded. */
function appliedTo(database: Sqlite): readonly Applied[] {
  const recorded = database.prepare("select 1 from sqlite_schema where name = 'schema_migration'").get();
  return recorded === undefined
    ? []
    : database
        .prepare<[], Applied>("select number, name, sha256, compatible_from from schema_migration order by number")
        .all();
}

/** Also records what was applied by a program that kept no record. */
function recordMigrations(database: Sqlite, applied: readonly Migration[]): void {
  database.exec(
    `create table if not exists schema_migration (
       number integer primary key,
       name text not null,
       sha256 text not null,
       applied_at integer not null,
       -- Lowest schema that a program may know and still work with this one.
       compatible_from integer not null
     ) strict`,
  );
  const put = database.prepare(
    `insert into schema_migration values (?, ?, ?, ${sqliteClock}, ?) on conflict (number) do nothing`,
  );
  for (const { number, name, sha256, text } of applied) put.run(number, name, sha256, compatibleFrom(text) ?? number);
}

/** What a migration's first line says of older programs: `-- compatible-from: 4`. */
function compatibleFrom(text: string): number | undefined {
  const [, from] = /^-- compatible-from: (\d+)\r?\n/.exec(text) ?? [];
  return from === undefined ? undefined : Number(from);
}

/** SQLite's own time, whole unix ms. */
export const sqliteClock = "cast(round(unixepoch('subsec') * 1000) as integer)";

/** What SQLite threw as a fault of the ledger; anything else as it is. */
export function faultOf(cause: unknown): unknown {
  const { code = "" } = cause as { code?: string };
  if (!(cause instanceof Database.SqliteError)) return cause;
  const refusedWith = (fault: "ledger-unreachable" | "ledger-unreadable", what: string) =>
    new CoordinatorFault(fault, `${what}: ${cause.message} (${code})`, { cause });
  if (/^SQLITE_(FULL|BUSY|LOCKED|IOERR|CANTOPEN|NOMEM|PROTOCOL|READONLY)/.test(code))
    return refusedWith("ledger-unreachable", "the ledger's file does not answer, nothing was written");
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(code)) return refusedWith("ledger-unreadable", "the ledger's file is damaged");
  return cause;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
