import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { NodeId } from "@cairn/protocol";
import { bootId, makeDevice } from "../../testing/devices.ts";
import { slotsOf, slotTime } from "../../testing/founding.ts";
import { batchInput, evidenceInput, slotRow } from "../../testing/inputs.ts";
import { send } from "../../testing/ledger/admission.ts";
import { bitsOf, onVerifierHouse, type VerifierHouse } from "../../testing/verifying.ts";
import type { Ledger } from "../model.ts";

test("a slot begins with its row in the ledger, then its nonce is known to judges, then the signed beacon goes out", (t) =>
  onVerifierHouse(t, async (house) => {
    await house.start();
    assert.deepEqual(house.log, ["openSlot", "beacons 0", "beacon 0", "openSlot"]);
    const [beacon] = house.beacons;
    const [row] = await house.ledger.slots(0);
    assert.partialDeepStrictEqual(row, { ...without(beacon, "verifier"), readyAt: slotTime(0), closedAt: null });
    assert.deepEqual([beacon?.epoch, beacon?.opensAt, beacon?.closesAt], [1, slotTime(0), slotTime(1)]);
  }));

test("every slot has a beacon of its own nonce", (t) =>
  onVerifierHouse(t, async (house) => {
    await house.start();
    await house.until(slotTime(5));
    assert.deepEqual(
      house.beacons.map(({ slot }) => slot),
      [0, 1, 2, 3, 4, 5],
    );
    assert.equal(new Set(house.beacons.map(({ nonce }) => nonce)).size, 6);
  }));

test("the next slot is opened at once, then the one that is over is closed and its answers are receipted", (t) =>
  onVerifierHouse(t, async (house) => {
    const nodeId = await enrolled(house);
    await house.start();
    await answer(house.ledger, nodeId, 0);
    house.log.length = 0;
    await house.until(slotTime(1));
    assert.deepEqual(house.log, ["openSlot", "beacons 0,1", "beacon 1", "openSlot", "closeSlot", "receipt"]);
    assert.partialDeepStrictEqual((await house.ledger.slots(0))[0], { closedAt: slotTime(1), voidReason: null });
  }));

test("each receipt says everything of the epoch so far, to those nodes that answered the slot", (t) =>
  onVerifierHouse(t, async (house) => {
    const [steady, early, late] = [await enrolled(house), await enrolled(house), await enrolled(house)];
    await house.start();
    for (const slot of [0, 1, 2]) {
      await answer(house.ledger, steady, slot);
      if (slot === 0) await answer(house.ledger, early, slot);
      if (slot === 2) await answer(house.ledger, late, slot);
      await house.until(slotTime(slot + 1));
    }
    const receipts = house.receiptsOf(steady);
    assert.deepEqual(
      receipts.map(({ epoch, firstSlot, slotCount, credited }) => [epoch, firstSlot, slotCount, bitsOf(credited)]),
      [
        [1, 0, 1, [0]],
        [1, 0, 2, [0, 1]],
        [1, 0, 3, [0, 1, 2]],
      ],
    );
    const single = (nodeId: NodeId) =>
      house.receiptsOf(nodeId).map(({ slotCount, credited }) => [slotCount, bitsOf(credited)]);
    assert.deepEqual(single(early), [[1, [0]]]);
    assert.deepEqual(single(late), [[3, [2]]]);
  }));

test("void slots stand in a receipt as void and are credited to nobody", (t) =>
  onVerifierHouse(t, async (house) => {
    const nodeId = await enrolled(house);
    await house.start();
    await answer(house.ledger, nodeId, 0);
    await house.restart();
    // Slot 0 ends while nothing runs, slots 1 and 2 are never opened.
    house.sleepUntil(slotTime(3));
    await house.start();
    await answer(house.ledger, nodeId, 3);
    await house.until(slotTime(4));
    const [receipt, ...more] = house.receiptsOf(nodeId);
    assert.equal(more.length, 0);
    assert.deepEqual([bitsOf(receipt?.credited ?? "0x"), bitsOf(receipt?.void ?? "0x")], [[3], [0, 1, 2]]);
  }));

test("a receipt's bitmaps begin anew with every epoch", (t) =>
  onVerifierHouse(t, async (house) => {
    const nodeId = await enrolled(house);
    await house.start();
    await house.until(slotTime(7));
    await answer(house.ledger, nodeId, 7);
    await house.until(slotTime(8));
    const [receipt] = house.receiptsOf(nodeId);
    assert.deepEqual([receipt?.epoch, receipt?.firstSlot, receipt?.slotCount], [2, 6, 2]);
    assert.deepEqual(bitsOf(receipt?.credited ?? "0x"), [1]);
  }));

test("a slot is closed on complete data: what arrived in time and is committed late is credited", (t) =>
  onVerifierHouse(t, async (house) => {
    const nodeId = await enrolled(house);
    await house.start();
    const committed = Promise.withResolvers<void>();
    house.hold = committed.promise;
    await house.until(slotTime(1));
    assert.equal((await house.ledger.slots(0))[0]?.closedAt, null);
    await answer(house.ledger, nodeId, 0);
    committed.resolve();
    house.hold = undefined;
    await settled(house, () => house.beacons.length === 2);
    assert.deepEqual(bitsOf(house.receiptsOf(nodeId)[0]?.credited ?? "0x"), [0]);
  }));

test("a slot of which something is known to be missing is void for that reason", (t) =>
  onVerifierHouse(t, async (house) => {
    const nodeId = await enrolled(house);
    await house.start();
    await answer(house.ledger, nodeId, 0);
    house.missing = "a replica went away";
    await house.until(slotTime(1));
    house.missing = null;
    await house.until(slotTime(2));
    const rows = await house.ledger.slots(0);
    assert.deepEqual(
      rows.map(({ voidReason }) => voidReason),
      ["a replica went away", null, null],
    );
    assert.deepEqual(house.receiptsOf(nodeId), []);
  }));

test("whoever cannot be asked is asked again: nothing is closed on data that may be incomplete", (t) =>
  onVerifierHouse(t, async (house) => {
    const nodeId = await enrolled(house);
    await house.start();
    house.hold = Promise.reject(new Error("the ledger does not answer"));
    house.hold.catch(() => {});
    await house.until(slotTime(6) + 3_000);
    assert.ok((await house.ledger.slots(0)).every(({ closedAt }) => closedAt === null));
    assert.equal((await house.ledger.epoch(1)) ?? null, null);
    await answer(house.ledger, nodeId, 0);
    house.hold = undefined;
    for (let seconds = 4; seconds < 10; seconds++) await house.until(slotTime(6) + seconds * 1_000);
    await settled(house, () => house.log.includes("epoch 1"));
    assert.equal((await house.ledger.epoch(1))?.outcome.nodes[0]?.slotsAttested, 1);
  }));

test("epochs are closed in their order, also when what a later one waits for is there first", (t) =>
  onVerifierHouse(t, async (house) => {
    await house.start();
    const holds = Array.from({ length: 3 }, () => Promise.withResolvers<void>());
    house.holdEpoch = (epoch) => holds[epoch - 1]?.promise;
    await house.until(slotTime(18) + 3_000);
    holds[1]?.resolve();
    holds[2]?.resolve();
    await house.until(slotTime(18) + 6_000);
    assert.deepEqual(
      house.log.filter((line) => line.startsWith("epoch")),
      [],
    );
    holds[0]?.resolve();
    for (let seconds = 7; seconds < 12; seconds++) await house.until(slotTime(18) + seconds * 1_000);
    await settled(house, () => house.log.includes("epoch 3"));
    assert.deepEqual(
      house.log.filter((line) => line.startsWith("epoch")),
      ["epoch 1", "epoch 2", "epoch 3"],
    );
  }));

test("a slot that is opened so late that nodes have less than half of it is void", (t) =>
  onVerifierHouse(t, async (house) => {
    await house.start();
    const opening = Promise.withResolvers<void>();
    house.holdOpening = opening.promise;
    await house.until(slotTime(1) + 40_000);
    opening.resolve();
    house.holdOpening = undefined;
    await settled(house, () => house.beacons.length === 2);
    await house.until(slotTime(3));
    const rows = await house.ledger.slots(0);
    assert.deepEqual(
      rows.map(({ voidReason }) => voidReason !== null),
      [false, true, false, false],
    );
  }));

test("what is still held somewhere delays no beacon, and the slots that wait are closed in the end, each as it stood at its end", (t) =>
  onVerifierHouse(t, async (house) => {
    const nodeId = await enrolled(house);
    await house.start();
    const committed = Promise.withResolvers<void>();
    house.hold = committed.promise;
    await house.until(slotTime(2) + 1);
    assert.deepEqual(
      house.beacons.map(({ slot }) => slot),
      [0, 1, 2],
    );
    house.receivingSince = null;
    await answer(house.ledger, nodeId, 0);
    committed.resolve();
    house.hold = undefined;
    await settled(house, () => house.receiptsOf(nodeId).length === 1);
    const rows = await house.ledger.slots(0);
    assert.deepEqual(
      rows.map(({ closedAt, voidReason }) => [closedAt !== null, voidReason]),
      [
        [true, null],
        [true, null],
        [false, null],
      ],
    );
  }));

for (const [disturbance, receivingSince] of [
  ["lasts at its end", null],
  ["ended when less than half of it was left", slotTime(0) + 31_000],
] as const)
  test(`a slot with a disturbance of the broker that ${disturbance} is void`, (t) =>
    onVerifierHouse(t, async (house) => {
      await house.start();
      house.receivingSince = receivingSince;
      await house.until(slotTime(1));
      assert.notEqual((await house.ledger.slots(0))[0]?.voidReason, null);
      house.receivingSince = slotTime(1);
      await house.until(slotTime(2));
      assert.equal((await house.ledger.slots(1))[0]?.voidReason, null);
    }));

test("a restart in the middle of a slot announces the same nonce again, and the slot counts", (t) =>
  onVerifierHouse(t, async (house) => {
    const nodeId = await enrolled(house);
    await house.start();
    await house.until(slotTime(0) + 20_000);
    await house.restart();
    house.sleepUntil(slotTime(0) + 25_000);
    await house.start();
    const [first, second] = house.beacons;
    assert.equal(second?.nonce, first?.nonce);
    await answer(house.ledger, nodeId, 0);
    await house.until(slotTime(1));
    assert.partialDeepStrictEqual((await house.ledger.slots(0))[0], {
      readyAt: slotTime(0),
      voidReason: null,
    });
    assert.equal(house.receiptsOf(nodeId).length, 1);
  }));

test("a replica that takes over late in a slot goes on with it: messages came in all the time, so it counts", (t) =>
  onVerifierHouse(t, async (house) => {
    const nodeId = await enrolled(house);
    await house.start();
    await house.until(slotTime(0) + 50_000);
    await house.takeOver();
    assert.deepEqual(
      house.beacons.map(({ slot }) => slot),
      [0, 0],
    );
    await answer(house.ledger, nodeId, 0);
    await house.until(slotTime(1));
    assert.equal((await house.ledger.slots(0))[0]?.voidReason, null);
    assert.equal(house.receiptsOf(nodeId).length, 1);
  }));

test("a slot whose beacon was stored, but not sent before the replica died, counts from when another one sent it", (t) =>
  onVerifierHouse(t, async (house) => {
    await house.ledger.openSlot({ ...slotRow(0), readyAt: slotTime(1) });
    await house.ledger.openSlot({ ...slotRow(1), readyAt: slotTime(2) });
    house.sleepUntil(slotTime(1) + 31_000);
    await house.start();
    assert.equal((await house.ledger.slots(1))[0]?.readyAt, slotTime(1) + 31_000);
    await house.until(slotTime(2));
    const rows = await house.ledger.slots(0);
    assert.deepEqual(
      rows.map(({ voidReason }) => voidReason !== null),
      [true, true, false],
    );
  }));

test("a slot during which the verifier came back too late is void, and nobody gets a receipt for it", (t) =>
  onVerifierHouse(t, async (house) => {
    const nodeId = await enrolled(house);
    await house.start();
    await answer(house.ledger, nodeId, 0);
    await house.restart();
    house.sleepUntil(slotTime(0) + 40_000);
    await house.start();
    await house.until(slotTime(1));
    assert.match((await house.ledger.slots(0))[0]?.voidReason ?? "", /less than half/);
    assert.deepEqual(house.receiptsOf(nodeId), []);
  }));

test("judges learn of the beacons of earlier runs, and beacons older than two epochs are forgotten", (t) =>
  onVerifierHouse(t, async (house) => {
    await house.start();
    await house.until(slotTime(2));
    await house.restart();
    await house.start();
    assert.ok(house.log.includes("beacons 0,1,2"));
    await house.until(slotTime(14));
    assert.ok(house.log.includes(`beacons ${slotTimes(2, 14)}`));
    assert.ok(!house.log.includes(`beacons ${slotTimes(1, 14)}`));
  }));

test("an epoch is closed after its last slot, from what nodes answered and worked, and told when it is stored", (t) =>
  onVerifierHouse(t, async (house) => {
    const [busy, idle] = [await enrolled(house), await enrolled(house)];
    await house.start();
    for (const slot of slotsOf(1)) {
      if (slot !== 2) await answer(house.ledger, busy, slot);
      await work(house.ledger, busy, slot);
      await house.until(slotTime(slot + 1));
    }
    assert.deepEqual(house.log.slice(-8), [
      "openSlot",
      `beacons ${slotTimes(0, 6)}`,
      "beacon 6",
      "openSlot",
      "closeSlot",
      "receipt",
      "closeEpoch",
      "epoch 1",
    ]);
    const outcome = (await house.ledger.epoch(1))?.outcome;
    const of = (nodeId: NodeId) => outcome?.nodes.find((node) => node.nodeId === nodeId);
    assert.partialDeepStrictEqual(of(busy), { slotsAttested: 5, slotsExpected: 6, slotsVoid: 0, workUnits: 6 });
    assert.partialDeepStrictEqual(of(idle), { slotsAttested: 0, workUnits: 0, amount: 0n });
    assert.deepEqual(await house.ledger.unfinishedEpochs(), [2]);
  }));

test("after an outage of many epochs the slot left open is void, and the epoch it was in closes with it", (t) =>
  onVerifierHouse(t, async (house) => {
    const nodeId = await enrolled(house);
    await house.start();
    await answer(house.ledger, nodeId, 0);
    await house.until(slotTime(1));
    await house.restart();
    house.sleepUntil(slotTime(200) + 5);
    await house.start();
    assert.match((await house.ledger.slots(1))[0]?.voidReason ?? "", /not running/);
    assert.ok(house.log.includes("epoch 1"));
    const outcome = (await house.ledger.epoch(1))?.outcome;
    // Slot 0 counts; slot 1 was open when the outage began, slots 2 to 5 were never opened.
    assert.equal(outcome?.slotsVoid, 5);
    assert.partialDeepStrictEqual(outcome?.nodes[0], { slotsAttested: 1 });
    assert.deepEqual(await house.ledger.unfinishedEpochs(), [34]);
  }));

for (const broken of ["openSlot", "closeSlot", "slots", "unfinishedEpochs", "epochFacts", "closeEpoch"] as const)
  test(`a ledger whose ${broken} fails once is reported, and a second later everything is done once`, (t) =>
    onVerifierHouse(t, async (house) => {
      await house.start();
      await house.until(slotTime(5));
      house.breakOnce = broken;
      await house.until(slotTime(6));
      assert.ok(house.log.includes(`fault ${broken} broke`));
      house.sleepUntil(slotTime(6) + 1_000);
      await settled(house, () => house.log.includes("epoch 1") && house.beacons.at(-1)?.slot === 6);
      await house.until(slotTime(8));
      const rows = await house.ledger.slots(0);
      assert.deepEqual(
        rows.map(({ slot, closedAt, voidReason }) => [slot, closedAt !== null, voidReason]),
        [0, 1, 2, 3, 4, 5, 6, 7, 8].map((slot) => [slot, slot !== 8, null]),
      );
      assert.equal(house.log.filter((line) => line === "closeEpoch").length, 1);
      const announced = new Map(house.beacons.map(({ slot, nonce }) => [slot, nonce]));
      for (const { slot, nonce } of rows) assert.equal(nonce, announced.get(slot), `the nonce of slot ${slot}`);
    }));

test("a verifier that is stopped does nothing any more", (t: TestContext) =>
  onVerifierHouse(t, async (house) => {
    await house.start();
    await house.restart();
    house.log.length = 0;
    house.sleepUntil(slotTime(3));
    await settled(house, () => true);
    assert.deepEqual(house.log, []);
  }));

async function enrolled({ ledger }: VerifierHouse): Promise<NodeId> {
  const { nodeId, enrolment } = makeDevice();
  await ledger.enrol([enrolment], slotTime(0));
  return nodeId;
}

async function answer(ledger: Ledger, nodeId: NodeId, slot: number): Promise<void> {
  assert.deepEqual(await send(ledger, [evidenceInput(nodeId, bootOf(nodeId), { slot })]), ["accepted"]);
}

async function work(ledger: Ledger, nodeId: NodeId, slot: number): Promise<void> {
  await send(ledger, [batchInput(nodeId, bootOf(nodeId), { seq: slot + 1, slot })]);
}

const boots = new Map<NodeId, ReturnType<typeof bootId>>();
function bootOf(nodeId: NodeId) {
  const boot = boots.get(nodeId) ?? bootId();
  boots.set(nodeId, boot);
  return boot;
}

/** Until a round that was held or repeated has done its work. */
async function settled(house: VerifierHouse, met: () => boolean): Promise<void> {
  for (let turns = 0; turns < 200; turns++) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(met(), house.log.join("\n"));
}

function slotTimes(first: number, last: number): string {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index).join();
}

function without(beacon: object | undefined, name: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(beacon ?? {}).filter(([key]) => key !== name));
}
