import assert from "node:assert/strict";
import { after, before, describe, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { BootId, NodeId } from "@cairn/protocol";
import pg from "pg";
import { bootId, type Device } from "../../../testing/devices.ts";
import { founding, slotTime } from "../../../testing/founding.ts";
import { batchInput, birthInput, column, evidenceInput, refusedInput, slotRow } from "../../../testing/inputs.ts";
import { enrolled, send } from "../../../testing/ledger/admission.ts";
import { describeLedger } from "../../../testing/ledger-behaviour.ts";
import { perBatch, writeUntilKilled } from "../../../testing/ledger-writer.ts";
import {
  openPostgres,
  openTemporaryPostgresLedger,
  type Postgres,
  type TemporaryPostgresLedger,
} from "../../../testing/temporary-postgres.ts";
import { until } from "../../../testing/until.ts";
import { CoordinatorFault } from "../../fault.ts";
import type { Fence, Ledger } from "../../model.ts";
import { openPool } from "./database.ts";
import { dayOf, partitionName } from "./partitions.ts";
import { openPostgresLedger, type PostgresOptions, postgresFoundingOf } from "./postgres-ledger.ts";

const dayMs = 86_400_000;

let server: Postgres;
before(async () => {
  server = await openPostgres();
});
after(() => server?.remove());

describeLedger("PostgreSQL", () => openTemporaryPostgresLedger(server));

/** A ledger that is closed when its test ends, however it ends. */
async function openStore(t: TestContext, options: PostgresOptions = {}): Promise<TemporaryPostgresLedger> {
  const store = await openTemporaryPostgresLedger(server, { options });
  t.after(() => store.remove());
  return store;
}

describe("PostgreSQL, its server", () => {
  test("the founding terms can be read before the ledger is opened, and an empty database has none", async (t) => {
    const store = await openStore(t);
    assert.deepEqual(await postgresFoundingOf(store.url), founding);
    assert.equal(await postgresFoundingOf(await server.createDatabase()), undefined);
  });

  test("a database that is not there is refused at once, a server that is not there is out of reach", async () => {
    await refusedWith("ledger-unreadable", openPostgresLedger(server.url("nowhere"), founding));
    await refusedWith("ledger-unreachable", openPostgresLedger("postgres://cairn@127.0.0.1:1/ledger", founding));
    await refusedWith("ledger-unreachable", postgresFoundingOf("postgres://cairn@127.0.0.1:1/ledger"));
  });

  test("a ledger survives that its server is restarted, and says meanwhile that it is out of reach", async (t) => {
    const store = await openStore(t);
    const { ledger } = store;
    const { nodeId } = await enrolled(ledger);
    const boot = bootId();
    assert.deepEqual(await send(ledger, [batchInput(nodeId, boot)]), ["stored 1"]);
    const uncaught: unknown[] = [];
    const note = (error: unknown) => uncaught.push(error);
    process.on("uncaughtExceptionMonitor", note);
    // Nobody uses its connections when they break.
    await sleep(100);
    await server.stop();
    await sleep(50);
    process.off("uncaughtExceptionMonitor", note);
    assert.deepEqual(uncaught, []);
    await refusedWith("ledger-unreachable", send(ledger, [batchInput(nodeId, boot, { seq: 2 })]));
    await refusedWith("ledger-unreachable", ledger.nodes());
    await refusedWith("ledger-unreachable", ledger.openSlot(slotRow(0)));
    await refusedWith("ledger-unreachable", ledger.takeDuty("verifier", "one", 1_000));
    await server.start();
    assert.deepEqual(await send(ledger, [batchInput(nodeId, boot, { seq: 2 })]), ["stored 2"]);
    assert.deepEqual(await ledger.counts(), { readings: 2, batches: 2 });
  });

  test("a connection that broke unnoticed costs no commit", async (t) => {
    const store = await openStore(t);
    const { nodeId } = await enrolled(store.ledger);
    const { rows } = await inTransaction(store.url, (other) =>
      other.query<{ pid: number }>(
        "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and state = 'idle'",
      ),
    );
    assert.ok(rows.length > 0);
    for (const { pid } of rows) process.kill(pid, "SIGTERM");
    // The end of the connections is not looked at before the commit is begun.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    assert.deepEqual(await send(store.ledger, [batchInput(nodeId, bootId())]), ["stored 1"]);
  });

  test("a server that is killed with SIGKILL, again and again, has lost nothing acknowledged and nothing is stored twice", async (t) => {
    const store = await openStore(t);
    const { ledger } = store;
    const { nodeId } = await enrolled(ledger);
    const boot = bootId();
    const writer = writeOn(t, ledger, nodeId, boot);
    for (const [kills, pause] of [70, 130, 210].entries()) {
      const { acknowledged } = writer;
      await until(() => writer.acknowledged > acknowledged + 20);
      await sleep(pause);
      await server.kill();
      await until(() => writer.outages > kills);
      await server.start();
    }
    const acknowledged = await writer.end();
    assert.deepEqual(await ledger.counts(), { readings: acknowledged * perBatch, batches: acknowledged });
    const stored = await ledger.readings(nodeId, "a.b", 0, perBatch, 10_000_000);
    assert.equal(stored?.times.length, acknowledged * perBatch);
    assert.equal((await ledger.nodes())[0]?.readingsStored, acknowledged * perBatch);
  });

  test("a writer that is killed with SIGKILL has lost nothing that it reported and left no half batch", async (t) => {
    const store = await openStore(t);
    const { nodeId } = await enrolled(store.ledger);
    const boot = bootId();
    for (const reports of [1, 7, 20]) {
      const reported = await writeUntilKilled([store.url, nodeId, boot], reports);
      const ledger = await store.reopen();
      const [word = ""] = await send(ledger, [batchInput(nodeId, boot, { seq: 1 })]);
      const upTo = Number(word.split(" ")[1]);
      assert.ok(upTo >= reported && reported > 0, `stored up to ${upTo}, reported up to ${reported}`);
      assert.deepEqual(await ledger.counts(), { readings: upTo * perBatch, batches: upTo });
      const stored = await ledger.readings(nodeId, "a.b", 0, perBatch, 1_000_000);
      assert.equal(stored?.times.length, upTo * perBatch);
    }
  });

  test("no commit is acknowledged before it is durable, whatever the server's default is", async (t) => {
    const url = await server.createDatabase();
    await inTransaction(url, (other) =>
      other.query(`commit; alter database ${new URL(url).pathname.slice(1)} set synchronous_commit = off`),
    );
    const { pool } = openPool(url, {});
    t.after(() => pool.end());
    assert.deepEqual((await pool.query("show synchronous_commit")).rows, [{ synchronous_commit: "on" }]);
  });

  test("a commit that waits longer than allowed for another transaction is given up, and can come again", async (t) => {
    const store = await openStore(t, { lockTimeoutMs: 100 });
    const { nodeId } = await enrolled(store.ledger);
    const batch = batchInput(nodeId, bootId());
    await inTransaction(store.url, async (other) => {
      await other.query("select from node for update");
      await refusedWith("ledger-unreachable", send(store.ledger, [batch]));
    });
    assert.deepEqual(await send(store.ledger, [batch]), ["stored 1"]);
  });
});

describe("PostgreSQL, what is written at the same time", () => {
  test("groups that name the same nodes in opposite orders are stored whole, by whichever instance", async (t) => {
    const store = await openStore(t);
    const [here, there] = [store.ledger, await store.beside()];
    const devices: Device[] = [];
    for (let index = 0; index < 20; index++) devices.push(await enrolled(here));
    const boots = devices.map(() => [bootId(), bootId()] as const);
    const group = (instance: 0 | 1, seq: number) =>
      devices.flatMap(({ nodeId }, index) => [
        batchInput(nodeId, boots[index]?.[instance] ?? bootId(), { n: instance + 1, seq }),
        refusedInput(nodeId, seq % 2 === 0 ? "schema-mismatch" : "signature-invalid", { detail: `of ${index}` }),
        refusedInput(null, "key-unknown", { detail: `number ${(index + seq) % 20}` }),
      ]);
    await Promise.all(
      Array.from({ length: 15 }, (_, index) => index + 1).flatMap((seq) => [
        send(here, group(0, seq)),
        send(there, group(1, seq).reverse()),
        there.setStatus(
          devices.map(({ nodeId }) => ({ nodeId, status: { state: "online", since: seq, reason: "heard" } })),
        ),
      ]),
    );
    assert.deepEqual(await here.counts(), { readings: 600, batches: 600 });
    assert.equal((await there.rejectionCounts()).get("key-unknown"), 600);
    assert.deepEqual(
      (await here.nodes()).map(({ readingsStored, rejections }) => [readingsStored, rejections]),
      devices.map(() => [30, 30]),
    );
  });

  test("an input that PostgreSQL's text cannot hold is told apart, and a refusal that says such things is kept", async (t) => {
    const store = await openStore(t);
    const { nodeId } = await enrolled(store.ledger);
    const software = "cairn\0node";
    await refusedWith("input-unstorable", send(store.ledger, [evidenceInput(nodeId, bootId(), { software })]));
    await refusedWith(
      "input-unstorable",
      send(store.ledger, [batchInput(nodeId, bootId(), { receivedAt: Number.NaN })]),
    );
    const birth = birthInput(nodeId, bootId());
    const named = { ...birth, birth: { ...birth.birth, profile: "a\0b" } };
    const strange = refusedInput(nodeId, "schema-mismatch", { topic: "a\0b", detail: "half a pair: \ud83d" });
    assert.deepEqual(await send(store.ledger, [named, strange, strange]), [
      "accepted",
      "schema-mismatch",
      "schema-mismatch",
    ]);
    assert.partialDeepStrictEqual(await store.ledger.rejections(1), [{ topic: "a\ufffdb", count: 2 }]);
    assert.equal((await store.ledger.nodes())[0]?.birth?.profile, "a\0b");
  });

  test("a new holder of a duty waits for a write of the last one, whose own time can be prolonged meanwhile", async (t) => {
    const store = await openStore(t);
    const [paused, next] = [store.ledger, await store.beside()];
    const fence = (await paused.takeDuty("retention", "paused", 60_000)) as Fence;
    const ended: string[] = [];
    await inTransaction(store.url, async (other) => {
      // The write has looked at its fence and now waits for a table.
      await other.query("lock table slot in exclusive mode");
      const write = paused
        .under(fence)
        .openSlot(slotRow(0))
        .then(() => ended.push("write"));
      await until(async () => (await waiting(other)) === 1);
      assert.deepEqual(await paused.takeDuty("retention", "paused", 1), fence);
      await sleep(20);
      const takeover = next.takeDuty("retention", "next", 60_000).then((taken) => {
        ended.push("takeover");
        assert.ok(taken && taken.token > fence.token);
      });
      await until(async () => (await waiting(other)) === 2);
      await other.query("commit");
      await Promise.all([write, takeover]);
    });
    assert.deepEqual(ended, ["write", "takeover"]);
    await refusedWith("duty-lost", paused.under(fence).closeSlot(0, slotTime(1), null));
    await refusedWith(
      "duty-lost",
      paused.under(fence).prune({ readingsMs: 0, evidenceMs: 0, rejections: 0 }, Date.now()),
    );
    assert.partialDeepStrictEqual(await next.slots(0), [{ slot: 0, closedAt: null }]);
  });
});

describe("PostgreSQL, its partitions", () => {
  test("today and tomorrow have theirs when a ledger is opened, and a day that begins gets the one after it", async (t) => {
    const store = await openStore(t);
    const { nodeId } = await enrolled(store.ledger);
    const today = dayOf(await store.ledger.clock());
    assert.deepEqual(await partitionsIn(store.url), [partitionName(today), partitionName(today + 1)]);
    await send(store.ledger, [batchInput(nodeId, bootId(), { receivedAt: (today + 1) * dayMs })]);
    await until(async () => (await partitionsIn(store.url)).includes(partitionName(today + 2)));
  });

  test("a day whose partition another replica has dropped meanwhile gets it again", async (t) => {
    const store = await openStore(t);
    const { nodeId } = await enrolled(store.ledger);
    const boot = bootId();
    const receivedAt = Date.now() - 5 * dayMs;
    const batch = (seq: number) => batchInput(nodeId, boot, { seq, receivedAt, series: [column("a.b", [seq], [seq])] });
    await send(store.ledger, [batch(1)]);
    const other = await store.beside();
    const retention = { readingsMs: dayMs, evidenceMs: dayMs, rejections: 10 };
    assert.ok((await other.prune(retention, Date.now())) > 0);
    assert.ok(!(await partitionsIn(store.url)).includes(partitionName(dayOf(receivedAt))));
    assert.deepEqual(await send(store.ledger, [batch(2)]), ["stored 2"]);
    assert.deepEqual((await other.readings(nodeId, "a.b", 0, 9, 9))?.values, [2]);
  });

  test("days that are too old go whole while a writer goes on, and what is read for long is left for the next time", async (t) => {
    const store = await openStore(t);
    const { ledger } = store;
    const { nodeId } = await enrolled(ledger);
    const now = Date.now();
    const old = bootId();
    for (let age = 9; age > 0; age--)
      await send(ledger, [
        batchInput(nodeId, old, {
          seq: 10 - age,
          receivedAt: now - age * dayMs,
          series: [column("old.days", [age], [age])],
        }),
      ]);
    const writer = writeOn(t, await store.beside(), nodeId, bootId(), { n: 2, receivedAt: now });
    const kept = async () => (await ledger.readings(nodeId, "old.days", 0, 10, 10))?.values;
    const retention = { readingsMs: 3 * dayMs, evidenceMs: dayMs, rejections: 10 };
    await inTransaction(store.url, async (reader) => {
      await reader.query("select count(*) from reading");
      const before = writer.acknowledged;
      await ledger.prune(retention, now);
      assert.ok(writer.acknowledged > before + 20, "the writer was held up");
    });
    await ledger.prune(retention, now);
    assert.deepEqual(await kept(), [3, 2, 1].reverse());
    const left = await partitionsIn(store.url);
    assert.ok(
      left.every((name) => name >= partitionName(dayOf(now - 3 * dayMs))),
      left.join(),
    );
    const { slowestMs } = writer;
    const acknowledged = await writer.end();
    assert.equal(writer.outages, 0);
    assert.ok(slowestMs < 1_000, `a commit took ${slowestMs} ms`);
    assert.deepEqual(await ledger.counts(), { readings: acknowledged * perBatch + 9, batches: acknowledged + 9 });
  });
});

/** Hands in groups of batches one after the other, each again until it is acknowledged, as the ingest queue does. */
function writeOn(
  t: TestContext,
  ledger: Ledger,
  nodeId: NodeId,
  boot: BootId,
  fields: { n?: number; receivedAt?: number } = {},
) {
  const times = Array.from({ length: perBatch }, (_, index) => index);
  const perGroup = 4;
  const state = { acknowledged: 0, outages: 0, slowestMs: 0, end: async () => 0 };
  let ending = false;
  async function write(): Promise<void> {
    while (!ending) {
      const first = state.acknowledged + 1;
      const group = Array.from({ length: perGroup }, (_, index) =>
        batchInput(nodeId, boot, { ...fields, seq: first + index, series: [column("a.b", times, times)] }),
      );
      const began = performance.now();
      try {
        const words = await send(ledger, group);
        const upTo = Number(words.at(-1)?.split(" ")[1]);
        // The commit before an outage may have come through: then they are duplicates of themselves.
        assert.equal(upTo, first + perGroup - 1, words.join());
        state.acknowledged = upTo;
      } catch (cause) {
        if (!(cause instanceof CoordinatorFault && cause.code === "ledger-unreachable")) throw cause;
        state.outages += 1;
        await sleep(20);
      }
      state.slowestMs = Math.max(state.slowestMs, performance.now() - began);
    }
  }
  const written = write();
  // Looked at by whoever ends it; a test that failed before does not.
  written.catch(() => {});
  t.after(() => {
    ending = true;
  });
  state.end = async () => {
    ending = true;
    await written;
    return state.acknowledged;
  };
  return state;
}

/** A connection of another program's, in a transaction that is ended in the end. */
async function inTransaction<T>(url: string, body: (other: pg.Client) => Promise<T>): Promise<T> {
  const other = new pg.Client({ connectionString: url });
  await other.connect();
  try {
    await other.query("begin");
    const result = await body(other);
    await other.query("rollback");
    return result;
  } finally {
    await other.end();
  }
}

/** Connections to this database that wait for a lock. */
async function waiting(client: pg.Client): Promise<number> {
  const { rows } = await client.query(
    "select count(*)::int as count from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
  );
  return rows[0].count;
}

async function partitionsIn(url: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query(
    "select relname from pg_class where relname like 'reading\\_2%' and relkind = 'r' order by relname",
  );
  await client.end();
  return rows.map(({ relname }) => relname);
}

async function refusedWith(code: CoordinatorFault["code"], promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof CoordinatorFault, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });
}
