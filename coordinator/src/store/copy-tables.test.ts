import assert from "node:assert/strict";
import { test } from "node:test";
import { foundNetwork } from "../../testing/copying.ts";
import { openTemporaryLedger } from "../../testing/temporary-ledger.ts";
import { differences, digestsOf, pagesOf, sqliteRows } from "./copy-rows.ts";
import { canonical, copiedTables, type Row } from "./copy-tables.ts";
import { openDatabase } from "./sqlite/database.ts";

/** The copy founds its target itself, replicas and their duties are of the running coordinator, and a schema is made by its migrations. */
const notCopied = ["duty", "network", "replica", "schema_migration"];

test("a copy takes every column of every table, but for what is no history", async () => {
  const store = await openTemporaryLedger();
  const database = openDatabase(store.path);
  const tables = database
    .prepare<[], string>(
      "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by name",
    )
    .pluck()
    .all()
    .filter((name) => !notCopied.includes(name));
  assert.deepEqual(copiedTables.map(({ name }) => name).sort(), tables);
  for (const { name, key, columns } of copiedTables) {
    const stored = database.prepare<[], { name: string; pk: number }>(`pragma table_info(${name})`).all();
    const own = stored.filter((column) => column.name !== "only_row");
    assert.deepEqual(columns.toSorted(), own.map((column) => column.name).sort(), name);
    const primary = own.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk);
    assert.deepEqual(
      key,
      primary.map((column) => column.name),
      name,
    );
  }
  database.close();
  await store.remove();
});

test("a row that is changed, missing or added shows in the digest of its table and in no other", async () => {
  const store = await openTemporaryLedger();
  await (await foundNetwork(store.ledger)).liveOneEpoch();
  const database = openDatabase(store.path);
  const digests = () => digestsOf(sqliteRows(database), () => {}, "checking source");
  const whole = await digests();
  const changes: Readonly<Record<string, string>> = {
    reading: "update reading set value = value + 1e-9 where id = (select max(id) from reading where value < 1)",
    evidence: "delete from evidence where slot = 3",
    rejection: "update rejection set sample = x'00015cfe' where length(sample) = 4",
    slot: "update slot set void_reason = '' where void_reason is not null",
    epoch_operator: "update epoch_operator set paid_in = 'null' where paid_in is null",
    rejection_count: "insert into rejection_count values ('made-up', 0)",
    total: "update total set readings = readings + 1",
  };
  for (const [table, change] of Object.entries(changes)) {
    database.exec("begin");
    database.exec(change);
    assert.deepEqual(differences(whole, await digests()), [table]);
    database.exec("rollback");
  }
  assert.deepEqual(differences(whole, await digests()), []);
  database.close();
  await store.remove();
});

test("the pages of a table are all its rows once, in order, and begin after any key", async () => {
  const store = await openTemporaryLedger();
  await (await foundNetwork(store.ledger)).liveOneEpoch(500);
  const database = openDatabase(store.path);
  const [table] = copiedTables.filter(({ name }) => name === "reading");
  assert.ok(table);
  const rows = sqliteRows(database);
  const all = database.prepare<[], unknown[]>(
    "select channel, at, id, value, quality from reading order by channel, at, id",
  );
  const stored = all.raw().all() as number[][];
  const read: Row[] = [];
  const ends: (Row | null)[] = [];
  for await (const page of pagesOf(rows, table)) {
    read.push(...page.rows);
    ends.push(page.range.upTo);
  }
  assert.ok(ends.length > 2);
  assert.equal(canonical(read), canonical(stored));
  const rest: Row[] = [];
  for await (const page of pagesOf(rows, table, ends[0])) rest.push(...page.rows);
  assert.equal(canonical(rest), canonical(stored.slice(stored.length - rest.length)));
  assert.equal(
    stored.length - rest.length,
    stored.findIndex((row) => canonical([row]) === canonical(rest.slice(0, 1))),
  );
  database.close();
  await store.remove();
});
