/** Behaviour of every ledger: an epoch's way to the chain, its intents, and the way back when the chain has lost something. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Address } from "@cairn/protocol";
import type { Intent, Ledger } from "../../src/model.ts";
import { operatorAddress, slotTime } from "../founding.ts";
import { bytes32, outcomeOf, twoOperators } from "./epochs.ts";
import { type OpenStore, onStore } from "./opened-store.ts";

const [one, two, three] = [operatorAddress(1), operatorAddress(2), operatorAddress(3)];
const at = slotTime(10);

export function settlementBehaviour(open: OpenStore): void {
  test(
    "epochs with a root are unsettled, ascending, until root and claims are confirmed",
    onStore(open, async ({ ledger }) => {
      for (const epoch of [1, 3, 4]) await ledger.closeEpoch(twoOperators(epoch), at);
      await ledger.closeEpoch(outcomeOf({ epoch: 5, operators: [] }), at);
      assert.deepEqual(await epochsOnTheirWay(ledger), [1, 3, 4]);
      await settle(ledger, 3);
      assert.deepEqual(await epochsOnTheirWay(ledger), [1, 4]);
      const [first] = await ledger.unsettled();
      const stored = await ledger.epoch(1);
      assert.deepEqual(first, { outcome: stored?.outcome, posted: false, paid: [], intents: [] });
    }),
  );

  test(
    "an intent is open from when it is recorded until it is resolved",
    onStore(open, async ({ ledger }) => {
      await ledger.closeEpoch(twoOperators(1), at);
      await ledger.closeEpoch(twoOperators(2), at);
      const [root, claim] = [intent("post-root", 1), intent("claim", 2, one)];
      await ledger.recordIntent(root, at);
      await ledger.recordIntent(claim, at);
      assert.deepEqual(await intents(ledger, 1), [root]);
      assert.deepEqual(await intents(ledger, 2), [claim]);
      await ledger.resolveIntent(root, "failed", null, at);
      assert.deepEqual(await intents(ledger, 1), []);
      assert.deepEqual(await intents(ledger, 2), [claim]);
    }),
  );

  test(
    "a failed intent has no effect",
    onStore(open, async ({ ledger }) => {
      await ledger.closeEpoch(twoOperators(1), at);
      const before = await ledger.epoch(1);
      for (const failed of [intent("post-root", 1), intent("claim", 1, one)]) {
        await ledger.recordIntent(failed, at);
        await ledger.resolveIntent(failed, "failed", null, at);
      }
      assert.deepEqual(await ledger.epoch(1), before);
      assert.partialDeepStrictEqual(await ledger.unsettled(), [{ posted: false, paid: [], intents: [] }]);
    }),
  );

  test(
    "a confirmed root is posted with its transaction, confirmed claims are paid, and the last one settles the epoch",
    onStore(open, async ({ ledger }) => {
      await ledger.closeEpoch(twoOperators(1), at);
      const root = intent("post-root", 1);
      await confirm(ledger, root);
      assert.partialDeepStrictEqual(await ledger.epoch(1), { state: "posted", transaction: root.transaction });
      const first = intent("claim", 1, two);
      await confirm(ledger, first);
      assert.partialDeepStrictEqual(await ledger.unsettled(), [{ posted: true, paid: [two], intents: [] }]);
      const last = intent("claim", 1, one);
      await confirm(ledger, last);
      assert.deepEqual(await ledger.unsettled(), []);
      assert.partialDeepStrictEqual(await ledger.epoch(1), {
        state: "settled",
        transaction: root.transaction,
        claims: [
          { operator: one, amount: 60n, transaction: last.transaction },
          { operator: two, amount: 40n, transaction: first.transaction },
        ],
      });
    }),
  );

  test(
    "an intent that is resolved twice has its effect once",
    onStore(open, async ({ ledger }) => {
      await ledger.closeEpoch(twoOperators(1), at);
      const root = intent("post-root", 1);
      await confirm(ledger, root);
      await ledger.resolveIntent(root, "confirmed", root.transaction, at);
      assert.partialDeepStrictEqual(await ledger.epoch(1), { state: "posted", transaction: root.transaction });
    }),
  );

  test(
    "an effect by another's hand is stored without a transaction, whether an intent was recorded or not",
    onStore(open, async ({ ledger }) => {
      await ledger.closeEpoch(twoOperators(1), at);
      const root = intent("post-root", 1);
      await ledger.recordIntent(root, at);
      await ledger.resolveIntent(root, "confirmed", null, at);
      await ledger.resolveIntent(intent("claim", 1, one), "confirmed", null, at);
      assert.partialDeepStrictEqual(await ledger.unsettled(), [{ posted: true, paid: [one], intents: [] }]);
      await confirm(ledger, intent("claim", 1, two));
      assert.partialDeepStrictEqual(await ledger.epoch(1), {
        state: "settled",
        transaction: null,
        claims: [{ transaction: null }, { transaction: intent("claim", 1, two).transaction }],
      });
    }),
  );

  test(
    "an epoch whose root and claims are lost is on its way again, after earlier ones and before later ones",
    onStore(open, async ({ ledger }) => {
      for (const epoch of [1, 2, 3]) await ledger.closeEpoch(twoOperators(epoch), at);
      for (const epoch of [1, 2]) await settle(ledger, epoch);
      await ledger.reopen(2, { posted: false, unpaid: [one, two] });
      assert.deepEqual(await epochsOnTheirWay(ledger), [2, 3]);
      assert.partialDeepStrictEqual((await ledger.unsettled())[0], { posted: false, paid: [] });
      assert.partialDeepStrictEqual(await ledger.epoch(2), {
        state: "closed",
        transaction: null,
        claims: [{ transaction: null }, { transaction: null }],
      });
      await settle(ledger, 2, "second");
      assert.deepEqual(await epochsOnTheirWay(ledger), [3]);
    }),
  );

  test(
    "an epoch that lost one claim keeps its root and the other claim",
    onStore(open, async ({ ledger }) => {
      await ledger.closeEpoch(twoOperators(1), at);
      await settle(ledger, 1);
      await ledger.reopen(1, { posted: true, unpaid: [two] });
      assert.partialDeepStrictEqual(await ledger.unsettled(), [{ posted: true, paid: [one], intents: [] }]);
      assert.equal((await ledger.epoch(1))?.transaction, intent("post-root", 1).transaction);
      await confirm(ledger, intent("claim", 1, two, "again"));
      assert.equal((await ledger.epoch(1))?.state, "settled");
    }),
  );

  test(
    "a transaction that was resolved once can be an intent again: signing the same thing anew gives the same bytes",
    onStore(open, async ({ ledger }) => {
      await ledger.closeEpoch(twoOperators(1), at);
      const root = intent("post-root", 1);
      await confirm(ledger, root);
      await ledger.reopen(1, { posted: false, unpaid: [] });
      await ledger.recordIntent(root, at + 1);
      assert.deepEqual(await intents(ledger, 1), [root]);
      await ledger.resolveIntent(root, "confirmed", root.transaction, at + 2);
      assert.partialDeepStrictEqual(await ledger.unsettled(), [{ posted: true, intents: [] }]);
    }),
  );

  test(
    "an operator without a reward in the epoch is not waited for",
    onStore(open, async ({ ledger }) => {
      const outcome = outcomeOf({
        epoch: 1,
        operators: [
          { operator: one, amount: 5n, nodes: ["a"] },
          { operator: three, amount: 0n, cumulativeAmount: 8n },
        ],
      });
      await ledger.closeEpoch(outcome, at);
      await confirm(ledger, intent("post-root", 1));
      await confirm(ledger, intent("claim", 1, one));
      assert.equal((await ledger.epoch(1))?.state, "settled");
    }),
  );

  test(
    "settlement survives a restart at every step",
    onStore(open, async (store) => {
      await store.ledger.closeEpoch(twoOperators(1), at);
      const steps: ((ledger: Ledger) => Promise<void>)[] = [
        (ledger) => ledger.recordIntent(intent("post-root", 1), at),
        (ledger) => ledger.resolveIntent(intent("post-root", 1), "confirmed", intent("post-root", 1).transaction, at),
        (ledger) => ledger.recordIntent(intent("claim", 1, one), at),
        (ledger) => ledger.resolveIntent(intent("claim", 1, one), "failed", null, at),
        (ledger) => ledger.resolveIntent(intent("claim", 1, one, "another"), "confirmed", null, at),
        (ledger) => ledger.reopen(1, { posted: false, unpaid: [one] }),
      ];
      let { ledger } = store;
      for (const step of steps) {
        await step(ledger);
        const before = [await ledger.unsettled(), await ledger.epoch(1)];
        ledger = await store.reopen();
        assert.deepEqual([await ledger.unsettled(), await ledger.epoch(1)], before);
      }
    }),
  );
}

/** `attempt` tells apart two transactions for the same thing. */
export function intent(kind: Intent["kind"], epoch: number, operator: Address | "" = "", attempt = "first"): Intent {
  const transaction = bytes32(`${kind} ${epoch} ${operator} ${attempt}`);
  return { kind, epoch, operator, transaction, raw: `0x02${transaction.slice(2)}` };
}

async function confirm(ledger: Ledger, confirmed: Intent): Promise<void> {
  await ledger.recordIntent(confirmed, at);
  await ledger.resolveIntent(confirmed, "confirmed", confirmed.transaction, at);
}

async function settle(ledger: Ledger, epoch: number, attempt = "first"): Promise<void> {
  await confirm(ledger, intent("post-root", epoch, "", attempt));
  for (const operator of [one, two]) await confirm(ledger, intent("claim", epoch, operator, attempt));
}

async function epochsOnTheirWay(ledger: Ledger): Promise<number[]> {
  return (await ledger.unsettled()).map(({ outcome }) => outcome.epoch);
}

async function intents(ledger: Ledger, epoch: number) {
  return (await ledger.unsettled()).find(({ outcome }) => outcome.epoch === epoch)?.intents;
}
