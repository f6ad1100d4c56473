import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
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
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { foundNetwork } from "../../testing/copying.ts";
import { bootId, makeDevice } from "../../testing/devices.ts";
import { founding } from "../../testing/founding.ts";
import { batchInput } from "../../testing/inputs.ts";
import { send } from "../../testing/ledger/admission.ts";
import { report } from "../../testing/ledger/life.ts";
import { perBatch } from "../../testing/ledger-writer.ts";
import { openTemporaryLedger } from "../../testing/temporary-ledger.ts";
import type { CoordinatorFault } from "../fault.ts";
import { backupLedger, restoreLedger, verifyBackup } from "./backup.ts";
import { runOnDatabase } from "./backup-programs.ts";
import { openSqliteLedger } from "./sqlite/sqlite-ledger.ts";

let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "cairn-backup-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

test("a backup holds everything, passes its drill, and restored it is the same ledger", () =>
  onBackup("whole", async ({ store, file, here }) => {
    const { takenAt, engine, tables } = await verifyBackup(file, founding);
    assert.ok(engine === "sqlite" && Math.abs(takenAt - Date.now()) < 60_000 && tables.length > 10);
    assert.deepEqual(readdirSync(here).sort(), ["backup", "backup.json"]);
    for (const name of readdirSync(here)) assert.equal(statSync(join(here, name)).mode & 0o077, 0, name);
    const path = join(here, "restored.sqlite");
    await restoreLedger(file, `sqlite:${path}`);
    const restored = openSqliteLedger(path, founding);
    assert.deepEqual(await report(restored), await report(store.ledger));
    await restored.close();
  }));

test("a backup that is taken while another process writes shows one moment, and does not begin anew with every commit", async () => {
  const store = await openTemporaryLedger();
  const { nodeId, enrolment } = makeDevice();
  const boot = bootId();
  await store.ledger.enrol([enrolment], 1);
  const program = fileURLToPath(new URL("../../testing/ledger-writer.ts", import.meta.url));
  const writer = spawn(process.execPath, [program, store.path, nodeId, boot], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(writer, "close");
  await once(writer.stdout, "data");
  writer.stdout.resume();
  const file = join(folder, "under-way");
  const first = await store.ledger.counts();
  await backupLedger(`sqlite:${store.path}`, file);
  const last = await store.ledger.counts();
  writer.kill("SIGKILL");
  await ended;
  await verifyBackup(file, founding);
  await restoreLedger(file, `sqlite:${file}.sqlite`);
  const restored = openSqliteLedger(`${file}.sqlite`, founding);
  const { readings, batches } = await restored.counts();
  assert.ok(batches >= first.batches && batches <= last.batches && last.batches > first.batches);
  assert.equal(readings, batches * perBatch);
  assert.deepEqual(await send(restored, [batchInput(nodeId, boot, { seq: batches + 1 })]), [`stored ${batches + 1}`]);
  await restored.close();
  await store.remove();
});

const damages: Readonly<Record<string, (file: string) => void>> = {
  "whose archive was cut": (file) => truncateSync(file, statSync(file).size - 4096),
  "of which a page was overwritten": (file) => {
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.fill(0xa5, 3 * 4096, 4 * 4096));
  },
  "in which one value was changed": (file) =>
    onDatabase(file, "update reading set value = value + 1 where id = (select min(id) from reading)"),
  "from which one row was removed": (file) => onDatabase(file, "delete from evidence where slot = 1 and node = 1"),
  "of which an index does not fit its table": (file) => {
    const database = new Database(file).unsafeMode();
    database.pragma("writable_schema = on");
    const change = "update sqlite_schema set sql = replace(sql, '(at)', '(bytes)') where name = 'rejection_by_time'";
    assert.equal(database.prepare(change).run().changes, 1);
    database.close();
  },
  "whose terms were changed": (file) =>
    onDatabase(file, `update network set founding = replace(founding, '"chainId":31337', '"chainId":31338')`),
  "that is no database": (file) => writeFileSync(file, "not a ledger\n".repeat(1_000)),
  "whose note was changed": (file) => {
    const note = readFileSync(`${file}.json`, "utf8");
    writeFileSync(`${file}.json`, note.replace(/"sha256": "..../, '"sha256": "0000'));
  },
  "whose note is no note": (file) => writeFileSync(`${file}.json`, "{}"),
};
for (const [damage, inflict] of Object.entries(damages))
  test(`a backup ${damage} does not pass its drill and is not restored`, () =>
    onBackup(damage, async ({ file, here }) => {
      inflict(file);
      const code = /^ledger-(damaged|unreadable)$/;
      await assert.rejects(verifyBackup(file, founding), { name: "CoordinatorFault", code });
      await assert.rejects(restoreLedger(file, `sqlite:${join(here, "restored.sqlite")}`), (fault: Error) => {
        assert.match((fault as CoordinatorFault).code, code);
        assert.ok(fault.message.startsWith(file) && !fault.message.includes(".partial"), fault.message);
        return true;
      });
      assert.deepEqual(readdirSync(here).sort(), ["backup", "backup.json"]);
    }));

test("a backup of another network does not pass the drill of this one", () =>
  onBackup("foreign", async ({ file }) => {
    await assert.rejects(verifyBackup(file, { ...founding, chainId: 1 }), {
      code: "ledger-foreign",
      message: `${file} is a backup of another network: chainId: the backup has 31337, 1 was asked`,
    });
  }));

test("nothing is overwritten: neither an older backup nor a ledger", () =>
  onBackup("twice", async ({ store, file, here }) => {
    const kept = readFileSync(file);
    await assert.rejects(backupLedger(`sqlite:${store.path}`, file), { code: "setting-refused" });
    assert.deepEqual(readFileSync(file), kept);
    rmSync(`${file}`);
    await assert.rejects(backupLedger(`sqlite:${store.path}`, file), { code: "setting-refused" });
    copyFileSync(`${file}.json`, join(here, "other.json"));
    await assert.rejects(restoreLedger(file, `sqlite:${join(here, "new")}`), { code: "file-missing" });
    const again = join(here, "again");
    await backupLedger(`sqlite:${store.path}`, again);
    const before = await report(store.ledger);
    await assert.rejects(restoreLedger(again, `sqlite:${store.path}`), { code: "setting-refused" });
    assert.deepEqual(await report(store.ledger), before);
    await assert.rejects(restoreLedger(again, "postgres://localhost/x"), { code: "setting-refused" });
  }));

test("a backup that cannot be taken leaves nothing behind", async () => {
  const here = join(folder, "untaken");
  mkdirSync(here);
  await assert.rejects(backupLedger(`sqlite:${join(here, "none.sqlite")}`, join(here, "backup")), {
    code: "file-missing",
  });
  const unfounded = join(folder, "unfounded.sqlite");
  await openSqliteLedger(unfounded, founding).close();
  onDatabase(unfounded, "delete from network");
  await assert.rejects(backupLedger(`sqlite:${unfounded}`, join(here, "backup")), { code: "ledger-unreadable" });
  assert.deepEqual(readdirSync(here), []);
});

test("a folder that is not there is named, for a backup, a restore and a drill", () =>
  onBackup("no folder", async ({ store, file, here }) => {
    const gone = join(here, "gone");
    const named = { code: "file-missing", message: new RegExp(`^cannot write into the folder ${gone}: ENOENT`) };
    await assert.rejects(backupLedger(`sqlite:${store.path}`, join(gone, "backup")), named);
    await assert.rejects(restoreLedger(file, `sqlite:${join(gone, "ledger")}`), named);
    await assert.rejects(verifyBackup(file, founding, { folder: gone }), named);
  }));

test("a program of PostgreSQL gets the password by its environment, and is named when it is missing or fails", async () => {
  const programs = join(folder, "programs");
  mkdirSync(programs);
  const told = join(programs, "told");
  const path = process.env.PATH;
  writeFileSync(join(programs, "pg_told"), `#!/bin/sh\necho "$PGPASSWORD $@" > ${told}\n`);
  writeFileSync(join(programs, "pg_failing"), "#!/bin/sh\necho no such server >&2\nexit 3\n");
  for (const name of ["pg_told", "pg_failing"]) chmodSync(join(programs, name), 0o700);
  process.env.PATH = `${programs}:${path}`;
  try {
    const url = "postgres://cairn:s%40cret@db:5433/ledger?sslmode=require";
    await runOnDatabase("pg_told", url, ["--clean"], "ledger-damaged");
    const expected = "s@cret --clean --dbname=postgres://cairn@db:5433/ledger?sslmode=require\n";
    assert.equal(readFileSync(told, "utf8"), expected);
    await assert.rejects(runOnDatabase("pg_failing", url, [], "ledger-unreachable"), {
      code: "ledger-unreachable",
      message: "pg_failing ended with 3: no such server",
    });
    await assert.rejects(runOnDatabase("pg_missing", url, [], "ledger-damaged"), {
      code: "file-missing",
      message: /pg_missing is neither on the path nor/,
    });
  } finally {
    process.env.PATH = path;
  }
});

type Scene = {
  readonly store: Awaited<ReturnType<typeof openTemporaryLedger>>;
  readonly file: string;
  readonly here: string;
};

/** A ledger with something of everything and its backup, in a folder of its own. */
async function onBackup(name: string, body: (scene: Scene) => Promise<void>): Promise<void> {
  const store = await openTemporaryLedger();
  const here = join(folder, name);
  mkdirSync(here);
  try {
    await (await foundNetwork(store.ledger)).liveOneEpoch();
    const file = join(here, "backup");
    await backupLedger(`sqlite:${store.path}`, file);
    await body({ store, file, here });
  } finally {
    await store.remove();
  }
}

function onDatabase(path: string, change: string): void {
  const database = new Database(path);
  assert.equal(database.prepare(change).run().changes, 1);
  database.close();
}
