/**
 * The edge store's file. WAL with synchronous=FULL: a commit is on the disk when it returns, so neither SIGKILL nor loss of power takes
 * back what was accepted, sealed or counted (with NORMAL, a power cut may undo the last commits, and a batch already sent would be
 * numbered anew). Group commit keeps the price at no more than 20 flushes a second.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { NodeFault } from "../fault.ts";
import { outboxMigration } from "./migrations/1-outbox.ts";
import { slotReceiptsMigration } from "./migrations/2-slot-receipts.ts";

export type Database = Sqlite.Database;
export type Statement = Sqlite.Statement;

/** Forward only, one subject each; the number applied is the file's user_version. */
const migrations = [outboxMigration, slotReceiptsMigration];

export const storeFile = (folder: string) => join(folder, "edge.sqlite");

/**
 * Opens DIR/edge.sqlite for writing, applies missing migrations. A file that SQLite calls damaged is moved to edge.sqlite.damaged (one is
 * kept) and a new one is begun: `damaged` then says so. Throws NodeFault "store-unusable".
 */
export function openDatabase(folder: string): { db: Database; damaged: boolean } {
  const file = storeFile(folder);
  try {
    return { db: migrated(file), damaged: false };
  } catch (cause) {
    if (!isDamage(cause)) throw unusable(file, cause);
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${file}.damaged${suffix}`, { force: true });
    renameSync(file, `${file}.damaged`);
    for (const suffix of ["-wal", "-shm"]) rmSync(`${file}${suffix}`, { force: true });
  }
  try {
    return { db: migrated(file), damaged: true };
  } catch (cause) {
    throw unusable(file, cause);
  }
}

/**
 * Holds the folder for this process until release(), by a lock that the kernel lifts when the process dies: two daemons on one folder
 * would number batches twice. Waits up to 3 s for a predecessor that is stopping. Throws NodeFault "store-unusable".
 */
export function lockFolder(folder: string): () => void {
  const file = join(folder, "run.lock");
  try {
    const db = new Sqlite(file, { timeout: 3_000 });
    db.exec("BEGIN EXCLUSIVE");
    return () => db.close();
  } catch (cause) {
    throw unusable(file, cause);
  }
}

/** Opens the store beside a running daemon, for reading only. */
export function openReadOnly(folder: string): Database {
  const file = storeFile(folder);
  try {
    return new Sqlite(file, { readonly: true, fileMustExist: true, timeout: 2_000 });
  } catch (cause) {
    throw new NodeFault(
      "store-unusable",
      `no edge store at ${file}: ${messageOf(cause)}`,
      "Start the node once with `cairn-node run --data DIR`, or name its data folder.",
      cause,
    );
  }
}

function migrated(file: string): Database {
  const db = new Sqlite(file, { timeout: 2_000 });
  try {
    db.pragma("journal_mode = WAL");
    db.pragma("synchronous = FULL");
    db.pragma("cache_size = -1024");
    db.pragma("journal_size_limit = 4194304");
    const applied = Number(db.pragma("user_version", { simple: true }));
    if (applied > migrations.length)
      throw new Error(`its schema is version ${applied}, this software knows ${migrations.length}`);
    for (const [index, sql] of migrations.entries()) {
      if (index < applied) continue;
      db.transaction(() => {
        db.exec(sql);
        db.pragma(`user_version = ${index + 1}`);
      })();
    }
    const check = db.pragma("quick_check(1)", { simple: true });
    if (check !== "ok") throw Object.assign(new Error(String(check)), { code: "SQLITE_CORRUPT" });
    return db;
  } catch (cause) {
    db.close();
    throw cause;
  }
}

export function isDamage(cause: unknown): boolean {
  const code = String((cause as { code?: unknown }).code ?? "");
  return code.startsWith("SQLITE_CORRUPT") || code.startsWith("SQLITE_NOTADB");
}

function unusable(file: string, cause: unknown): NodeFault {
  return new NodeFault(
    "store-unusable",
    `the edge store ${file} cannot be used: ${messageOf(cause)}`,
    "Check that the data folder is writable, has free space and is used by no other cairn-node.",
    cause,
  );
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** A whole number in a small file, written so that a crash leaves the old or the new one. */
export function readCounter(file: string): number {
  try {
    const value = Number(readFileSync(file, "utf8").trim());
    return Number.isSafeInteger(value) && value > 0 ? value : 0;
  } catch {
    return 0;
  }
}

export function writeCounter(file: string, value: number): void {
  const fresh = `${file}.new`;
  const descriptor = openSync(fresh, "w", 0o600);
  try {
    writeSync(descriptor, `${value}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(fresh, file);
}
