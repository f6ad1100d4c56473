/**
 * Two hundred simulated nodes against the real coordinator: storms, outages, backlogs and misbehaving neighbours, and at the end every
 * reading of theirs is in the ledger exactly once, as the coordinator's own interface counts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { checker, RejectionsView } from "@cairn/protocol";
import Database from "better-sqlite3";
import {
  eventually,
  type Fleet,
  fleetKeys,
  type JournalEntry,
  laboratoryMissing,
  openLaboratory,
  quietShape,
  startFleet,
} from "../src/laboratory.ts";

const nodes = 200;
/** What an honest node meets after a cut line. */
const afterCuts = new Set(["sequence-duplicate", "sequence-gap", "evidence-late", "evidence-duplicate"]);
const checkRejections = checker("rejections", RejectionsView);

test("of 200 simulated nodes through storms and outages every reading arrives exactly once, whatever their neighbours send", {
  skip: laboratoryMissing() ?? false,
}, async () => {
  const laboratory = await openLaboratory({
    simulated: fleetKeys("laboratory", nodes),
    slotSeconds: 2,
    slotsPerEpoch: 2,
  });
  let fleet: Fleet | undefined;
  try {
    laboratory.coordinator.start();
    await laboratory.coordinatorReady();
    const entries: JournalEntry[] = [];
    fleet = await startFleet({
      shape: {
        ...{
          ...quietShape,
          seed: "laboratory",
          nodes,
          joinMs: 1_000,
          batchMs: 500,
          readingsPerBatch: 10,
          skewMs: 60_000,
        },
        ...{ backlogBatches: 20, backlogShare: 0.25, backlogMs: 3 * 86_400_000, misbehavingShare: 0.06 },
        ...{ stormEveryMs: 2_500, stormJitterMs: 500, outageEveryMs: 10_000, outageMs: 1_500 },
      },
      network: laboratory.network(),
      brokers: [{ host: "127.0.0.1", port: laboratory.mqttPort, tls: false }],
      journal: { write: (entry) => entries.push(entry) },
    });
    const running = fleet;
    await sleep(6_000);
    await eventually("two storms are over", 90_000, () =>
      running.counts().honest.connects > 2 * nodes ? true : undefined,
    );
    fleet.dropConnections(({ misdeed }) => misdeed === undefined);
    const { honest, backlogBatches, latencyMs } = await running.settle(60_000);

    assert.equal(backlogBatches, 0);
    assert.equal(honest.readingsReceipted, honest.readingsCreated);
    assert.ok(honest.readingsCreated > nodes * 0.9 * 10 * 10, `${honest.readingsCreated} readings`);
    assert.deepEqual([honest.readingsTakenBack, honest.readingsSetAside, honest.messagesDistrusted], [0, 0, 0]);
    await eventually("evidence is credited, and who floods is shut out", 60_000, () => {
      const now = running.counts();
      const { cuts, refusals } = now.misbehaving;
      const isCredited = now.honest.evidenceAcknowledged > nodes && now.honest.slotReceipts > nodes;
      return (isCredited && cuts > 0 && (refusals["connack-4"] ?? refusals["connack-5"])) || undefined;
    });
    assert.notEqual(latencyMs.p50, null);

    // The replaying node's good copies may still be on their way.
    const receipted = (row: { nodeId: string }) =>
      entries
        .filter(({ event, node }) => event === "receipted" && node === row.nodeId)
        .reduce((sum, each) => sum + each.readings, 0);
    const bad = new Map(fleet.nodes.map(({ nodeId, misdeed }) => [nodeId as string, misdeed]));
    const { nodes: rows } = await laboratory.client.fleet();
    assert.equal(rows.length, nodes);
    for (const row of rows) {
      const misdeed = bad.get(row.nodeId);
      if (misdeed === undefined) assert.equal(row.readingsStored, receipted(row));
      else if (misdeed !== "replay") assert.equal(row.readingsStored, 0, misdeed);
    }
    const ofHonest = rows.filter(({ nodeId }) => bad.get(nodeId) === undefined);
    const storedOfHonest = ofHonest.reduce((sum, { readingsStored }) => sum + readingsStored, 0);
    assert.equal(storedOfHonest, honest.readingsCreated);

    const codes = [
      "envelope-malformed",
      "topic-forbidden",
      "payload-too-large",
      "signature-invalid",
      "sequence-duplicate",
    ];
    await eventually("every kind of refusal is counted", 20_000, async () => {
      const view = checkRejections(await (await fetch(`${laboratory.base}/api/v1/rejections`)).json());
      assert.ok(view.ok);
      return [...codes, "rate-exceeded"].every((code) => view.value.byCode[code]) ? true : undefined;
    });

    const ledger = new Database(laboratory.ledgerFile, { readonly: true });
    const has = ledger
      .prepare<[string, number, number], number>(
        `select count(*) from reading join channel on channel.id = reading.channel join node on node.id = channel.node
         where node.node_id = ? and channel.series = 'sim.counter' and at = ? and value = ?`,
      )
      .pluck();
    for (const { event, node, first, firstAt } of entries)
      if (event === "receipted") assert.equal(has.get(node, firstAt, first), 1, `${node} ${first} at ${firstAt}`);
    const refused = ledger
      .prepare<[], { nodeId: string; code: string }>("select node_id as nodeId, code from rejection")
      .all();
    for (const { nodeId, code } of refused)
      if (bad.get(nodeId) === undefined && nodeId !== "") assert.ok(afterCuts.has(code), `${code} of an honest node`);
    ledger.close();
  } finally {
    await fleet?.stop();
    await laboratory.close();
  }
});
