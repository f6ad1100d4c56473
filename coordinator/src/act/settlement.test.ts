import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { operatorAddress } from "../../testing/founding.ts";
import type { SendTrouble } from "../../testing/scripted-chain.ts";
import {
  assertSettledOnce,
  type Crash,
  closeWorkedEpoch,
  onSettlementHouse,
  type RunningSettler,
  type SettlementHouse,
  untilSettled,
} from "../../testing/settling.ts";
import { until } from "../../testing/until.ts";
import { CoordinatorFault } from "../fault.ts";

const [one, two] = [operatorAddress(1), operatorAddress(2)];

test("closed epochs are brought to the chain in order, each with one root and one claim per operator", async () => {
  await onSettlementHouse(async (house) => {
    const { ledger, scripted } = house;
    for (const epoch of [1, 2, 3]) await closeWorkedEpoch(ledger, epoch);
    const { changed, faults } = await settled(house);
    await assertSettledOnce(house);
    assert.deepEqual([scripted.claims(1, one), scripted.claims(1, two), scripted.claims(2, one)], [1, 1, 1]);
    assert.equal(scripted.claims(2, two), 0);
    assert.equal(scripted.blocks, 3 + 4);
    assert.deepEqual(
      changed,
      [...changed].sort((a, b) => a - b),
    );
    assert.deepEqual(faults, []);
  });
});

test("an epoch that closes while the settler rests is settled after a nudge", async () => {
  await onSettlementHouse(async (house) => {
    const { ledger } = house;
    const running = house.run();
    await closeWorkedEpoch(ledger, 1);
    running.settler.nudge();
    await untilSettled(house, running);
    await closeWorkedEpoch(ledger, 2);
    running.settler.nudge();
    await untilSettled(house, running);
    await assertSettledOnce(house);
  });
});

test("a transaction is stored as an intent before it is sent", async () => {
  await onSettlementHouse(async (house) => {
    const { ledger, scripted } = house;
    await closeWorkedEpoch(ledger, 1);
    scripted.troubles.push("hangs");
    house.run();
    await until(
      () => scripted.troubles.length === 0,
      () => "nothing was sent",
    );
    const [settlement] = await ledger.unsettled();
    assert.equal(settlement?.intents[0]?.kind, "post-root");
    assert.equal(scripted.blocks, 0);
  });
});

test("a process that dies at any point, before or after any call took effect, doubles and loses nothing", async () => {
  let survived = false;
  for (let call = 0; !survived; call++)
    for (const when of ["before", "after"] as const)
      await onSettlementHouse(async (house) => {
        for (const epoch of [1, 2]) await closeWorkedEpoch(house.ledger, epoch);
        const crashed = house.run({ call, when });
        await untilSettled(house, crashed);
        survived = !crashed.dead;
        await house.restart();
        const { faults } = await settled(house);
        await assertSettledOnce(house);
        assert.deepEqual(faults, [], `after the crash ${when} call ${call}`);
        for (const { transaction, claims } of await house.ledger.epochs(2))
          for (const known of [transaction, ...claims.map((claim) => claim.transaction)])
            assert.notEqual(known, null, `a transaction is forgotten after the crash ${when} call ${call}`);
      });
});

const recoverable: readonly SendTrouble[] = ["lost", "answer-lost", "reverted", "nonce-taken"];
for (const trouble of recoverable)
  test(`a transaction whose sending ends as "${trouble}" is settled once all the same, whichever it is`, async () => {
    for (let healthy = 0; healthy < 5; healthy++)
      await onSettlementHouse(async (house) => {
        const { ledger, scripted } = house;
        for (const epoch of [1, 2]) await closeWorkedEpoch(ledger, epoch);
        scripted.troubles.push(...Array<SendTrouble>(healthy).fill("none"), trouble);
        await settled(house);
        await assertSettledOnce(house);
      });
  });

test("a send that never answers does not hold up the stop, and the next run settles once", async () => {
  await onSettlementHouse(async (house) => {
    const { scripted } = house;
    await closeWorkedEpoch(house.ledger, 1);
    scripted.troubles.push("hangs");
    const hanging = house.run();
    await until(
      () => scripted.troubles.length === 0,
      () => "nothing was sent",
    );
    const before = performance.now();
    await hanging.settler.stop();
    assert.ok(performance.now() - before < 3_000);
    await house.restart();
    await settled(house);
    await assertSettledOnce(house);
  });
});

test("a transaction that is lost is reported as stuck and the same one is sent again", async () => {
  await onSettlementHouse(async (house) => {
    const { ledger, scripted } = house;
    await closeWorkedEpoch(ledger, 1);
    scripted.troubles.push("lost");
    const { faults } = await settled(house);
    assert.equal(faults.length, 1);
    assert.equal(codeOf(faults[0]), "settlement-stuck");
  });
});

test("another root of the epoch on chain stops settlement with its name and pays nothing", async () => {
  await onSettlementHouse(async (house) => {
    const { ledger, scripted } = house;
    await closeWorkedEpoch(ledger, 1);
    const foreign = `0x${"ab".repeat(32)}` as const;
    scripted.postByAnother(1, foreign, 5n);
    const running = house.run();
    await until(
      () => running.faults.length > 3,
      () => "no fault was reported",
    );
    for (const fault of running.faults) {
      assert.equal(codeOf(fault), "settlement-stuck");
      assert.ok(fault.message.includes(foreign), fault.message);
    }
    assert.equal((await ledger.epoch(1))?.state, "closed");
    assert.equal(scripted.blocks, 1);
  });
});

test("a root that another hand has posted is taken as posted, without a transaction of ours", async () => {
  await onSettlementHouse(async (house) => {
    const { ledger, scripted } = house;
    const { root, total } = await closeWorkedEpoch(ledger, 1);
    assert.ok(root);
    scripted.postByAnother(1, root, total);
    const { faults } = await settled(house);
    await assertSettledOnce(house);
    assert.equal((await ledger.epoch(1))?.transaction, null);
    assert.deepEqual(faults, []);
  });
});

test("an operator who claims for himself, at once or with a later epoch, is paid once and holds up nobody", async () => {
  await onSettlementHouse(async (house) => {
    const { ledger, scripted } = house;
    const outcomes = [await closeWorkedEpoch(ledger, 1), await closeWorkedEpoch(ledger, 2)];
    for (const { epoch, root, total } of outcomes) {
      assert.ok(root);
      scripted.postByAnother(epoch, root, total);
    }
    const cumulative = outcomes[1]?.operators.find(({ operator }) => operator === one);
    assert.ok(cumulative);
    scripted.claimByAnother(2, cumulative);
    const { faults } = await settled(house);
    await assertSettledOnce(house);
    assert.deepEqual([scripted.claims(1, one), scripted.claims(2, one), scripted.claims(1, two)], [0, 1, 1]);
    assert.deepEqual(faults, []);
  });
});

test("whatever number of its last blocks a chain has lost, the next run makes exactly those effects again", async () => {
  for (let lost = 1; lost <= 5; lost++)
    await onSettlementHouse(async (house) => {
      const { scripted } = house;
      for (const epoch of [1, 2]) await closeWorkedEpoch(house.ledger, epoch);
      await settled(house);
      assert.equal(scripted.blocks, 5);
      scripted.loseLastBlocks(lost);
      await house.restart();
      const again = house.run();
      await until(
        () => scripted.blocks === 5,
        () => `${scripted.blocks} blocks: ${again.faults.at(-1)}`,
      );
      await untilSettled(house, again);
      await assertSettledOnce(house);
      assert.deepEqual(again.faults, []);
    });
});

test("blocks that are lost while an epoch is half settled are made again before the rest", async () => {
  for (const lost of [1, 2])
    for (const epochs of [[1], [1, 2]])
      for (let call = 0; call < 20 * epochs.length; call++)
        await onSettlementHouse(async (house) => {
          for (const epoch of epochs) await closeWorkedEpoch(house.ledger, epoch);
          const crashed = house.run({ call, when: "after" });
          await untilSettled(house, crashed);
          house.scripted.loseLastBlocks(lost);
          await house.restart();
          await settled(house);
          await assertSettledOnce(house);
        });
});

const anyLife = fc.array(
  fc.record({
    crash: fc.option(
      fc.record({ call: fc.nat({ max: 30 }), when: fc.constantFrom<Crash["when"]>("before", "after") }),
      {
        nil: undefined,
      },
    ),
    troubles: fc.array(fc.constantFrom(...recoverable), { maxLength: 3 }),
    lost: fc.nat({ max: 3 }),
    closes: fc.boolean(),
  }),
  { minLength: 1, maxLength: 4 },
);

test("any life of crashes, troubles, lost blocks and new epochs ends with every root and every claim once", async () => {
  await fc.assert(
    fc.asyncProperty(anyLife, async (life) => {
      await onSettlementHouse(async (house) => {
        const { scripted } = house;
        let epoch = 1;
        for (const { crash, troubles, lost, closes } of life) {
          if (closes) epoch += 1;
          await closeWorkedEpoch(house.ledger, epoch);
          scripted.troubles.push(...troubles);
          const running = house.run(crash);
          await untilSettled(house, running);
          scripted.loseLastBlocks(lost);
          await house.restart();
        }
        scripted.troubles.length = 0;
        await settled(house);
        await assertSettledOnce(house);
      });
    }),
    { numRuns: 25 },
  );
});

async function settled(house: SettlementHouse): Promise<RunningSettler> {
  const running = house.run();
  await untilSettled(house, running);
  return running;
}

function codeOf(error: unknown): string | undefined {
  return error instanceof CoordinatorFault ? error.code : undefined;
}
