import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import pg from "pg";
import { foundNetwork } from "../../testing/copying.ts";
import { bootId, makeDevice } from "../../testing/devices.ts";
import { founding } from "../../testing/founding.ts";
import { batchInput, column } from "../../testing/inputs.ts";
import { send } from "../../testing/ledger/admission.ts";
import { report } from "../../testing/ledger/life.ts";
import {
  openPostgres,
  openTemporaryPostgresLedger,
  type Postgres,
  type TemporaryPostgresLedger,
} from "../../testing/temporary-postgres.ts";
import { backupLedger, restoreLedger, verifyBackup } from "./backup.ts";
import { encodeHalfCopied } from "./founding.ts";
import { openPostgresLedger, postgresFoundingOf } from "./postgres/postgres-ledger.ts";

let server: Postgres;
let folder = "";
before(async () => {
  server = await openPostgres();
  folder = mkdtempSync(join(tmpdir(), "cairn-backup-"));
});
after(async () => {
  await server?.remove();
  rmSync(folder, { recursive: true, force: true });
});

test("a backup holds everything, passes its drill, and restored it is the same ledger and goes on", () =>
  onBackup("whole", async ({ store, file, network }) => {
    const databases = await ask(server.url("postgres"), "select datname from pg_database");
    await verifyBackup(file, founding, { server: server.url("postgres") });
    assert.deepEqual(await ask(server.url("postgres"), "select datname from pg_database"), databases);
    const to = await server.createDatabase();
    await restoreLedger(file, to);
    const restored = await openPostgresLedger(to, founding);
    assert.deepEqual(await report(restored), await report(store.ledger));
    assert.deepEqual(await network.batchOn(restored), ["stored 7"]);
    await restored.close();
  }));

test("a backup that is taken while coordinators write shows one moment", async () => {
  const store = await openTemporaryPostgresLedger(server);
  const { nodeId, enrolment } = makeDevice();
  const boot = bootId();
  await store.ledger.enrol([enrolment], 1);
  let seq = 0;
  let writing = true;
  const writer = (async () => {
    for (; writing; await Promise.resolve()) {
      seq += 1;
      const series = [column("a.b", [seq, seq + 1], [seq, seq])];
      assert.deepEqual(await send(store.ledger, [batchInput(nodeId, boot, { seq, series })]), [`stored ${seq}`]);
    }
  })();
  const file = join(folder, "under-way");
  await backupLedger(store.url, file);
  writing = false;
  await writer;
  const to = await server.createDatabase();
  await restoreLedger(file, to);
  const restored = await openPostgresLedger(to, founding);
  const { readings, batches } = await restored.counts();
  assert.ok(batches < seq, `${batches} of ${seq}`);
  assert.equal(readings, 2 * batches);
  assert.deepEqual(await send(restored, [batchInput(nodeId, boot, { seq: batches + 1 })]), [`stored ${batches + 1}`]);
  await restored.close();
  await store.remove();
});

const damages: Readonly<Record<string, (file: string) => void>> = {
  "whose archive was cut": (file) => truncateSync(file, statSync(file).size - 600),
  "that is no archive": (file) => writeFileSync(file, "not an archive\n"),
  "whose note was changed": (file) => {
    const note = readFileSync(`${file}.json`, "utf8");
    writeFileSync(`${file}.json`, note.replace(/"sha256": "..../, '"sha256": "0000'));
  },
  "whose note is of other terms": (file) => {
    const note = JSON.parse(readFileSync(`${file}.json`, "utf8"));
    const terms = { ...JSON.parse(note.founding), network: "other" };
    writeFileSync(`${file}.json`, JSON.stringify({ ...note, founding: JSON.stringify(terms) }));
  },
};
for (const [damage, inflict] of Object.entries(damages))
  test(`a backup ${damage} does not pass its drill, and the drill leaves no database`, () =>
    onBackup(damage, async ({ file }) => {
      inflict(file);
      const databases = await ask(server.url("postgres"), "select datname from pg_database");
      await assert.rejects(verifyBackup(file, founding, { server: server.url("postgres") }), {
        code: /^ledger-(damaged|foreign)$/,
      });
      assert.deepEqual(await ask(server.url("postgres"), "select datname from pg_database"), databases);
      const to = await server.createDatabase();
      await assert.rejects(restoreLedger(file, to), { code: "ledger-damaged" });
      // Nothing was restored, or it is shut.
      assert.equal(
        await postgresFoundingOf(to).catch(({ code }) => (code === "ledger-damaged" ? undefined : code)),
        undefined,
      );
    }));

test("a backup is restored into an empty database only, and not into a file", () =>
  onBackup("occupied", async ({ store, file }) => {
    const before = await report(store.ledger);
    await assert.rejects(restoreLedger(file, store.url), { code: "setting-refused", message: /not empty/ });
    assert.deepEqual(await report(store.ledger), before);
    await assert.rejects(restoreLedger(file, `sqlite:${join(folder, "file")}`), { code: "setting-refused" });
    await assert.rejects(verifyBackup(file, founding), { code: "setting-refused", message: /a server is needed/ });
  }));

test("of half a copy, of an empty database and of a server that is not there, no backup is taken and nothing is left", () =>
  onBackup("untaken", async ({ store }) => {
    const file = join(folder, "never");
    const before = readdirSync(folder);
    const empty = await server.createDatabase();
    await assert.rejects(backupLedger(empty, file), { name: "CoordinatorFault" });
    await assert.rejects(backupLedger("postgres://cairn@127.0.0.1:1/ledger", file), { code: "ledger-unreachable" });
    await ask(store.url, `update network set founding = '${encodeHalfCopied("{}")}'`);
    await assert.rejects(backupLedger(store.url, file), { code: "ledger-damaged", message: /half copied/ });
    assert.deepEqual(readdirSync(folder), before);
  }));

type Scene = {
  readonly store: TemporaryPostgresLedger;
  readonly file: string;
  readonly network: Awaited<ReturnType<typeof foundNetwork>>;
};

/** A ledger with something of everything and its backup. */
async function onBackup(name: string, body: (scene: Scene) => Promise<void>): Promise<void> {
  const store = await openTemporaryPostgresLedger(server);
  try {
    const network = await foundNetwork(store.ledger);
    await network.liveOneEpoch();
    const file = join(folder, `backup ${name}`);
    await backupLedger(store.url, file);
    await body({ store, file, network });
  } finally {
    await store.remove();
  }
}

async function ask(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}
