import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { foundNetwork, type LivingNetwork, outcomeOf } from "../../testing/copying.ts";
import { makeDevice } from "../../testing/devices.ts";
import { founding, slotTime } from "../../testing/founding.ts";
import { refusedInput } from "../../testing/inputs.ts";
import { send } from "../../testing/ledger/admission.ts";
import { report } from "../../testing/ledger/life.ts";
import { openTemporaryLedger, type TemporaryLedger } from "../../testing/temporary-ledger.ts";
import { openPostgres, type Postgres } from "../../testing/temporary-postgres.ts";
import type { Ledger } from "../model.ts";
import { type Copy, copyLedger } from "./copy.ts";
import type { Progress } from "./copy-rows.ts";
import { openPostgresLedger, postgresFoundingOf } from "./postgres/postgres-ledger.ts";

let server: Postgres;
before(async () => {
  server = await openPostgres();
});
after(() => server?.remove());

test("a copy holds what its source holds, and the network goes on in it", () =>
  onNetwork(async ({ store, network, copy, opened, to }) => {
    const { tables, written, replayed } = await copy();
    assert.deepEqual(replayed, { epoch: 1, root: (await store.ledger.epoch(1))?.outcome.root, kept: true });
    assert.equal(
      written,
      tables.reduce((sum, { rows }) => sum + rows, 0),
    );
    const there = await opened();
    assert.deepEqual(await withoutZeros(there), await withoutZeros(store.ledger));
    assert.deepEqual(await network.batchOn(there), ["stored 7"]);
    assert.deepEqual(await send(there, [refusedInput(null, "rate-exceeded")]), ["rate-exceeded"]);
    await there.enrol([makeDevice("new").enrolment], 1);
    const { readings, batches } = await store.ledger.counts();
    assert.deepEqual(await there.counts(), { readings: readings + 1, batches: batches + 1 });
    const ids = await ask(
      to,
      "select min(id) - (select max(id) from batch where id < 20) as gap from batch where id >= 20",
    );
    assert.deepEqual(ids, [{ gap: "1" }]);
  }));

test("batch ids go on above every id that the source ever gave, also of batches that are forgotten", () =>
  onNetwork(async ({ store, network, copy, opened, to }) => {
    await store.ledger.prune({ readingsMs: 1, evidenceMs: 1e15, rejections: 100 }, slotTime(1_000));
    assert.ok((await store.ledger.counts()).batches > 10);
    await copy();
    assert.deepEqual(await ask(to, "select count(*) as batches from batch"), [{ batches: "0" }]);
    await network.batchOn(await opened());
    assert.deepEqual(await ask(to, "select id from batch"), [
      { id: String((await store.ledger.counts()).batches + 1) },
    ]);
  }));

test("a copy that is killed at any moment is served by nobody, and the same command brings it to its end", () =>
  onNetwork(async ({ store, network, to, opened }) => {
    await network.liveOneEpoch(2_000);
    const kills: readonly Kill[] = [
      ...[1, 4, 6, 8, 10, 14, 18, 25, 45, 60].map((reports) => ({ reports })),
      ...[1, 5, 15, 30, 60, 100].map((afterMs) => ({ afterMs })),
    ];
    let halfCopied = 0;
    for (const [index, kill] of kills.entries()) {
      const { killed } = await copyInProcess(store.path, to, kill);
      assert.ok(killed || "afterMs" in kill);
      const there = await opened().catch((fault: unknown) => {
        assert.partialDeepStrictEqual(codeAndMessage(fault), { code: "ledger-damaged", halfCopied: true });
        return null;
      });
      if (there === null) {
        halfCopied += 1;
        await assert.rejects(postgresFoundingOf(to), { code: "ledger-damaged", message: /half copied/ });
      } else assert.deepEqual(await withoutZeros(there), await withoutZeros(store.ledger));
      // The source lives on: rows change, come, and go.
      if (index % 3 === 0) await network.join(`joined ${index}`);
      if (index % 3 === 1) {
        await store.ledger.prune({ readingsMs: 1e15, evidenceMs: 1e15, rejections: index === 4 ? 0 : 1 }, slotTime(9));
        await send(store.ledger, [refusedInput(null, "topic-forbidden", { receivedAt: slotTime(9) })]);
      }
      await network.liveOneEpoch(50);
    }
    assert.ok(halfCopied > 10, `${halfCopied} copies were left half done`);
    const { said } = await copyInProcess(store.path, to);
    assert.match(said, /^complete .*"kept":true/m);
    assert.deepEqual(await withoutZeros(await opened()), await withoutZeros(store.ledger));
  }));

test("a copy goes on from the page where it was cut: no row is written twice, and none is to be put right", () =>
  onNetwork(async ({ store, network, to, copy }) => {
    await network.liveOneEpoch(1_500);
    const first = await cutAt(store, to, ({ table, rows }) => table === "reading" && rows >= 8_000);
    const steps: Step[] = [];
    const { written, tables } = await copyLedger({ ...settings(store, to), progress: (step) => steps.push(step) });
    const inReadings = first.filter(({ table }) => table === "reading").at(-1)?.rows ?? 0;
    const before = tables.slice(0, 4).reduce((sum, { rows }) => sum + rows, 0);
    assert.equal(
      written + inReadings + before,
      tables.reduce((sum, { rows }) => sum + rows, 0),
    );
    assert.deepEqual(
      steps.filter(({ doing }) => doing === "repairing"),
      [],
    );
    assert.equal((await copy()).written, 0);
  }));

test("a refusal that went and came back under another number while the copy was cut does not stand in its way", () =>
  onNetwork(async ({ store, to, copy, opened }) => {
    const refused = (number: number, at = number) =>
      refusedInput(null, "schema-mismatch", { detail: `refusal ${number}`, receivedAt: slotTime(0) + at });
    await send(
      store.ledger,
      Array.from({ length: 4_100 }, (_, number) => refused(number)),
    );
    await cutAt(store, to, ({ doing, table }) => doing === "copying" && table === "rejection");
    await store.ledger.prune({ readingsMs: 1e15, evidenceMs: 1e15, rejections: 1 }, slotTime(9));
    await send(store.ledger, [refused(0, 10_000)]);
    await copy();
    assert.deepEqual(await withoutZeros(await opened()), await withoutZeros(store.ledger));
  }));

test("a complete copy is shut again while a later run changes it", () =>
  onNetwork(async ({ store, network, to, copy, opened }) => {
    await copy();
    await network.liveOneEpoch();
    await cutAt(store, to, ({ doing, table }) => doing === "repairing" && table === "batch");
    await assert.rejects(opened(), { code: "ledger-damaged", message: /half copied/ });
    await copy();
    assert.deepEqual(await withoutZeros(await opened()), await withoutZeros(store.ledger));
  }));

test("a copy that is run again brings what has come, changed and gone since, and writes nothing when nothing has", () =>
  onNetwork(async ({ store, network, copy, opened, to }) => {
    const first = await copy();
    const again = await copy();
    assert.deepEqual([again.written, again.tables], [0, first.tables]);
    await network.join("late");
    await network.liveOneEpoch();
    await store.ledger.prune({ readingsMs: slotTime(9) - slotTime(2), evidenceMs: 1e15, rejections: 1 }, slotTime(9));
    await ask(to, "update epoch_node set amount = '1' where amount <> '0'");
    const later = await copy();
    assert.ok(later.written > 0);
    assert.deepEqual(await withoutZeros(await opened()), await withoutZeros(store.ledger));
  }));

test("a copy on which a coordinator has run is not copied into again", () =>
  onNetwork(async ({ copy, opened }) => {
    await copy();
    await (await opened()).takeDuty("verifier", "here", 1);
    await assert.rejects(copy(), { code: "ledger-foreign", message: /a coordinator has run on it/ });
  }));

test("a target that holds another network, or a ledger that is no copy, is refused and left as it was", () =>
  onNetwork(async ({ store, copy, to }) => {
    for (const terms of [founding, { ...founding, network: "other" }]) {
      const own = await openPostgresLedger(to, terms);
      await own.enrol([makeDevice("own").enrolment], 1);
      const held = await report(own);
      await assert.rejects(copy(), { code: "ledger-foreign" });
      assert.deepEqual(await report(own), held);
      await own.close();
      await ask(to, "drop schema public cascade; create schema public");
    }
    await copy();
    const other = await openTemporaryLedger({ ...founding, network: "other" });
    await assert.rejects(copyLedger({ ...settings(store, to), from: other.path }), {
      code: "ledger-foreign",
      message: /network founded on other terms: network: the ledger has trial, other was asked$/,
    });
    await other.remove();
  }));

test("a copy whose facts come to another root than the one on chain is not served", () =>
  onNetwork(async ({ store, to, opened }) => {
    const wrong: Copy = {
      ...settings(store, to),
      outcomeOf: (facts, parameters) =>
        outcomeOf({ ...facts, earnedBefore: new Map([[founding.rewards, 1n]]) }, parameters),
    };
    await assert.rejects(copyLedger(wrong), { code: "ledger-damaged", message: /epoch 1 comes to the root/ });
    await assert.rejects(opened(), { code: "ledger-damaged" });
  }));

test("an epoch of which the evidence is no longer kept is copied without being computed anew", () =>
  onNetwork(async ({ store, copy }) => {
    await store.ledger.prune({ readingsMs: 1e15, evidenceMs: 1, rejections: 100 }, slotTime(1_000));
    assert.partialDeepStrictEqual((await copy()).replayed, { epoch: 1, kept: false });
  }));

test("a second copy into the same ledger is refused while the first runs, and waits for one that is about to end", () =>
  onNetwork(async ({ copy, to }) => {
    const first = new pg.Client({ connectionString: to });
    await first.connect();
    await first.query("select pg_advisory_lock($1, hashtext(current_schema()))", [0x63637079]);
    await assert.rejects(copy(), { code: "ledger-unreachable", message: /another copy/ });
    const [{ written }] = await Promise.all([copy(), sleep(500).then(() => first.end())]);
    assert.ok(written > 0);
  }));

test("a source that is not there and a target that does not answer are named", async () => {
  const store = await openTemporaryLedger();
  const nowhere = server.url("nowhere");
  await assert.rejects(copyLedger({ ...settings(store, nowhere), from: `${store.path}.gone` }), {
    code: "file-missing",
    message: /there is no ledger .*\.gone/,
  });
  await assert.rejects(copyLedger(settings(store, nowhere)), { code: "ledger-unreadable", message: /nowhere/ });
  const closed = "postgres://cairn@127.0.0.1:1/ledger";
  await assert.rejects(copyLedger(settings(store, closed)), { code: "ledger-unreachable" });
  await store.remove();
});

type Scene = {
  readonly store: TemporaryLedger;
  readonly network: LivingNetwork;
  /** The target, an empty database at first. */
  readonly to: string;
  copy(): ReturnType<typeof copyLedger>;
  /** The target as a coordinator opens it. */
  opened(): Promise<Ledger>;
};

async function onNetwork(body: (scene: Scene) => Promise<void>): Promise<void> {
  const store = await openTemporaryLedger();
  const to = await server.createDatabase();
  const ledgers: Ledger[] = [];
  try {
    const network = await foundNetwork(store.ledger);
    await network.liveOneEpoch();
    await body({
      store,
      network,
      to,
      copy: () => copyLedger(settings(store, to)),
      async opened() {
        const ledger = await openPostgresLedger(to, founding);
        ledgers.push(ledger);
        return ledger;
      },
    });
  } finally {
    for (const ledger of ledgers) await ledger.close();
    await store.remove();
  }
}

function settings({ path }: TemporaryLedger, to: string): Copy {
  return { from: path, to, outcomeOf, progress: () => {} };
}

type Step = Parameters<Progress>[0];

/** Runs the copy until a step of it, and returns its steps up to there. */
async function cutAt(store: TemporaryLedger, to: string, here: (step: Step) => boolean): Promise<readonly Step[]> {
  const steps: Step[] = [];
  const progress: Progress = (step) => {
    steps.push(step);
    if (here(step)) throw new Error("cut here");
  };
  await assert.rejects(copyLedger({ ...settings(store, to), progress }), /cut here/);
  return steps;
}

/** After so many reports of its progress, or so long after its first. */
type Kill = { readonly reports: number } | { readonly afterMs: number };

/** Runs the copy as a process of its own. */
async function copyInProcess(from: string, to: string, kill?: Kill): Promise<{ killed: boolean; said: string }> {
  const program = fileURLToPath(new URL("../../testing/copying.ts", import.meta.url));
  const reports = kill && "reports" in kill ? [String(kill.reports)] : [];
  const copier = spawn(process.execPath, [program, from, to, ...reports], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(copier, "close");
  let said = "";
  for await (const text of copier.stdout) {
    said += text;
    if (kill && "afterMs" in kill) setTimeout(() => copier.kill("SIGKILL"), kill.afterMs);
  }
  await ended;
  return { killed: copier.signalCode === "SIGKILL", said };
}

function codeAndMessage(fault: unknown) {
  const { code, message } = fault as { code?: string; message: string };
  return { code, halfCopied: /half copied/.test(message) };
}

/** All that can be asked of a ledger; PostgreSQL has no zero characters in text. */
async function withoutZeros(ledger: Ledger): Promise<unknown> {
  const { rejections, ...rest } = await report(ledger);
  const clean = rejections.map(({ rejection: { code, detail }, ...stored }) => ({
    ...stored,
    rejection: { code, detail: detail.replaceAll("\0", "\ufffd") },
  }));
  return { ...rest, rejections: clean };
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
