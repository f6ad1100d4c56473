import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { operatorAddress } from "../../testing/founding.ts";
import { createScriptedChain, type ScriptedChain, type SendTrouble } from "../../testing/scripted-chain.ts";
import {
  assertSettledOnce,
  type Crash,
  closeWorkedEpoch,
  type RunningSettler,
  runSettler,
  until,
  untilSettled,
} from "../../testing/settling.ts";
import { openTemporaryLedger, type TemporaryLedger } from "../../testing/temporary-ledger.ts";
import { CoordinatorFault } from "../fault.ts";
import type { Ledger } from "../model.ts";

const [one, two] = [operatorAddress(1), operatorAddress(2)];

test("closed epochs are brought to the chain in order, each with one root and one claim per operator", async () => {
  await onHouse(async ({ ledger }, scripted) => {
    for (const epoch of [1, 2, 3]) await closeWorkedEpoch(ledger, epoch);
    const { settler, changed, faults } = await settled(ledger, scripted);
    await assertSettledOnce(ledger, scripted);
    assert.deepEqual([scripted.claims(1, one), scripted.claims(1, two), scripted.claims(2, one)], [1, 1, 1]);
    assert.equal(scripted.claims(2, two), 0);
    assert.equal(scripted.blocks, 3 + 4);
    assert.deepEqual(
      changed,
      [...changed].sort((a, b) => a - b),
    );
    assert.deepEqual(faults, []);
    await settler.stop();
  });
});

test("an epoch that closes while the settler rests is settled after a nudge", async () => {
  await onHouse(async ({ ledger }, scripted) => {
    const running = runSettler(ledger, scripted);
    await closeWorkedEpoch(ledger, 1);
    running.settler.nudge();
    await untilSettled(ledger, running);
    await closeWorkedEpoch(ledger, 2);
    running.settler.nudge();
    await untilSettled(ledger, running);
    await assertSettledOnce(ledger, scripted);
    await running.settler.stop();
  });
});

test("a transaction is stored as an intent before it is sent", async () => {
  await onHouse(async ({ ledger }, scripted) => {
    await closeWorkedEpoch(ledger, 1);
    scripted.troubles.push("hangs");
    const running = runSettler(ledger, scripted);
    await until(
      () => scripted.troubles.length === 0,
      () => "nothing was sent",
    );
    const [settlement] = await ledger.unsettled();
    assert.equal(settlement?.intents[0]?.kind, "post-root");
    assert.equal(scripted.blocks, 0);
    await running.settler.stop();
  });
});

test("a process that dies at any point, before or after any call took effect, doubles and loses nothing", async () => {
  let survived = false;
  for (let call = 0; !survived; call++)
    for (const when of ["before", "after"] as const)
      await onHouse(async (store, scripted) => {
        for (const epoch of [1, 2]) await closeWorkedEpoch(store.ledger, epoch);
        const crashed = runSettler(store.ledger, scripted, { call, when });
        const end = await Promise.race([crashed.died.then(() => "died"), untilSettled(store.ledger, crashed)]);
        if (end !== "died") survived = true;
        const ledger = await store.reopen();
        const { settler, faults } = await settled(ledger, scripted);
        await assertSettledOnce(ledger, scripted);
        assert.deepEqual(faults, [], `after the crash ${when} call ${call}`);
        await settler.stop();
      });
});

const recoverable: readonly SendTrouble[] = ["lost", "answer-lost", "reverted", "nonce-taken"];
for (const trouble of recoverable)
  test(`a transaction whose sending ends as "${trouble}" is settled once all the same, whichever it is`, async () => {
    for (let healthy = 0; healthy < 5; healthy++)
      await onHouse(async ({ ledger }, scripted) => {
        for (const epoch of [1, 2]) await closeWorkedEpoch(ledger, epoch);
        troubleAfter(scripted, healthy, trouble);
        const { settler } = await settled(ledger, scripted);
        await assertSettledOnce(ledger, scripted);
        await settler.stop();
      });
  });

test("a send that never answers does not hold up the stop, and the next run settles once", async () => {
  await onHouse(async (store, scripted) => {
    await closeWorkedEpoch(store.ledger, 1);
    scripted.troubles.push("hangs");
    const hanging = runSettler(store.ledger, scripted);
    await until(
      () => scripted.troubles.length === 0,
      () => "nothing was sent",
    );
    const before = performance.now();
    await hanging.settler.stop();
    assert.ok(performance.now() - before < 3_000);
    const ledger = await store.reopen();
    const { settler } = await settled(ledger, scripted);
    await assertSettledOnce(ledger, scripted);
    await settler.stop();
  });
});

test("a transaction that is lost is reported as stuck and the same one is sent again", async () => {
  await onHouse(async ({ ledger }, scripted) => {
    await closeWorkedEpoch(ledger, 1);
    scripted.troubles.push("lost");
    const { settler, faults } = await settled(ledger, scripted);
    assert.equal(faults.length, 1);
    assert.equal(codeOf(faults[0]), "settlement-stuck");
    await settler.stop();
  });
});

test("another root of the epoch on chain stops settlement with its name and pays nothing", async () => {
  await onHouse(async ({ ledger }, scripted) => {
    await closeWorkedEpoch(ledger, 1);
    const foreign = `0x${"ab".repeat(32)}` as const;
    scripted.postByAnother(1, foreign, 5n);
    const running = runSettler(ledger, scripted);
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
    await running.settler.stop();
  });
});

test("a root that another hand has posted is taken as posted, without a transaction of ours", async () => {
  await onHouse(async ({ ledger }, scripted) => {
    const { root, total } = await closeWorkedEpoch(ledger, 1);
    assert.ok(root);
    scripted.postByAnother(1, root, total);
    const { settler, faults } = await settled(ledger, scripted);
    await assertSettledOnce(ledger, scripted);
    assert.equal((await ledger.epoch(1))?.transaction, null);
    assert.deepEqual(faults, []);
    await settler.stop();
  });
});

test("an operator who claims for himself, at once or with a later epoch, is paid once and holds up nobody", async () => {
  await onHouse(async ({ ledger }, scripted) => {
    const outcomes = [await closeWorkedEpoch(ledger, 1), await closeWorkedEpoch(ledger, 2)];
    for (const { epoch, root, total } of outcomes) {
      assert.ok(root);
      scripted.postByAnother(epoch, root, total);
    }
    const cumulative = outcomes[1]?.operators.find(({ operator }) => operator === one);
    assert.ok(cumulative);
    scripted.claimByAnother(2, cumulative);
    const { settler, faults } = await settled(ledger, scripted);
    await assertSettledOnce(ledger, scripted);
    assert.deepEqual([scripted.claims(1, one), scripted.claims(2, one), scripted.claims(1, two)], [0, 1, 1]);
    assert.deepEqual(faults, []);
    await settler.stop();
  });
});

test("whatever number of its last blocks a chain has lost, the next run makes exactly those effects again", async () => {
  for (let lost = 1; lost <= 5; lost++)
    await onHouse(async (store, scripted) => {
      for (const epoch of [1, 2]) await closeWorkedEpoch(store.ledger, epoch);
      const first = await settled(store.ledger, scripted);
      await first.settler.stop();
      assert.equal(scripted.blocks, 5);
      scripted.loseLastBlocks(lost);
      const ledger = await store.reopen();
      const again = runSettler(ledger, scripted);
      await until(
        () => scripted.blocks === 5,
        () => `${scripted.blocks} blocks: ${again.faults.at(-1)}`,
      );
      await untilSettled(ledger, again);
      await assertSettledOnce(ledger, scripted);
      assert.deepEqual(again.faults, []);
      await again.settler.stop();
    });
});

test("blocks that are lost while an epoch is half settled are made again before the rest", async () => {
  for (let call = 0; call < 40; call++)
    await onHouse(async (store, scripted) => {
      for (const epoch of [1, 2]) await closeWorkedEpoch(store.ledger, epoch);
      const crashed = runSettler(store.ledger, scripted, { call, when: "after" });
      await Promise.race([crashed.died, untilSettled(store.ledger, crashed)]);
      scripted.loseLastBlocks(2);
      const ledger = await store.reopen();
      const { settler } = await settledAgain(ledger, scripted);
      await assertSettledOnce(ledger, scripted);
      await settler.stop();
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
      await onHouse(async (store, scripted) => {
        let { ledger } = store;
        let epoch = 1;
        await closeWorkedEpoch(ledger, epoch);
        for (const { crash, troubles, lost, closes } of life) {
          if (closes) await closeWorkedEpoch(ledger, (epoch += 1));
          scripted.troubles.push(...troubles);
          const running = runSettler(ledger, scripted, crash);
          await Promise.race([running.died, untilSettled(ledger, running)]);
          scripted.loseLastBlocks(lost);
          ledger = await store.reopen();
        }
        scripted.troubles.length = 0;
        const { settler } = await settledAgain(ledger, scripted);
        await assertSettledOnce(ledger, scripted);
        await settler.stop();
      });
    }),
    { numRuns: 25 },
  );
});

async function onHouse(body: (store: TemporaryLedger, scripted: ScriptedChain) => Promise<void>): Promise<void> {
  const store = await openTemporaryLedger();
  try {
    await body(store, createScriptedChain());
  } finally {
    await store.remove();
  }
}

async function settled(ledger: Ledger, scripted: ScriptedChain): Promise<RunningSettler> {
  const running = runSettler(ledger, scripted);
  await untilSettled(ledger, running);
  return running;
}

/** Settled as the chain shows it, too: a run compares with the chain once, at its start. */
async function settledAgain(ledger: Ledger, scripted: ScriptedChain): Promise<RunningSettler> {
  const running = runSettler(ledger, scripted);
  await until(
    async () => (await ledger.unsettled()).length === 0 && (await isWhole(ledger, scripted)),
    () => `settlement does not end: ${running.faults.at(-1)}`,
  );
  return running;
}

async function isWhole(ledger: Ledger, scripted: ScriptedChain): Promise<boolean> {
  const earned = (await ledger.epochs(100)).reduce((sum, { outcome }) => sum + outcome.total, 0n);
  const paid = [...scripted.books.paid.values()].reduce((sum, amount) => sum + amount, 0n);
  return paid >= earned;
}

/** Trouble for the transaction that follows so many healthy ones. */
function troubleAfter(scripted: ScriptedChain, healthy: number, trouble: SendTrouble): void {
  const { send } = scripted.chain;
  let sent = 0;
  Object.assign(scripted.chain, {
    send(raw: Parameters<typeof send>[0]) {
      if (sent === healthy) scripted.troubles.push(trouble);
      sent += 1;
      return send(raw);
    },
  });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof CoordinatorFault ? error.code : undefined;
}
