import assert from "node:assert/strict";
import { test } from "node:test";
import { bootId } from "../../testing/devices.ts";
import { onFleet } from "../../testing/fleet-on-clock.ts";
import { slotTime } from "../../testing/founding.ts";
import { batchInput, birthInput, deathInput, evidenceInput, slotRow } from "../../testing/inputs.ts";

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

test("a last will shows at once, silence at the next change of slot", (t) =>
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
    assert.deepEqual(await house.states(falling), ["online"]);
    house.fleet.slotChanged();
    await house.tick();
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
      house.fleet.slotChanged();
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

test("pages get the whole fleet when a slot changes, and the rows of changed nodes in between", (t) =>
  onFleet(t, async (house) => {
    const [one, two] = [await house.enrol(), await house.enrol()];
    house.pages = 1;
    house.fleet.slotChanged();
    await house.tick();
    assert.deepEqual(house.sent, ["fleet"]);
    await house.hear(birthInput(two, bootId()));
    await house.tick();
    assert.deepEqual(house.sent, ["fleet", `node ${two}`]);
    await house.tick();
    assert.equal(house.sent.length, 2);
    await house.hear(birthInput(one, bootId()));
    house.fleet.slotChanged();
    await house.tick();
    assert.deepEqual(house.sent.slice(2), ["fleet"]);
  }));

test("without a page no view is asked for, and states are kept all the same", (t) =>
  onFleet(t, async (house) => {
    const nodeId = await house.enrol();
    await house.hear(birthInput(nodeId, bootId()));
    house.fleet.slotChanged();
    await house.tick();
    assert.deepEqual([house.viewed, house.sent], [0, []]);
    assert.deepEqual(await house.states(nodeId), ["online"]);
  }));

test("readings per minute are those of the last sixty seconds", (t) =>
  onFleet(t, async ({ fleet, enrol, tick }) => {
    const nodeId = await enrol();
    assert.equal(fleet.readingsPerMinute(nodeId), 0);
    fleet.heard(nodeId, 100);
    fleet.heard(nodeId, 0);
    await tick(30 * seconds);
    fleet.heard(nodeId, 20);
    assert.equal(fleet.readingsPerMinute(nodeId), 120);
    await tick(29 * seconds);
    assert.equal(fleet.readingsPerMinute(nodeId), 120);
    await tick(1 * seconds);
    assert.equal(fleet.readingsPerMinute(nodeId), 20);
    await tick(30 * seconds);
    assert.equal(fleet.readingsPerMinute(nodeId), 0);
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
