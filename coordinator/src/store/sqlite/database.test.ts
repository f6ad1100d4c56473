import assert from "node:assert/strict";
import {
  cpSync,
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
import { pathToFileURL } from "node:url";
import Database from "better-sqlite3";
import { founding } from "../../../testing/founding.ts";
import { CoordinatorFault, type FaultCode } from "../../fault.ts";
import { faultOf, openDatabase, openReader, preparingOnce } from "./database.ts";
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
  // A table that one of the migrations wants to create is in the way.
  blocked.exec("create table replica (in_the_way integer)");
  blocked.pragma("user_version = 1");
  blocked.close();
  refusedWith("ledger-unreadable", path);
  const left = new Database(path);
  assert.equal(left.pragma("user_version", { simple: true }), names.indexOf("005-replicas.sql"));
  assert.equal(left.prepare("select count(*) from sqlite_schema where name = 'duty'").pluck().get(), 0);
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

test("a schema that is newer by what this program can live with is served and keeps its number; one that is not is refused", () => {
  const path = join(folder, "additive.sqlite");
  const next = names.length + 1;
  const additive = withMigration(
    "additive",
    `-- compatible-from: ${names.length}\ncreate table more (a integer) strict;\n`,
  );
  openDatabase(path, additive).close();
  const served = openDatabase(path);
  served.prepare("insert into duty values ('verifier', 'one', 1, 1)").run();
  assert.equal(served.pragma("user_version", { simple: true }), next);
  assert.deepEqual(
    served.prepare("select compatible_from from schema_migration where number = ?").pluck().get(next),
    names.length,
  );
  served.close();
  openDatabase(path, additive).close();
  for (const [index, opening] of [`-- compatible-from: ${next}\n`, "-- Of no older program.\n"].entries()) {
    const breaking = join(folder, `breaking-${index}.sqlite`);
    openDatabase(
      breaking,
      withMigration(`breaking-${index}`, `${opening}create table more (a integer) strict;\n`),
    ).close();
    refusedWith("ledger-newer", breaking);
  }
});

test("one migration among the newer ones that this program cannot live with is enough to refuse the file", () => {
  const path = join(folder, "mixed.sqlite");
  const next = names.length + 1;
  openDatabase(path, withMigration("mixed", "create table more (a integer) strict;\n")).close();
  const newer = new Database(path);
  newer.prepare("insert into schema_migration values (?, 'added.sql', 'hash', 1, ?)").run(next + 1, names.length);
  newer.pragma(`user_version = ${next + 1}`);
  newer.close();
  refusedWith("ledger-newer", path);
});

test("a file from before migrations were recorded gets the record of all of them", () => {
  const path = join(folder, "unrecorded.sqlite");
  const older = new Database(path);
  for (const name of names.slice(0, 4)) older.exec(readFileSync(new URL(name, migrations), "utf8"));
  older.pragma("user_version = 4");
  older.close();
  const database = openDatabase(path);
  assert.deepEqual(
    database.prepare("select name, number, compatible_from from schema_migration order by number").all(),
    names.map((name, index) => ({ name, number: index + 1, compatible_from: index + 1 })),
  );
  database.close();
  openDatabase(path).close();
});

const tamperings: Readonly<Record<string, readonly [tampering: string, message: RegExp]>> = {
  "was made by another migration of the same number": [
    "update schema_migration set sha256 = 'other' where number = 2",
    /002-ingest.sql was applied, but was not this program's/,
  ],
  "lacks the record of a migration": [
    "delete from schema_migration where number = 2",
    /migration 2 is not on record, but 003-slots.sql is/,
  ],
  "lacks the record of its last migration": [
    `delete from schema_migration where number = ${names.length}`,
    new RegExp(`at ${names.length}, with ${names.length - 1} migrations on record`),
  ],
};
for (const [what, [tampering, message]] of Object.entries(tamperings))
  test(`a file whose schema ${what} is refused as damaged`, () => {
    const path = join(folder, `${what}.sqlite`);
    openDatabase(path).close();
    const tampered = new Database(path);
    tampered.exec(tampering);
    tampered.close();
    assert.match(refusedWith("ledger-damaged", path), message);
  });

test("what SQLite says of a locked file and of one on a full disk is a ledger that does not answer", () => {
  const path = join(folder, "trouble.sqlite");
  const holder = openDatabase(path);
  holder.exec("begin immediate");
  const other = new Database(path, { timeout: 0 });
  assert.deepEqual(
    codesOf(() => other.exec("begin immediate")),
    ["ledger-unreachable", "SQLITE_BUSY"],
  );
  other.close();
  holder.exec("rollback");
  holder.pragma(`max_page_count = ${holder.pragma("page_count", { simple: true })}`);
  const filling = holder.prepare("insert into rejection values (null, '', '', ?, '', 0, zeroblob(100000), 0, 0, 0)");
  assert.deepEqual(
    codesOf(() => filling.run("code")),
    ["ledger-unreachable", "SQLITE_FULL"],
  );
  holder.close();
});

test("a question that is asked again has its statement ready, and of many kinds of questions not all are kept", () => {
  const path = join(folder, "ready.sqlite");
  const database = openDatabase(path);
  const ready = preparingOnce(openReader(path));
  const first = ready.prepare("select 0");
  assert.equal(ready.prepare("select 0"), first);
  for (let number = 1; number <= 500; number++) assert.equal(ready.prepare(`select ${number}`).pluck().get(), number);
  assert.notEqual(ready.prepare("select 0"), first);
  ready.close();
  database.close();
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

/** The fault that an error of SQLite becomes, and the error itself. */
function codesOf(body: () => unknown): unknown[] {
  try {
    body();
  } catch (error) {
    const fault = faultOf(error);
    assert.ok(fault instanceof CoordinatorFault, String(fault));
    return [fault.code, (fault.cause as { code: string }).code];
  }
  assert.fail("nothing was thrown");
}

/** A folder with this program's migrations and one more. */
function withMigration(name: string, text: string): URL {
  const into = join(folder, `migrations of ${name}`);
  cpSync(migrations, into, { recursive: true });
  writeFileSync(join(into, `${String(names.length + 1).padStart(3, "0")}-${name}.sql`), text);
  return pathToFileURL(`${into}/`);
}

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
