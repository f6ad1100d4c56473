/**
 * Everything that can break in a clustered network is broken, one by one and in combinations: nothing that a node was given a receipt for
 * is lost or doubled, and no epoch pays otherwise than in a twin that nothing happened to, but for slots that are declared void.
 *
 * CAIRN_CHAOS_SEED replays a failure. The fleet has 2,000 nodes; CAIRN_CHAOS_NODES says another number.
 */
import assert from "node:assert/strict";
import { after, before, describe, type TestContext, test } from "node:test";
import { combinationsOf, type EpochFacts, type Fault, faults, openRig, type Rig, rigMissing } from "./chaos-rig.ts";

const seed = process.env.CAIRN_CHAOS_SEED ?? `${Date.now() % 1_000_000}`;
const nodes = Number(process.env.CAIRN_CHAOS_NODES ?? 2_000);
const clock = { slotSeconds: 20, slotsPerEpoch: 2 };
const holdMs = 10_000;
const longestTakeoverSeconds = 10;
const combinations = 2;
const skip = rigMissing() ?? false;

describe(`a network of ${nodes} nodes, seed ${seed}`, { concurrency: false }, () => {
  let rig: Rig | undefined;
  let twin: EpochFacts | undefined;
  let firstWhole = 0;
  const say = (t: TestContext | undefined) => (line: string) => (t ? t.diagnostic(line) : console.log(line));

  before(async () => {
    if (skip) return;
    twin = await undisturbed();
    rig = await openRig({ ...clock, seed, nodes, say: say(undefined) });
    // The epoch in which the fleet came is not whole, nor is the one that runs now.
    firstWhole = (await rig.epochsClosed()) + 2;
  });
  after(async () => {
    await rig?.close();
  });

  const single = (Object.keys(faults) as Fault[]).map((fault): readonly Fault[] => [fault]);
  const strikes = [...single, ...combinationsOf(seed, combinations)];
  for (const together of strikes)
    test(`recovers when ${together.map((fault) => faults[fault]).join(", and ")}`, { skip }, async (t) => {
      assert.ok(rig);
      const { takeoverSeconds, recoverySeconds } = await rig.strike(together, holdMs);
      t.diagnostic(`recovered after ${recoverySeconds.toFixed(1)} s`);
      if (takeoverSeconds === null) return;
      t.diagnostic(`slots taken over after ${takeoverSeconds.toFixed(1)} s`);
      // What hits the database too takes as long as the database.
      if (together.length === 1) assert.ok(takeoverSeconds <= longestTakeoverSeconds, `${takeoverSeconds} s`);
    });

  test("goes on as before once it is left alone", { skip }, async () => {
    await rig?.calm();
  });

  test("nothing that was acknowledged is lost, nothing is there twice, and everything comes in the end", {
    skip,
  }, async (t) => {
    assert.ok(rig && twin);
    const { lost, doubled, receipted, unsettled, refusals, epochs } = await rig.tally();
    t.diagnostic(`${receipted} batches were receipted, refused were ${JSON.stringify(refusals)}`);
    assert.deepEqual({ lost, doubled, unsettled }, { lost: 0, doubled: 0, unsettled: 0 });
    const whole = epochs.filter(({ epoch }) => epoch >= firstWhole);
    t.diagnostic(
      `${whole.length} epochs, ${whole.filter(({ slotsVoid }) => slotsVoid > 0).length} of them with void slots`,
    );
    assert.ok(whole.some(({ slotsVoid }) => slotsVoid === 0));
    for (const { epoch, slotsVoid, missed, roots, amounts } of whole) {
      assert.equal(missed, 0, `epoch ${epoch}: ${missed} answers to slots that count are missing`);
      if (slotsVoid > 0) continue;
      assert.deepEqual({ epoch, roots, amounts }, { epoch, roots: twin.roots, amounts: twin.amounts });
    }
  });
});

/** What an epoch comes to in which every node answers every slot and works in it. */
async function undisturbed(): Promise<EpochFacts> {
  const twin = await openRig({ ...clock, seed, nodes, say: () => {} });
  try {
    const first = (await twin.epochsClosed()) + 2;
    while ((await twin.epochsClosed()) < first) await new Promise((resolve) => setTimeout(resolve, 500));
    const { epochs, refusals } = await twin.tally();
    const whole = epochs.find(({ epoch, slotsVoid }) => epoch >= first && slotsVoid === 0);
    assert.ok(whole, "the twin has no whole epoch");
    assert.equal(whole.missed, 0, `answers are missing in the twin; refused were ${JSON.stringify(refusals)}`);
    return whole;
  } finally {
    await twin.close();
  }
}
