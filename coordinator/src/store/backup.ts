/**
 * Backups of a ledger, each of one moment, with a note beside it (`FILE.json`) of what it holds: a backup is one only once it has been
 * restored and found to hold the same. SQLite: the file itself, by its online backup. PostgreSQL: an archive of pg_dump.
 */
import { randomBytes } from "node:crypto";
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { CoordinatorFault } from "../fault.ts";
import type { Founding } from "../model.ts";
import { runOnDatabase } from "./backup-programs.ts";
import { differences, digestsOf, type Progress, postgresRows, sqliteRows, type TableDigest } from "./copy-rows.ts";
import { decodeFounding, differingTerms, encodeHalfCopied } from "./founding.ts";
import { checkThere, isPostgres, pathOf } from "./ledger.ts";
import { faultOf, openPool, type Postgres, postgresClock } from "./postgres/database.ts";
import { openReader, type Sqlite, sqliteClock, faultOf as sqliteFaultOf } from "./sqlite/database.ts";

/** What a backup holds. */
export type Backup = {
  readonly format: "cairn-ledger-backup/1";
  readonly engine: "sqlite" | "postgres";
  /** The store's clock at the moment that the backup shows, unix ms. */
  readonly takenAt: number;
  readonly founding: string;
  readonly tables: readonly TableDigest[];
};

const format = "cairn-ledger-backup/1";
const patienceMs = 3_600_000;
const pagesPerStep = 1_000;

/**
 * Writes the ledger at `from` (sqlite:PATH or postgres://...) into `file`, while coordinators may run on it. Throws CoordinatorFault:
 * `setting-refused` when the file is there already, `ledger-damaged` when the ledger is not whole, `file-missing` without the ledger, the
 * folder or pg_dump.
 */
export async function backupLedger(from: string, file: string, progress: Progress = () => {}): Promise<Backup> {
  checkFolder(dirname(file));
  checkThere(from);
  for (const taken of [file, noteOf(file)])
    if (existsSync(taken)) throw new CoordinatorFault("setting-refused", `${taken} is there already: name a new file`);
  const partial = `${file}.partial`;
  rmSync(partial, { force: true });
  return withFaults(async () => {
    try {
      const backup = isPostgres(from)
        ? await dumpPostgres(from, partial, progress)
        : await copySqlite(pathOf(from), partial, progress);
      publish(partial, file);
      writeFileSync(partial, `${JSON.stringify(backup, null, 2)}\n`);
      // The note last: without it a file is no backup.
      publish(partial, noteOf(file));
      return backup;
    } finally {
      rmSync(partial, { force: true });
    }
  });
}

/**
 * Brings a backup into `to`: a new file (sqlite:PATH) or an empty database (postgres://...), and compares what it holds then. Throws
 * CoordinatorFault: `file-missing`, `setting-refused` when there is something at `to`, `ledger-damaged` when it does not hold the same.
 */
export async function restoreLedger(file: string, to: string, progress: Progress = () => {}): Promise<Backup> {
  const backup = readNote(file);
  if ((backup.engine === "postgres") !== isPostgres(to))
    throw new CoordinatorFault(
      "setting-refused",
      `${file} is a backup of ${backup.engine}: it cannot be restored into ${engineOf(to)}`,
    );
  return withFaults(async () => {
    await (isPostgres(to)
      ? restorePostgres(file, to, backup, progress)
      : restoreSqlite(file, pathOf(to), backup, progress));
    return backup;
  });
}

/** Where a drill puts what it restores, and removes it from again. */
export type Drill = {
  /** A folder with room for a SQLite ledger; by default the backup's own. */
  readonly folder?: string;
  /** Any database of a PostgreSQL server whose user may create databases. */
  readonly server?: string;
};

/**
 * The drill: restores a backup aside, compares what it holds with what was noted when it was taken, and removes it again. Throws
 * CoordinatorFault: `ledger-foreign` when it is of another network, and what `restoreLedger` throws.
 */
export async function verifyBackup(
  file: string,
  founding: Founding,
  { folder = dirname(file), server }: Drill = {},
  progress: Progress = () => {},
): Promise<Backup> {
  const { engine, founding: terms } = readNote(file);
  const different = differingTerms(decodeFounding(terms), founding, "the backup");
  if (different !== "")
    throw new CoordinatorFault("ledger-foreign", `${file} is a backup of another network: ${different}`);
  const name = `cairn_drill_${randomBytes(8).toString("hex")}`;
  if (engine === "sqlite") {
    const path = join(folder, `${name}.sqlite`);
    try {
      return await restoreLedger(file, `sqlite:${path}`, progress);
    } finally {
      rmSync(path, { force: true });
    }
  }
  if (server === undefined)
    throw new CoordinatorFault(
      "setting-refused",
      `${file} is a backup of postgres: a server is needed to restore it on`,
    );
  return withFaults(() =>
    onPostgres(server, async ({ alone }) => {
      await alone((connection) => connection.run(`create database ${name}`));
      try {
        return await restoreLedger(file, databaseOf(server, name), progress);
      } finally {
        await alone((connection) => connection.run(`drop database ${name}`));
      }
    }),
  );
}

async function copySqlite(path: string, partial: string, progress: Progress): Promise<Backup> {
  const source = openReader(path);
  try {
    // Held while it is copied: what others commit meanwhile would make the copy begin anew.
    source.exec("begin");
    const takenAt = Number(source.prepare(`select ${sqliteClock}`).pluck().get());
    const founding = foundingIn(source, path);
    await source.backup(partial, {
      progress: ({ totalPages, remainingPages }) => {
        progress({ doing: "backing up", table: path, rows: totalPages - remainingPages, of: totalPages });
        return pagesPerStep;
      },
    });
    const tables = await digestsOf(sqliteRows(source), progress, "checking source");
    const backup: Backup = { format, engine: "sqlite", takenAt, founding, tables };
    await compareFile(partial, `the copy of ${path}`, backup, progress);
    return backup;
  } finally {
    source.close();
  }
}

async function dumpPostgres(url: string, partial: string, progress: Progress): Promise<Backup> {
  return onPostgres(url, ({ alone }) =>
    alone(async (connection) => {
      await connection.run("begin isolation level repeatable read read only");
      const [moment] = await connection.rows<{ snapshot: string; now: number; founding: string | null }>(
        `select pg_export_snapshot() as snapshot, ${postgresClock} as now, (select founding from network) as founding`,
      );
      if (!moment?.founding) throw new CoordinatorFault("ledger-unreadable", "there is no ledger to back up");
      // Half a ledger is no backup.
      decodeFounding(moment.founding);
      progress({ doing: "backing up", table: "pg_dump", rows: 0, of: 1 });
      await runOnDatabase(
        "pg_dump",
        url,
        ["--format=custom", "--no-owner", "--no-privileges", `--snapshot=${moment.snapshot}`, `--file=${partial}`],
        "ledger-unreachable",
      );
      progress({ doing: "backing up", table: "pg_dump", rows: 1, of: 1 });
      const tables = await digestsOf(postgresRows(connection), progress, "checking source");
      await connection.run("commit");
      return { format, engine: "postgres", takenAt: moment.now, founding: moment.founding, tables };
    }),
  );
}

async function restoreSqlite(file: string, path: string, backup: Backup, progress: Progress): Promise<void> {
  checkFolder(dirname(path));
  for (const taken of [path, `${path}-wal`])
    if (existsSync(taken))
      throw new CoordinatorFault("setting-refused", `${taken} is there already: a backup is restored into a new file`);
  const partial = `${path}.partial`;
  try {
    progress({ doing: "restoring", table: path, rows: 0, of: 1 });
    copyFileSync(file, partial);
    progress({ doing: "restoring", table: path, rows: 1, of: 1 });
    await compareFile(partial, file, backup, progress);
    publish(partial, path);
  } finally {
    rmSync(partial, { force: true });
  }
}

async function restorePostgres(file: string, url: string, backup: Backup, progress: Progress): Promise<void> {
  await onPostgres(url, ({ alone }) =>
    alone(async (connection) => {
      const [used] = await connection.rows(
        "select from pg_class where relnamespace = current_schema()::regnamespace limit 1",
      );
      if (used)
        throw new CoordinatorFault(
          "setting-refused",
          "the database is not empty: a backup is restored into an empty one",
        );
      progress({ doing: "restoring", table: "pg_restore", rows: 0, of: 1 });
      await runOnDatabase(
        "pg_restore",
        url,
        ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", file],
        "ledger-damaged",
      );
      progress({ doing: "restoring", table: "pg_restore", rows: 1, of: 1 });
      try {
        const [network] = await connection.rows<{ founding: string }>("select founding from network");
        compareFounding(file, backup, network?.founding);
        compare(file, backup, await digestsOf(postgresRows(connection), progress, "checking copy"));
      } catch (cause) {
        // It is there, but nobody is to serve it.
        await connection.run("update network set founding = $1", [encodeHalfCopied(backup.founding)]);
        throw cause;
      }
      await connection.run("analyze");
    }),
  );
}

/** Looks into a SQLite file that nobody else has open: is it whole, and does it hold what the backup holds? Faults name `what`. */
async function compareFile(path: string, what: string, backup: Backup, progress: Progress): Promise<void> {
  const database = new Database(path);
  try {
    // One file without a log beside it, which could be forgotten when the file is moved.
    database.pragma("journal_mode = delete");
    const findings = database.pragma("integrity_check", { simple: true });
    if (findings !== "ok") throw new CoordinatorFault("ledger-damaged", `${what} is damaged: ${findings}`);
    compareFounding(what, backup, foundingIn(database, what));
    compare(what, backup, await digestsOf(sqliteRows(database), progress, "checking copy"));
  } catch (cause) {
    if (!(cause instanceof Database.SqliteError)) throw cause;
    const fault = sqliteFaultOf(cause);
    const code = fault instanceof CoordinatorFault ? fault.code : "ledger-damaged";
    throw new CoordinatorFault(code, `${what} cannot be read: ${cause.message} (${cause.code})`, { cause });
  } finally {
    database.close();
  }
}

function compareFounding(what: string, { founding }: Backup, restored: string | undefined): void {
  if (restored !== founding)
    throw new CoordinatorFault("ledger-damaged", `${what} belongs to another network than is noted with it`);
}

function compare(what: string, { tables }: Backup, restored: readonly TableDigest[]): void {
  const different = differences(tables, restored);
  if (different.length > 0)
    throw new CoordinatorFault(
      "ledger-damaged",
      `${what} does not hold what was backed up: the tables ${different.join(", ")} differ`,
    );
}

function foundingIn(database: Sqlite, path: string): string {
  const founding = database.prepare<[], string>("select founding from network").pluck().get();
  if (founding === undefined)
    throw new CoordinatorFault("ledger-unreadable", `the ledger ${path} belongs to no network`);
  return founding;
}

async function onPostgres<T>(url: string, body: (postgres: Postgres) => Promise<T>): Promise<T> {
  const postgres = openPool(url, {
    connections: 2,
    statementTimeoutMs: patienceMs,
    lockTimeoutMs: patienceMs,
    idleInTransactionTimeoutMs: patienceMs,
    applicationName: "cairn-ledger-backup",
  });
  try {
    return await body(postgres);
  } finally {
    await postgres.pool.end();
  }
}

function databaseOf(server: string, name: string): string {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.toString();
}

function engineOf(url: string): Backup["engine"] {
  return isPostgres(url) ? "postgres" : "sqlite";
}

/** Throws CoordinatorFault `file-missing` where no file can be written. */
function checkFolder(folder: string): void {
  try {
    accessSync(`${folder}/`, constants.W_OK);
  } catch (cause) {
    throw new CoordinatorFault("file-missing", `cannot write into the folder ${folder}: ${(cause as Error).message}`, {
      cause,
    });
  }
}

function noteOf(file: string): string {
  return `${file}.json`;
}

function readNote(file: string): Backup {
  for (const needed of [file, noteOf(file)])
    if (!existsSync(needed)) throw new CoordinatorFault("file-missing", `${needed} is missing: a backup is both files`);
  let note: Partial<Backup>;
  try {
    note = JSON.parse(readFileSync(noteOf(file), "utf8"));
  } catch (cause) {
    throw new CoordinatorFault("ledger-damaged", `${noteOf(file)} is no note of a backup`, { cause });
  }
  if (note.format !== format || !note.engine || !note.founding || !note.tables)
    throw new CoordinatorFault("ledger-damaged", `${noteOf(file)} is no note of a backup`);
  return note as Backup;
}

/** Gives a finished file its name, durably. It is for its owner's eyes. */
function publish(partial: string, file: string): void {
  chmodSync(partial, 0o600);
  synchronise(partial);
  renameSync(partial, file);
  synchronise(dirname(file));
}

function synchronise(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

async function withFaults<T>(body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (cause) {
    throw faultOf(sqliteFaultOf(cause));
  }
}
