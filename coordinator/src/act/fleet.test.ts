import assert from "node:assert/strict";
import { test } from "node:test";
import { bootId } from "../../testing/devices.ts";
import { onFleet } from "../../testing/fleet-on-clock.ts";
import { slotTime } from "../../testing/founding.ts";
import {
  batchInput,
  birthInput,
  column,
  deathInput,
  evidenceInput,
  refusedInput,
  slotRow,
} from "../../testing/inputs.ts";
import { twoOperators } from "../../testing/ledger/epochs.ts";
import { intent } from "../../testing/ledger/settlement.ts";

const seconds = 1_000;

test("a node that was heard of gets its state within a second, and one that was not keeps its own", (t) =>
  onFleet(t, async (house) => {
    const [loud, quiet] = [await house.enrol(), await house.enrol()];
    await house.tick();
    await house.hear(birthInput(loud, bootId()));
    assert.deepEqual(await house.states(loud, quiet), ["unheard", "unheard"]);
    await house.tick();
    assert.deepEqual(await house.states(loud, quiet), ["online", "unheard"]);
  }));

test("a last will shows within a second, silence at the next change of slot", (t) =>
  onFleet(t, async (house) => {
    const [dying, falling] = [await house.enrol(), await house.enrol()];
    const boot = bootId();
    await house.hear(birthInput(dying, boot, 1, Date.now()), birthInput(falling, boot, 1, Date.now()));
    await house.tick();
    assert.deepEqual(await house.states(dying, falling), ["online", "online"]);
    await house.hear(deathInput(dying, boot));
    await house.tick();
    assert.deepEqual(await house.states(dying, falling), ["offline", "online"]);
    await house.tick(181 * seconds);
    assert.deepEqual(await house.states(falling), ["offline"]);
  }));

test("missed slots degrade a node only when they count, are closed, and began after it was enrolled", (t) =>
  onFleet(t, async (house) => {
    for (const slot of [0, 1, 2, 3]) await house.ledger.openSlot(slotRow(slot));
    const early = await house.enrol(slotTime(0));
    const late = await house.enrol(slotTime(2) + 1);
    const close = async (slot: number, voidReason: string | null) => {
      await house.ledger.closeSlot(slot, slotTime(slot + 1), voidReason);
      const receivedAt = Date.now();
      await house.hear(
        ...[early, late].map((nodeId) => batchInput(nodeId, bootId(), { n: slot + 1, receivedAt, slot })),
      );
      await house.tick();
      return house.states(early, late);
    };
    await house.tick(slotTime(3) - Date.now());
    await house.hear(evidenceInput(early, bootId(), { slot: 0, bootCount: 9 }));
    assert.deepEqual(await close(0, null), ["online", "online"]);
    assert.deepEqual(await close(1, "the verifier slept"), ["online", "online"]);
    assert.deepEqual(await close(2, null), ["degraded", "online"]);
    assert.match((await house.ledger.nodes()).find(({ nodeId }) => nodeId === early)?.status.reason ?? "", /1 slot/);
  }));

test("states are written by the replica that holds the duty, and no longer once it has given it back", (t) =>
  onFleet(t, async (house) => {
    const nodeId = await house.enrol();
    const giveBack = house.fleet.keepStates(house.ledger.setStatus);
    await giveBack();
    await house.hear(birthInput(nodeId, bootId()));
    await house.tick();
    assert.deepEqual(await house.states(nodeId), ["unheard"]);
    house.fleet.keepStates(house.ledger.setStatus);
    await house.tick();
    assert.deepEqual(await house.states(nodeId), ["online"]);
  }));

test("pages get the whole fleet when a slot changes, and the rows of changed nodes in between, whichever replica heard them", (t) =>
  onFleet(t, async (house) => {
    const [one, two] = [await house.enrol(), await house.enrol()];
    house.pages = 1;
    await house.tick();
    assert.deepEqual(house.sent, ["fleet"]);
    await house.hear(birthInput(two, bootId()));
    await house.tick();
    // The second time for its state, which the round before has changed.
    await house.tick();
    assert.deepEqual(house.sent.slice(1), [`node ${two}`, `node ${two}`]);
    await house.tick();
    assert.equal(house.sent.length, 3);
    await house.hear(birthInput(one, bootId()));
    await house.ledger.openSlot(slotRow(0));
    await house.tick();
    assert.deepEqual(house.sent.slice(3), ["fleet"]);
  }));

test("a page gets an epoch whenever its state changes, and refusals when there are new ones", (t) =>
  onFleet(t, async (house) => {
    const nodeId = await house.enrol();
    await house.ledger.closeEpoch(twoOperators(1), 1);
    house.pages = 1;
    await house.tick();
    house.sent.length = 0;
    await house.ledger.closeEpoch(twoOperators(2), 2);
    await house.ledger.resolveIntent(intent("post-root", 1), "confirmed", "0x01", 3);
    await house.tick();
    assert.deepEqual(house.sent, ["epoch 2 closed", "epoch 1 posted"]);
    await house.hear(refusedInput(nodeId));
    await house.tick();
    assert.ok(house.sent.includes("rejections"));
    house.sent.length = 0;
    await house.tick();
    assert.deepEqual(house.sent, []);
  }));

test("a page that looks at a node gets each of its new readings once", (t) =>
  onFleet(t, async (house) => {
    const nodeId = await house.enrol();
    const boot = bootId();
    const measure = (seq: number, times: number[]) =>
      house.hear(batchInput(nodeId, boot, { seq, series: [column("a.b", times, times)] }));
    await measure(1, [1, 2]);
    house.pages = 1;
    house.watched = [nodeId];
    const readings = () => house.sent.filter((event) => event.startsWith("readings"));
    await house.tick();
    assert.deepEqual(readings(), []);
    await measure(2, [3, 4]);
    await house.tick();
    await measure(3, [5]);
    await house.tick();
    await house.tick();
    assert.deepEqual(readings(), ["readings a.b=3,a.b=4", "readings a.b=5"]);
  }));

test("without a page no view is asked for, and states are kept all the same", (t) =>
  onFleet(t, async (house) => {
    const nodeId = await house.enrol();
    await house.hear(birthInput(nodeId, bootId()));
    await house.tick();
    assert.deepEqual([house.viewed, house.sent], [0, []]);
    assert.deepEqual(await house.states(nodeId), ["online"]);
  }));

test("readings per minute are those stored in the last sixty seconds, by whichever replica", (t) =>
  onFleet(t, async (house) => {
    const nodeId = await house.enrol();
    const boot = bootId();
    const store = (seq: number, count: number) =>
      house.hear(batchInput(nodeId, boot, { seq, series: [column("a.b", range(count), range(count))] }));
    await house.tick();
    assert.equal(house.fleet.readingsPerMinute(nodeId), 0);
    await store(1, 100);
    for (let second = 0; second < 30; second++) await house.tick();
    await store(2, 20);
    for (let second = 0; second < 30; second++) await house.tick();
    assert.equal(house.fleet.readingsPerMinute(nodeId), 120);
    await house.tick();
    assert.equal(house.fleet.readingsPerMinute(nodeId), 20);
    for (let second = 0; second < 30; second++) await house.tick();
    assert.equal(house.fleet.readingsPerMinute(nodeId), 0);
  }));

test("a ledger that fails is reported, and the next round goes on", (t) =>
  onFleet(t, async (house) => {
    const nodeId = await house.enrol();
    house.breaks = true;
    await house.tick();
    assert.deepEqual(house.faults, ["nodes broke"]);
    house.breaks = false;
    await house.hear(birthInput(nodeId, bootId()));
    await house.tick();
    assert.deepEqual(await house.states(nodeId), ["online"]);
  }));

test("a fleet that is stopped has ended its round and begins no other", (t) =>
  onFleet(t, async (house) => {
    const nodeId = await house.enrol();
    await house.hear(birthInput(nodeId, bootId()));
    await house.fleet.stop();
    await house.tick(5 * seconds);
    assert.deepEqual(await house.states(nodeId), ["unheard"]);
  }));

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
