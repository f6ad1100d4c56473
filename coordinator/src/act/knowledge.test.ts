import assert from "node:assert/strict";
import { test } from "node:test";
import type { Beacon, NodeId } from "@cairn/protocol";
import { bootId, makeDevice } from "../../testing/devices.ts";
import { founding, slotTime } from "../../testing/founding.ts";
import { birthInput, refusedInput, slotRow } from "../../testing/inputs.ts";
import { openTemporaryLedger } from "../../testing/temporary-ledger.ts";
import { until } from "../../testing/until.ts";
import type { Arrival, Input, Ledger } from "../model.ts";
import { openKnowledge } from "./knowledge.ts";

const arrival = (sender: NodeId): Arrival => ({
  sender,
  channel: "birth",
  topic: "",
  payload: Buffer.alloc(0),
  receivedAt: slotTime(0),
});

/** Judges that know a node when its key was told, and a slot when its beacon was. */
async function onKnowledge(
  body: (house: {
    ledger: Ledger;
    knowledge: Awaited<ReturnType<typeof openKnowledge>>;
    told: { keys: Set<string>; beacons: readonly Beacon[] };
    judged: () => number;
    reads: () => number;
    /** What a reading of the nodes waits for before it comes back. */
    held: { until: Promise<void> | undefined };
  }) => Promise<void>,
): Promise<void> {
  const { ledger, remove } = await openTemporaryLedger();
  const told = { keys: new Set<string>(), beacons: [] as readonly Beacon[] };
  const held: { until: Promise<void> | undefined } = { until: undefined };
  let judged = 0;
  let reads = 0;
  const knowledge = await openKnowledge({
    ledger: {
      async nodes() {
        const rows = await ledger.nodes();
        reads += 1;
        await held.until;
        return rows;
      },
      slots: ledger.slots,
    },
    time: founding.time,
    now: () => slotTime(0),
    judges: {
      async judge({ sender }): Promise<Input> {
        judged += 1;
        if (told.keys.has(sender)) return birthInput(sender, bootId());
        return { ...refusedInput(sender), rejection: { code: "key-unknown", detail: sender } };
      },
      setKeys: (keys) => {
        for (const [nodeId] of keys) told.keys.add(nodeId);
      },
      setBeacons: (beacons) => {
        told.beacons = beacons;
      },
    },
  });
  try {
    await body({ ledger, knowledge, told, judged: () => judged, reads: () => reads, held });
  } finally {
    await remove();
  }
}

test("a node that another replica enrolled a moment ago is judged by its key, and by one look at the ledger", () =>
  onKnowledge(async ({ ledger, knowledge, judged, reads }) => {
    const { nodeId, enrolment } = makeDevice();
    await ledger.enrol([enrolment], 1);
    const inputs = await Promise.all([1, 2, 3].map(() => knowledge.judge(arrival(nodeId))));
    assert.deepEqual(
      inputs.map(({ kind }) => kind),
      ["birth", "birth", "birth"],
    );
    assert.deepEqual([judged(), reads()], [6, 2]);
    assert.equal(knowledge.keyOf(nodeId)?.type, "public");
  }));

test("what is unknown to the ledger too is refused, judged once", () =>
  onKnowledge(async ({ knowledge, judged }) => {
    const input = await knowledge.judge(arrival(makeDevice().nodeId));
    assert.deepEqual([input.kind, judged()], ["refused", 1]);
    assert.equal(await knowledge.find(makeDevice().nodeId), undefined);
  }));

test("a slot that another replica opened is told to the judges, and one that is known is not told again", () =>
  onKnowledge(async ({ ledger, knowledge, told }) => {
    await ledger.openSlot(slotRow(0));
    await knowledge.refresh();
    const { beacons } = told;
    assert.deepEqual(
      beacons.map(({ slot }) => slot),
      [0],
    );
    await knowledge.refresh();
    assert.equal(told.beacons, beacons);
  }));

test("what is enrolled while a look at the ledger is under way is not missed by an arrival that came after it", () =>
  onKnowledge(async ({ ledger, knowledge, told, reads, held }) => {
    const { nodeId, enrolment } = makeDevice();
    const reading = Promise.withResolvers<void>();
    held.until = reading.promise;
    const before = reads();
    const looking = knowledge.refresh();
    await until(() => reads() > before);
    await ledger.enrol([enrolment], 1);
    const joined = knowledge.refresh();
    reading.resolve();
    await looking;
    assert.ok(!told.keys.has(nodeId));
    await joined;
    assert.ok(told.keys.has(nodeId));
  }));

test("an arrival that was judged just before somebody else learned of its node is judged again", () =>
  onKnowledge(async ({ ledger, knowledge }) => {
    const { nodeId, enrolment } = makeDevice();
    const judging = knowledge.judge(arrival(nodeId));
    await ledger.enrol([enrolment], 1);
    const other = knowledge.judge(arrival(nodeId));
    assert.deepEqual([(await judging).kind, (await other).kind], ["birth", "birth"]);
  }));
