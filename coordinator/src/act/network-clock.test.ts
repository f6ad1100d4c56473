import assert from "node:assert/strict";
import { test } from "node:test";
import { startNetworkClock } from "./network-clock.ts";

/** A ledger's clock and a machine's steady clock, both moved by the test; a look at the ledger takes `lookMs`. */
async function openHouse() {
  const house = { ledgerMs: 1_000_000, steadyMs: 50, lookMs: 0 };
  const ledger = {
    async clock() {
      house.ledgerMs += house.lookMs / 2;
      const seen = house.ledgerMs;
      house.ledgerMs += house.lookMs / 2;
      house.steadyMs += house.lookMs;
      return seen;
    },
  };
  const clock = await startNetworkClock(ledger, () => house.steadyMs);
  const pass = (ms: number) => {
    house.ledgerMs += ms;
    house.steadyMs += ms;
  };
  return { house, clock, pass };
}

test("the clock is the ledger's, carried on by steps of this machine", async () => {
  const { clock, pass } = await openHouse();
  assert.equal(clock.now(), 1_000_000);
  pass(12_345);
  assert.equal(clock.now(), 1_012_345);
});

test("a look at the ledger brings the clock to the ledger's, whatever the look took", async () => {
  const { house, clock, pass } = await openHouse();
  house.steadyMs += 0;
  house.ledgerMs += 60_000;
  house.lookMs = 100;
  await clock.sync();
  assert.equal(clock.now(), house.ledgerMs);
  pass(1);
  assert.equal(clock.now(), house.ledgerMs);
});

test("a look that took long says too little and is not believed", async () => {
  const { house, clock } = await openHouse();
  const before = house.steadyMs - clock.now();
  house.ledgerMs += 60_000;
  house.lookMs = 1_000;
  await clock.sync();
  assert.equal(house.steadyMs - clock.now(), before);
});

test("the clock never runs backwards, and goes on once the ledger's has caught up", async () => {
  const { house, clock, pass } = await openHouse();
  assert.equal(clock.now(), 1_000_000);
  house.ledgerMs -= 5_000;
  await clock.sync();
  assert.equal(clock.now(), 1_000_000);
  pass(4_000);
  assert.equal(clock.now(), 1_000_000);
  pass(2_000);
  assert.equal(clock.now(), 1_001_000);
});
