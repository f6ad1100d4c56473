import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checker, EpochRow, FleetView, NodeView, RejectionsView, rejectionCodes } from "@cairn/protocol";
import type { TSchema } from "typebox";
import { makeDevice } from "../../testing/devices.ts";
import { founding, operatorAddress, slotTime } from "../../testing/founding.ts";
import { slotRow } from "../../testing/inputs.ts";
import { outcomeOf, twoOperators } from "../../testing/ledger/epochs.ts";
import type { NodeRecord, SlotRow } from "../model.ts";
import { epochRow, fleetView, nodeRow, nodeView, rejectionsView, type SlotFacts, slotVerdicts } from "./views.ts";

const { time } = founding;
const { enrolment, nodeId } = makeDevice("north");
const record: NodeRecord = {
  ...enrolment,
  enrolledAt: slotTime(0),
  status: { state: "unheard", since: null, reason: "never heard of since it was enrolled" },
  lastHeardAt: null,
  lastHeardBy: null,
  diedBoot: null,
  birth: null,
  boot: null,
  bootCount: null,
  uptimeSeconds: null,
  software: null,
  readingsStored: 0,
  rejections: 0,
};
const closed = (slot: number, voidReason: string | null = null) =>
  slotRow(slot, { closedAt: slotTime(slot + 1), voidReason });

describe("a node's slots", () => {
  // Epoch 2 is slots 6 to 11: credited, missed, void, never opened, running, ahead.
  const rows = [closed(6), closed(7), closed(8, "the verifier slept"), slotRow(10)];

  test("are credited, missed, void, running and ahead, as the ledger and the clock say", () => {
    const { slots } = nodeRow(record, 6, factsOf(slotTime(10) + 500, rows, [6, 8]), 0);
    assert.deepEqual(slots, ["credited", "missed", "void", "void", "open", "ahead"]);
  });

  test("show the running slot as answered once evidence is accepted", () => {
    const { slots } = nodeRow(record, 6, factsOf(slotTime(10) + 500, rows, [6, 10]), 0);
    assert.equal(slots[4], "answered");
  });

  test("show a slot that is over and not yet closed as still open", () => {
    const { slots } = nodeRow(record, 6, factsOf(slotTime(11) + 5, [slotRow(10)], [10]), 0);
    assert.deepEqual(slots.slice(4), ["answered", "open"]);
  });

  test("are one per slot of the running epoch, also before genesis", () => {
    const early = fleetView([record], factsOf(slotTime(0) - 5_000, [], []), () => 0);
    assert.deepEqual([early.epoch.epoch, early.epoch.firstSlot], [1, 0]);
    assert.deepEqual(early.nodes[0]?.slots, Array(6).fill("ahead"));
    fits(FleetView, early);
  });

  test("have verdicts newest first, each with its reason in a sentence", () => {
    const facts = factsOf(slotTime(10) + 500, rows, [6], slotTime(6) + 2_300);
    const verdicts = slotVerdicts(nodeId, 6, facts);
    assert.deepEqual(
      verdicts.map(({ slot, state }) => [slot, state]),
      [
        [10, "open"],
        [9, "void"],
        [8, "void"],
        [7, "missed"],
        [6, "credited"],
      ],
    );
    const reasons = new Map(verdicts.map(({ slot, reason }) => [slot, reason]));
    assert.match(reasons.get(6) ?? "", /accepted 2\.3 s after the slot began/);
    assert.match(reasons.get(8) ?? "", /the verifier slept/);
    assert.match(reasons.get(9) ?? "", /the verifier was not running/);
    for (const reason of reasons.values()) assert.match(reason, /^[A-Z].*\.$/);
  });
});

describe("the fleet", () => {
  test("shows the running epoch with its times", () => {
    const { epoch, at } = fleetView([], factsOf(slotTime(8), [], []), () => 0);
    assert.deepEqual(
      [at, epoch],
      [slotTime(8), { epoch: 2, firstSlot: 6, slotCount: 6, opensAt: slotTime(6), closesAt: slotTime(12) }],
    );
  });

  test("shows each node with its own rate", () => {
    const other = { ...record, nodeId: makeDevice().nodeId };
    const { nodes } = fleetView([record, other], factsOf(slotTime(0), [], []), (id) => (id === nodeId ? 7 : 0));
    assert.deepEqual(
      nodes.map(({ readingsPerMinute }) => readingsPerMinute),
      [7, 0],
    );
  });
});

describe("a node's page", () => {
  const facts = factsOf(slotTime(0), [], []);
  const row = nodeRow(record, 0, facts, 0);

  test("fits the schema for a node of which nothing is known", () => {
    const view = nodeView(record, row, [], [], [], [], 0n);
    fits(NodeView, view);
    assert.deepEqual([view.identity.software, view.identity.capabilities, view.earned], [null, [], "0"]);
  });

  test("takes software from evidence, else from the birth message", () => {
    const birth = {
      boot: "b",
      bootCount: 1,
      software: "told at birth",
      profile: "p",
      capabilities: ["sensor.host"],
      desiredVersion: 0,
    };
    const softwareOf = (fields: Partial<NodeRecord>) =>
      nodeView({ ...record, ...fields }, row, [], [], [], [], 0n).identity.software;
    assert.equal(softwareOf({ birth, software: "attested" }), "attested");
    assert.equal(softwareOf({ birth }), "told at birth");
  });

  test("names qualities and gives amounts as decimal text, however large", () => {
    const rewards = twoOperators(4).nodes.map((node) => ({ ...node, epoch: 4, amount: 2n ** 191n }));
    const series = [0, 1, 2, 9].map((quality) => ({ series: "a.b", unit: "/", at: 1, value: 2, quality }));
    const view = nodeView(record, row, series, [], [], rewards, 2n ** 191n);
    assert.deepEqual(
      view.series.map(({ quality }) => quality),
      ["good", "uncertain", "bad", "bad"],
    );
    assert.deepEqual([view.earned, view.rewards[0]?.amount], [`${2n ** 191n}`, `${2n ** 191n}`]);
    fits(NodeView, view);
  });
});

test("refusals have their sentence and remedy, for every code of the list", () => {
  const entries = rejectionCodes.map((code) => ({
    at: 1,
    nodeId: null,
    topic: "t",
    rejection: { code, detail: "d" },
    bytes: 2,
    count: 3,
  }));
  const view = rejectionsView(new Map([["key-unknown", 4] as const, ["topic-unknown", 5] as const]), entries);
  fits(RejectionsView, view);
  assert.deepEqual([view.total, view.byCode], [9, { "key-unknown": 4, "topic-unknown": 5 }]);
  for (const { sentence, remedy } of view.latest) assert.ok(sentence.endsWith(".") && remedy.endsWith("."));
});

describe("an epoch's row", () => {
  test("counts nodes that were credited, credited slots, and slots expected of all less the void ones", () => {
    const outcome = twoOperators(3);
    const idle = outcome.nodes.map((node, index) => (index === 0 ? { ...node, slotsAttested: 0 } : node));
    const row = epochRow(recordOf({ ...outcome, nodes: idle }), time);
    fits(EpochRow, row);
    assert.partialDeepStrictEqual(row, {
      nodes: 2,
      slotsCredited: 8,
      slotsExpected: 3 * 5,
      slotsVoid: 1,
      total: "100",
    });
    assert.deepEqual([row.opensAt, row.closedAt], [slotTime(12), slotTime(18)]);
    assert.deepEqual(row.claims, [{ operator: operatorAddress(1), amount: "60", transaction: null }]);
  });

  test("of a void epoch has no root and fits the schema", () => {
    const row = epochRow({ ...recordOf(outcomeOf({ epoch: 1, operators: [] })), state: "void", claims: [] }, time);
    fits(EpochRow, row);
    assert.deepEqual([row.root, row.total, row.state], [null, "0", "void"]);
  });
});

function recordOf(outcome: ReturnType<typeof twoOperators>) {
  const claims = [{ operator: operatorAddress(1), amount: 60n, transaction: null }];
  return { outcome, closedAt: slotTime(18), state: "closed" as const, transaction: null, claims };
}

function factsOf(now: number, rows: readonly SlotRow[], answered: readonly number[], receivedAt = now): SlotFacts {
  return {
    now,
    time,
    slots: new Map(rows.map((row) => [row.slot, row])),
    answers: new Map([[nodeId, new Map(answered.map((slot) => [slot, receivedAt]))]]),
  };
}

function fits(schema: TSchema, value: unknown): void {
  const checked = checker("view", schema)(value);
  assert.ok(checked.ok, checked.ok ? "" : checked.rejection.detail);
}
