/**
 * A rolling upgrade as an operator does it: coordinators of two versions on one ledger (PostgreSQL) and one broker (Mosquitto), restarted
 * one by one while nodes send, and once as the old version again. Version N-1 is this tree. Version N is a copy with another name, a column
 * more in every table, and one of those columns filled. Version N+1 drops that column, which N cannot live with.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { ReplicasView } from "@cairn/protocol";
import {
  type CoordinatorPart,
  eventually,
  fleetRoster,
  type Laboratory,
  laboratoryMissing,
  openJournal,
  openLaboratory,
  quietShape,
  startFleet,
} from "../src/laboratory.ts";
import { makeVersion, ownMigrations, ownSoftware } from "./another-version.ts";
import { accessTo, tally } from "./chaos-rig.ts";

const skip = laboratoryMissing() ?? false;
const [next, breaking] = ["cairn-coordinator of version N", "cairn-coordinator of version N+1"];
const fleetOf = { seed: "upgrade", nodes: 24 };
const realNodes = 2;
const takeoverMs = 10_000;
/** Every restart but the first is that of who keeps the slots. */
const takeovers = 3;

const known = ownMigrations().length;
const tables = ownMigrations().flatMap((text) => [...text.matchAll(/^create table (\w+)/gm)].map(([, name]) => name));
const additive = tables.map(
  (table) => `-- compatible-from: ${known}\nalter table ${table} add column taken_in_by text not null default '';\n`,
);
const newest = known + additive.length + 1;
const dropping = `-- compatible-from: ${newest}\nalter table batch drop column taken_in_by;\n`;
const admission = "coordinator/src/store/postgres/admission.ts";
const columns = "node, boot, sequence, readings, bytes, received_at";
/** Of every row in every table. */
const everything = "select md5(schema_to_xml(current_schema(), true, false, '')::text)";

describe("coordinators of version N-1 and N on Mosquitto and PostgreSQL", { skip, concurrency: false }, () => {
  let laboratory: Laboratory;
  const entries: Record<string, string | undefined> = {};
  /** What each coordinator runs, or ran last. */
  const versions = new Map<CoordinatorPart, string>();

  before(async () => {
    if (skip) return;
    laboratory = await openLaboratory({
      ...{
        broker: "mosquitto",
        ledger: "postgres",
        coordinators: 2,
        nodes: realNodes,
        slotSeconds: 3,
        slotsPerEpoch: 2,
      },
      simulated: fleetRoster(fleetOf.seed, fleetOf.nodes, 2),
      coordinatorProgram(index) {
        const coordinator = laboratory.coordinators[index];
        return coordinator && entries[versions.get(coordinator) ?? ""];
      },
    });
    entries[next] = makeVersion(join(laboratory.folder, "next"), {
      software: next,
      migrations: additive,
      changes: [
        { file: admission, from: `insert into batch (${columns}`, to: `insert into batch (${columns}, taken_in_by` },
        { file: admission, from: `select ${columns} from`, to: `select ${columns}, '${next}' from` },
      ],
    });
    entries[breaking] = makeVersion(join(laboratory.folder, "breaking"), {
      software: breaking,
      migrations: [...additive, dropping],
    });
  });
  after(() => laboratory?.close());

  async function query<Row>(text: string): Promise<Row[]> {
    const { server, url } = laboratory.postgres ?? assert.fail("the laboratory has no database");
    return server.query<Row>(url, text);
  }

  function start(coordinator: CoordinatorPart, version: string): void {
    versions.set(coordinator, version);
    coordinator.start();
  }

  /** Resolves when all that reached it before now is committed. */
  async function takesIn({ name, base }: CoordinatorPart): Promise<void> {
    const now = Date.now();
    await eventually(`${name} takes in`, 20_000, async () =>
      (await replicasOf(base)).replicas.find((row) => nameOf(row.name) === name && (row.committedBefore ?? 0) > now),
    );
  }

  /** Each says which versions run, each version stores batches, and epochs are paid for. */
  async function goesOn(): Promise<void> {
    const { coordinators } = laboratory;
    for (const { base } of coordinators) {
      const seen = (await replicasOf(base)).replicas.toSorted((a, b) => a.seenAt - b.seenAt);
      assert.deepEqual(
        new Map(seen.map(({ name, software }) => [nameOf(name), software])),
        new Map([...versions].map(([{ name }, version]) => [name, version])),
      );
    }
    const from = Date.now();
    await Promise.all(coordinators.map(takesIn));
    if ([...versions.values()].includes(next)) {
      const expected = new Set([...versions.values()].map((version) => (version === next ? next : "")));
      await eventually("each version stores batches", 20_000, async () => {
        const rows = await query(`select distinct taken_in_by from batch where received_at > ${from}`);
        return rows.length === expected.size ? true : undefined;
      });
    }
    const paid = await settled(laboratory);
    await eventually("an epoch is paid for", 40_000, async () =>
      (await settled(laboratory)) > paid ? true : undefined,
    );
  }

  test("both take in, hold duties and pay, restarted one by one as N, as N-1 again and as N, and nothing is lost or doubled", async (t) => {
    const { coordinators } = laboratory;
    for (const coordinator of coordinators) start(coordinator, ownSoftware);
    await Promise.all(coordinators.map((coordinator) => coordinator.ready()));
    for (const index of laboratory.nodes.keys()) laboratory.node(index, ["--host-seconds", "1"]).start();
    const journalFile = join(laboratory.folder, "journal");
    const journal = openJournal(journalFile);
    const fleet = await startFleet({
      shape: { ...quietShape, ...fleetOf, joinMs: 1_000, readingsPerBatch: 5, batchMs: 500 },
      ...accessTo(laboratory),
      journal,
    });
    t.after(() => fleet.stop());
    const { holder } = await eventually("somebody keeps the slots", 20_000, async () =>
      (await replicasOf(laboratory.base)).duties.find(({ duty }) => duty === "verifier"),
    );
    const keeper = coordinators.find(({ name }) => name === nameOf(holder)) ?? assert.fail(holder);
    const other = coordinators.find((coordinator) => coordinator !== keeper) ?? assert.fail(holder);

    async function restart(coordinator: CoordinatorPart, version: string): Promise<void> {
      const left = coordinator === keeper ? other : keeper;
      await coordinator.end("SIGTERM");
      const [endedAt, ended] = [Date.now(), performance.now()];
      await eventually("the other one holds every duty", takeoverMs, async () =>
        (await replicasOf(left.base)).duties.every(({ holder }) => nameOf(holder) === left.name) ? true : undefined,
      );
      t.diagnostic(`${versions.get(left)} holds every duty after ${Math.round(performance.now() - ended)} ms`);
      // What nodes answer meanwhile must not wait for who is away.
      const slots = `select from slot where opens_at > ${endedAt} and closed_at is not null`;
      await eventually("a slot begins and ends without it", 20_000, async () => (await query(slots))[0]);
      start(coordinator, version);
      await coordinator.ready();
      await goesOn();
    }

    await goesOn();
    const firstWhole = (await keeper.client.epochs()).length + 2;
    await restart(other, next);
    await restart(keeper, ownSoftware);
    await restart(other, next);
    await restart(keeper, next);

    const { backlogBatches } = await fleet.settle(30_000);
    journal.close();
    const { receipted, refusals, epochs, ...counts } = await tally(laboratory, journalFile, backlogBatches);
    t.diagnostic(`${receipted} batches were receipted, refused were ${JSON.stringify(refusals)}`);
    assert.deepEqual(counts, { lost: 0, doubled: 0, unsettled: 0 });
    const boots = await query<{ whole: boolean }>(
      `select count(*) = stored_up_to and count(distinct sequence) = stored_up_to as whole
       from boot join batch using (node, boot) group by node, boot.boot, stored_up_to`,
    );
    assert.deepEqual(boots, Array(fleetOf.nodes + realNodes).fill({ whole: true }));

    const rows = epochs.map(({ epoch, slotsVoid, missed }) => ({ epoch, slotsVoid, missed }));
    const [numbers, expected] = [rows.map(({ epoch }) => epoch), rows.map((_, index) => index + 1)];
    assert.deepEqual(numbers, expected);
    const whole = rows.filter(({ epoch }) => epoch >= firstWhole);
    const unfair = whole.filter(({ missed }) => missed > 0);
    assert.deepEqual(unfair, [], "answers were taken in too late");
    const slotsVoid = whole.reduce((sum, row) => sum + row.slotsVoid, 0);
    t.diagnostic(`${slotsVoid} slots of ${whole.length} epochs are void`);
    assert.ok(slotsVoid <= takeovers, JSON.stringify(rows));
    await eventually("all epochs are paid for", 20_000, async () =>
      (await settled(laboratory)) >= rows.length ? true : undefined,
    );
  });

  test("a version that N cannot live with waits for N to be stopped; then N is refused, and writes nothing", async () => {
    const [one, other] = laboratory.coordinators as readonly [CoordinatorPart, CoordinatorPart];
    if (!one.isRunning()) start(one, next);
    await one.ready();
    await other.end("SIGTERM");
    start(other, breaking);
    assert.match(await lastWords(other), /stop coordinator first \(ledger-in-use\)$/);
    await takesIn(one);

    await one.end("SIGTERM");
    start(other, breaking);
    await other.ready();
    await other.end("SIGTERM");
    const before = await query(everything);
    for (const [version, knows] of [
      [next, newest - 1],
      [ownSoftware, known],
    ] as const) {
      start(one, version);
      const words = `at schema ${newest}, which needs a program that knows ${newest}; this one knows ${knows}: update it (ledger-newer)`;
      assert.ok((await lastWords(one)).endsWith(words), `${version}: ${laboratory.log(one.name).slice(-1_000)}`);
    }
    assert.deepEqual(await query(everything), before);
  });

  async function lastWords(coordinator: CoordinatorPart): Promise<string> {
    await eventually(`${coordinator.name} ends by itself`, 30_000, () => (coordinator.isRunning() ? undefined : true));
    return laboratory.log(coordinator.name).trimEnd().split("\n").at(-1) ?? "";
  }
});

function nameOf(holder: string): string {
  return holder.split("/")[0] ?? "";
}

async function replicasOf(base: string): Promise<ReplicasView> {
  return (await (await fetch(`${base}/api/v1/replicas`)).json()) as ReplicasView;
}

async function settled({ client }: Laboratory): Promise<number> {
  return (await client.epochs()).filter(({ state }) => state === "settled").length;
}
