import assert from "node:assert/strict";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import Database from "better-sqlite3";
import { founding } from "../../../testing/founding.ts";
import { CoordinatorFault, type FaultCode } from "../../fault.ts";
import { openDatabase } from "./database.ts";
import { openSqliteLedger } from "./sqlite-ledger.ts";

const migrations = new URL("./migrations/", import.meta.url);
const names = readdirSync(migrations).sort();
let folder = "";

before(() => {
  folder = mkdtempSync(join(tmpdir(), "cairn-database-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

test("migrations are numbered from 1 without a gap, one subject each", () => {
  for (const [index, name] of names.entries())
    assert.match(name, new RegExp(`^${String(index + 1).padStart(3, "0")}-[a-z-]+\\.sql$`));
});

test("a new file gets every migration, and opening it again applies none", () => {
  const path = join(folder, "new.sqlite");
  const first = openDatabase(path);
  assert.equal(first.pragma("user_version", { simple: true }), names.length);
  const schema = first.prepare("select sql from sqlite_schema order by name").all();
  first.close();
  const second = openDatabase(path);
  assert.deepEqual(second.prepare("select sql from sqlite_schema order by name").all(), schema);
  second.close();
});

test("a file of an older schema is brought forward from where it stands and keeps its rows", () => {
  const path = join(folder, "older.sqlite");
  const older = new Database(path);
  older.exec(readFileSync(new URL(names[0] ?? "", migrations), "utf8"));
  older.pragma("user_version = 1");
  older.prepare("insert into network values (1, 'terms of old')").run();
  older.close();
  const database = openDatabase(path);
  assert.equal(database.pragma("user_version", { simple: true }), names.length);
  assert.equal(database.prepare("select founding from network").pluck().get(), "terms of old");
  database.close();
});

test("a migration that fails leaves the file at the schema before it", () => {
  const path = join(folder, "blocked.sqlite");
  const blocked = new Database(path);
  blocked.exec(readFileSync(new URL(names[0] ?? "", migrations), "utf8"));
  // A table that the last migration wants to create is in the way.
  blocked.exec("create table intent (in_the_way integer)");
  blocked.pragma("user_version = 1");
  blocked.close();
  refusedWith("ledger-unreadable", path);
  const left = new Database(path);
  assert.equal(left.pragma("user_version", { simple: true }), names.length - 1);
  assert.equal(left.prepare("select count(*) from sqlite_schema where name = 'epoch'").pluck().get(), 0);
  left.close();
});

test("a file of a newer schema is refused and left untouched", () => {
  const path = join(folder, "newer.sqlite");
  openDatabase(path).close();
  const newer = new Database(path);
  newer.pragma(`user_version = ${names.length + 1}`);
  newer.close();
  const message = refusedWith("ledger-newer", path);
  assert.match(message, new RegExp(`schema ${names.length + 1}, this program knows ${names.length}`));
  const left = new Database(path);
  assert.equal(left.pragma("user_version", { simple: true }), names.length + 1);
  left.close();
});

const damages: Readonly<Record<string, (path: string) => void>> = {
  "that is no database": (path) => writeFileSync(path, "These are not the bytes of a ledger.\n".repeat(100)),
  "whose first page is overwritten": (path) => overwrite(path, 0, 1),
  "whose header is overwritten": (path) => overwrite(path, 0, 0.01),
  "that was cut in the middle": (path) => truncateSync(path, Math.floor(statSync(path).size / 2)),
  "whose schema is overwritten behind the header": (path) => overwrite(path, 100, 1),
  "whose pages behind the first are overwritten": (path) => overwrite(path, 4096, 1),
};
for (const [damage, inflict] of Object.entries(damages))
  test(`a file ${damage} is refused with its name`, async () => {
    const path = join(folder, `${damage}.sqlite`);
    await openSqliteLedger(path, founding).close();
    inflict(path);
    refusedWith("ledger-unreadable", path);
  });

test("a folder in the ledger's place is refused with its name", () => {
  const path = join(folder, "folder.sqlite");
  mkdirSync(path);
  refusedWith("ledger-unreadable", path);
});

test("a ledger in a folder that does not exist is refused with its name", () => {
  refusedWith("ledger-unreadable", join(folder, "nowhere", "ledger.sqlite"));
});

/** The message with which opening is refused. */
function refusedWith(code: FaultCode, path: string): string {
  let message = "";
  assert.throws(
    () => openSqliteLedger(path, founding),
    (error) => {
      assert.ok(error instanceof CoordinatorFault, String(error));
      assert.equal(error.code, code);
      message = error.message;
      if (code === "ledger-unreadable") assert.ok(message.includes(path), message);
      return true;
    },
  );
  return message;
}

/** Overwrites bytes from `from` on, up to a share of the file. */
function overwrite(path: string, from: number, share: number): void {
  const bytes = readFileSync(path);
  bytes.fill(0xa5, from, from + Math.ceil((from === 0 ? 4096 : bytes.length - from) * share));
  writeFileSync(path, bytes);
}
