import { readdirSync, readFileSync } from "node:fs";
import Database from "better-sqlite3";
import { CoordinatorFault } from "../../fault.ts";

export type Sqlite = Database.Database;

const migrations = new URL("./migrations/", import.meta.url);

/**
 * Opens (or creates) the ledger's file and brings its schema forward. Write-ahead log with full synchronisation: a commit that was
 * answered survives the process and the power. Throws CoordinatorFault: `ledger-unreadable`, `ledger-newer`.
 */
export function openDatabase(path: string): Sqlite {
  let database: Sqlite;
  try {
    database = new Database(path);
    database.pragma("journal_mode = wal");
    database.pragma("synchronous = full");
    database.pragma("foreign_keys = on");
    database.pragma("busy_timeout = 5000");
    database.pragma("cache_size = -32768");
    database.pragma("wal_autocheckpoint = 16000");
    migrate(database);
  } catch (cause) {
    if (cause instanceof CoordinatorFault) throw cause;
    throw new CoordinatorFault(
      "ledger-unreadable",
      `the ledger ${path} cannot be opened: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
  return database;
}

/** Applies the migrations that the file has not seen, each in a transaction of its own. */
function migrate(database: Sqlite): void {
  const files = readdirSync(migrations)
    .filter((name) => name.endsWith(".sql"))
    .sort();
  const applied = database.pragma("user_version", { simple: true }) as number;
  if (applied > files.length)
    throw new CoordinatorFault(
      "ledger-newer",
      `the ledger is at schema ${applied}, this program knows ${files.length}: update it`,
    );
  for (const [index, name] of files.entries()) {
    if (index < applied) continue;
    database.transaction(() => {
      database.exec(readFileSync(new URL(name, migrations), "utf8"));
      database.pragma(`user_version = ${index + 1}`);
    })();
  }
}
