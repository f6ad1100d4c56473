import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import pg from "pg";
import { founding } from "../../../testing/founding.ts";
import { enrolled } from "../../../testing/ledger/admission.ts";
import { openPostgres, type Postgres } from "../../../testing/temporary-postgres.ts";
import { CoordinatorFault, type FaultCode } from "../../fault.ts";
import { openDatabase } from "../sqlite/database.ts";
import { postgresClock } from "./database.ts";
import { openPostgresLedger } from "./postgres-ledger.ts";
import { readMigrations } from "./schema.ts";

const migrations = readMigrations();

let server: Postgres;
before(async () => {
  server = await openPostgres();
});
after(() => server?.remove());

test("migrations are numbered from 1 without a gap, one subject each, and none is for programs newer than itself", () => {
  for (const [index, { name, number, compatibleFrom }] of migrations.entries()) {
    assert.match(name, new RegExp(`^${String(index + 1).padStart(3, "0")}-[a-z-]+\\.sql$`));
    assert.ok(compatibleFrom >= 1 && compatibleFrom <= number, name);
  }
});

test("a new ledger gets every migration and puts each on record, and opening it again applies none", async () => {
  const url = await server.createDatabase();
  await open(url);
  const records = "select number, name, sha256, compatible_from, applied_at from schema_migration order by number";
  const recorded = await ask(url, records);
  assert.deepEqual(
    recorded.map(({ applied_at: _, ...record }) => record),
    migrations.map(({ number, name, sha256, compatibleFrom }) => ({
      number,
      name,
      sha256,
      compatible_from: compatibleFrom,
    })),
  );
  await open(url);
  assert.deepEqual(await ask(url, records), recorded);
});

test("programs that open an empty database at the same time make one ledger of it", async () => {
  const url = await server.createDatabase();
  const ledgers = await Promise.all(Array.from({ length: 5 }, () => openPostgresLedger(url, founding)));
  assert.equal((await ask(url, "select from network")).length, 1);
  assert.equal((await ask(url, "select from schema_migration")).length, migrations.length);
  for (const ledger of ledgers) await ledger.close();
});

test("a ledger of an older schema is brought forward from where it stands and keeps its rows", async () => {
  const url = await server.createDatabase();
  await openPostgresLedger(url, founding).then(async (ledger) => {
    await enrolled(ledger, "of old");
    await ledger.close();
  });
  await ask(
    url,
    "drop table duty, replica; alter table boot drop column ahead; delete from schema_migration where number >= 5",
  );
  const ledger = await openPostgresLedger(url, founding);
  assert.equal((await ledger.nodes())[0]?.name, "of old");
  assert.ok(await ledger.takeDuty("verifier", "one", 1));
  await ledger.close();
});

test("a ledger that is newer by migrations which this program can live with is opened and left as it is", async () => {
  const url = await server.createDatabase();
  await open(url);
  await ask(url, `insert into schema_migration values (${migrations.length + 1}, 'next.sql', 'x', 0, 1)`);
  await open(url);
  assert.equal((await ask(url, "select from schema_migration")).length, migrations.length + 1);
});

test("a ledger that needs a newer program is refused with the schema it needs", async () => {
  const url = await server.createDatabase();
  await open(url);
  const [next, last] = [migrations.length + 1, migrations.length + 2];
  await ask(url, `insert into schema_migration values (${next}, 'a', 'x', 0, ${next}), (${last}, 'b', 'x', 0, 1)`);
  const message = await refusedWith("ledger-newer", url);
  assert.match(message, new RegExp(`schema ${last}, which needs a program that knows ${next}`));
});

test("a migration that older programs cannot live with waits until none runs, and is refused while one does", async () => {
  const url = await server.createDatabase();
  await open(url);
  await takeBackSharedWork(url);
  const seen = (at: string) =>
    ask(
      url,
      `insert into replica values ('older', '[]', 'x', null, ${at}) on conflict (name) do update set seen_at = ${at}`,
    );
  await seen(`${postgresClock} + 60000`);
  assert.match(await refusedWith("ledger-in-use", url), /006-shared-work\.sql .* stop older first/);
  assert.equal((await ask(url, "select from schema_migration")).length, 5);
  await seen(postgresClock);
  const began = performance.now();
  await open(url);
  assert.ok(performance.now() - began > 2_000, "it was not waited for");
  assert.equal((await ask(url, "select from schema_migration")).length, migrations.length);
});

test("a migration that has to wait for a table gives up before those who write wait for long", async () => {
  const url = await server.createDatabase();
  await open(url);
  await takeBackSharedWork(url);
  const reading = new pg.Client({ connectionString: url });
  await reading.connect();
  await reading.query("begin");
  await reading.query("select from boot");
  const began = performance.now();
  await refusedWith("ledger-unreachable", url);
  assert.ok(performance.now() - began < 6_000, "shorter than a duty is held");
  await reading.end();
  await open(url);
});

const damages: Readonly<Record<string, readonly [does: string, told: RegExp]>> = {
  "whose record of a migration has another hash": [
    "update schema_migration set sha256 = 'tampered' where number = 2",
    /002-ingest.sql was applied, but was not this program's/,
  ],
  "with a gap in its record": ["delete from schema_migration where number = 2", /migration 2 is not on record/],
  "whose record lost a migration that was applied": [
    "delete from schema_migration where number = 6",
    /006-shared-work.sql is not on record, but cannot be applied/,
  ],
  "that lost a table": ["drop table replica", /the table replica is missing/],
};
for (const [damage, [does, told]] of Object.entries(damages))
  test(`a ledger ${damage} is refused as damaged`, async () => {
    const url = await server.createDatabase();
    await open(url);
    await ask(url, does);
    assert.match(await refusedWith("ledger-damaged", url), told);
  });

test("a database that holds another program's tables is refused, and nothing is left of the migration that met them", async () => {
  const url = await server.createDatabase();
  // The last table of its migration is in the way.
  await ask(url, "create table intent (in_the_way int)");
  await refusedWith("ledger-damaged", url);
  assert.equal((await ask(url, "select from schema_migration")).length, 3);
  assert.deepEqual(await ask(url, "select to_regclass('epoch') as epoch"), [{ epoch: null }]);
});

test("a ledger that lost a table while it is open says that it is damaged", async () => {
  const url = await server.createDatabase();
  const ledger = await openPostgresLedger(url, founding);
  await ask(url, "drop table replica");
  await assert.rejects(ledger.replicas(1), { code: "ledger-damaged" });
  await ledger.close();
});

test("both engines have the same tables, columns and keys, but for what is stated here", async () => {
  const expected = sqliteSchema();
  const differ = (table: string, change: (of: Table) => void) => change(expected.get(table) ?? assert.fail(table));
  // Partitions hold one day each.
  differ("reading", (of) => {
    of.columns.day = "integer, never null";
    of.keys = ["channel, at, id, day"];
  });
  // Counters are in shards.
  differ("rejection_count", (of) => {
    of.columns.shard = "integer, never null";
    of.keys = ["code, shard"];
  });
  differ("total", (of) => {
    of.columns.shard = "integer, never null";
    delete of.columns.only_row;
    of.keys = ["shard"];
  });
  // Lets a holder prolong a duty under which it is writing.
  differ("duty", (of) => of.keys.push("duty, token"));
  const actual = await postgresSchema();
  assert.deepEqual([...actual.keys()], [...expected.keys()]);
  for (const [name, table] of expected) assert.deepEqual(actual.get(name), table, name);
});

test("every text is ordered by its bytes, as SQLite orders it", async () => {
  const url = await server.createDatabase();
  await open(url);
  const others = await ask(
    url,
    `select table_name, column_name from information_schema.columns
     where table_schema = current_schema() and data_type = 'text' and collation_name is distinct from 'C'`,
  );
  assert.deepEqual(others, []);
});

type Table = {
  /** Kind, whether it may be null, and default of every column. */
  readonly columns: Record<string, string>;
  /** Columns of the primary key and of unique keys. */
  keys: string[];
};

const partition = /^reading_\d/;

function sqliteSchema(): Map<string, Table> {
  const path = join(tmpdir(), `cairn-schema-${process.pid}.sqlite`);
  const database = openDatabase(path);
  type Column = { name: string; type: string; notnull: number; pk: number; dflt_value: string | null };
  const tables = new Map<string, Table>();
  const names = database
    .prepare<[], string>(
      "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by name",
    )
    .pluck()
    .all();
  for (const name of names) {
    const columns = database.pragma(`table_info(${name})`) as Column[];
    const key = columns.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk);
    const indexes = database.pragma(`index_list(${name})`) as { name: string; unique: number; origin: string }[];
    const unique = indexes.filter((index) => index.unique === 1 && index.origin !== "pk");
    const columnsOf = (index: string) =>
      (database.pragma(`index_info(${index})`) as { name: string }[]).map((of) => of.name);
    tables.set(name, {
      columns: Object.fromEntries(
        columns.map(({ name: column, type, notnull, pk, dflt_value }) => [
          column,
          describeColumn(type.toLowerCase(), notnull === 0 && pk === 0, dflt_value),
        ]),
      ),
      keys: [
        key.map((column) => column.name).join(", "),
        ...unique.map((index) => columnsOf(index.name).join(", ")).sort(),
      ],
    });
  }
  database.close();
  for (const suffix of ["", "-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
  return tables;
}

const kinds: Readonly<Record<string, string>> = {
  smallint: "integer",
  integer: "integer",
  bigint: "integer",
  "double precision": "real",
  bytea: "blob",
  text: "text",
};

async function postgresSchema(): Promise<Map<string, Table>> {
  const url = await server.createDatabase();
  await open(url);
  const columns = await ask(
    url,
    `select table_name, column_name, data_type, is_nullable = 'YES' as nullable, column_default
     from information_schema.columns where table_schema = current_schema() order by table_name, ordinal_position`,
  );
  const keys = await ask(
    url,
    `select relname, indisprimary, (
       select string_agg(attname, ', ' order by place)
       from unnest(indkey) with ordinality as part (number, place) join pg_attribute on attrelid = indrelid and attnum = number
     ) as columns
     from pg_index join pg_class on pg_class.oid = indrelid
     where indisunique and relnamespace = current_schema()::regnamespace order by indisprimary desc, columns`,
  );
  const tables = new Map<string, Table>();
  for (const { table_name, column_name, data_type, nullable, column_default } of columns) {
    if (partition.test(table_name)) continue;
    const table = tables.get(table_name) ?? { columns: {}, keys: [] };
    table.columns[column_name] = describeColumn(kinds[data_type] ?? data_type, nullable, column_default);
    tables.set(table_name, table);
  }
  for (const { relname, columns: of } of keys) tables.get(relname)?.keys.push(of);
  return tables;
}

function describeColumn(kind: string, nullable: boolean, value: string | null): string {
  const otherwise = value === null ? "" : `, otherwise ${value.replace("::text", "")}`;
  return `${kind}, ${nullable ? "may be null" : "never null"}${otherwise}`;
}

/** The ledger as it was before its sixth migration, which no older program can live with. */
async function takeBackSharedWork(url: string): Promise<void> {
  await ask(
    url,
    `alter table boot drop column ahead; alter table replica drop column broker;
     delete from schema_migration where number >= 6`,
  );
}

async function open(url: string): Promise<void> {
  const ledger = await openPostgresLedger(url, founding);
  await ledger.close();
}

// biome-ignore lint/suspicious/noExplicitAny: rows of any statement
async function ask(url: string, text: string): Promise<any[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

/** The message with which opening is refused. */
async function refusedWith(code: FaultCode, url: string): Promise<string> {
  let message = "";
  await assert.rejects(openPostgresLedger(url, founding), (error) => {
    assert.ok(error instanceof CoordinatorFault, String(error));
    assert.equal(error.code, code, error.message);
    message = error.message;
    return true;
  });
  return message;
}
