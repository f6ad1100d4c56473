/** Behaviour of every ledger: it belongs to one network, survives restarts, and two instances on one store do nothing twice. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CoordinatorFault } from "../../src/fault.ts";
import type { Founding, Ledger } from "../../src/model.ts";
import { bootId } from "../devices.ts";
import { founding, operatorAddress, slotTime } from "../founding.ts";
import { batchInput, birthInput, column, deathInput, evidenceInput, refusedInput, slotRow } from "../inputs.ts";
import { enrolled, send } from "./admission.ts";
import { twoOperators } from "./epochs.ts";
import { type OpenStore, onStore } from "./opened-store.ts";
import { intent } from "./settlement.ts";

export function lifeBehaviour(open: OpenStore): void {
  test(
    "an empty ledger answers every question with nothing",
    onStore(open, async ({ ledger }) => {
      assert.deepEqual(await report(ledger), {
        nodes: [],
        counts: { readings: 0, batches: 0 },
        slots: [],
        answers: [],
        unfinished: [],
        epochs: [],
        unsettled: [],
        rejections: [],
        rejectionCounts: new Map(),
        series: [],
        readings: [],
        rewards: [],
      });
      assert.equal(await ledger.prune({ readingsMs: 1, evidenceMs: 1, rejections: 1 }, slotTime(0)), 0);
    }),
  );

  test(
    "everything is the same after a restart",
    onStore(open, async (store) => {
      await fill(store.ledger);
      const before = await report(store.ledger);
      assert.ok(before.nodes.length === 2 && before.readings.length === 2 && before.rejections.length > 0);
      const after = await report(await store.reopen());
      assert.deepEqual(after, before);
    }),
  );

  test(
    "watermarks, boots and answered slots hold after a restart",
    onStore(open, async (store) => {
      const { nodeId } = await enrolled(store.ledger);
      const boot = bootId();
      await store.ledger.openSlot(slotRow(0));
      await send(store.ledger, [batchInput(nodeId, boot), evidenceInput(nodeId, boot)]);
      const ledger = await store.reopen();
      assert.deepEqual(
        await send(ledger, [
          batchInput(nodeId, boot),
          batchInput(nodeId, boot, { n: 2, seq: 2 }),
          evidenceInput(nodeId, boot),
          batchInput(nodeId, boot, { seq: 2 }),
        ]),
        ["sequence-duplicate 1", "boot-mismatch 1", "evidence-duplicate", "stored 2"],
      );
    }),
  );

  const foreign: Readonly<Record<string, Founding>> = {
    "another network": { ...founding, network: "other" },
    "another chain": { ...founding, chainId: 1 },
    "another contract": { ...founding, rewards: operatorAddress(9) },
    "other verifiers": { ...founding, verifiers: [operatorAddress(9)] },
    "another clock": { ...founding, time: { ...founding.time, genesisAt: 1 } },
    "another budget": { ...founding, parameters: { ...founding.parameters, epochBudget: 1n } },
    "another floor": { ...founding, parameters: { ...founding.parameters, uptimeFloorBps: 1 } },
  };
  for (const [difference, terms] of Object.entries(foreign))
    test(
      `a ledger that was founded for ${difference} is refused and left as it was`,
      onStore(open, async (store) => {
        await fill(store.ledger);
        const before = await report(store.ledger);
        await assert.rejects(store.reopen(terms), (error) => {
          assert.ok(error instanceof CoordinatorFault);
          assert.equal(error.code, "ledger-foreign");
          return true;
        });
        assert.deepEqual(await report(await store.reopen()), before);
      }),
    );

  test(
    "the same terms written in another order are the same terms",
    onStore(open, async (store) => {
      const turned = Object.fromEntries(Object.entries(founding).reverse()) as Founding;
      const parameters = Object.fromEntries(Object.entries(founding.parameters).reverse()) as Founding["parameters"];
      await store.reopen({ ...turned, parameters });
    }),
  );

  test(
    "what one instance has admitted is a duplicate for another, and both add to the same readings",
    onStore(open, async (store) => {
      const [here, there] = [store.ledger, await store.beside()];
      const { nodeId } = await enrolled(here);
      const boot = bootId();
      const batch = (seq: number) => batchInput(nodeId, boot, { seq, series: [column("a.b", [seq], [seq])] });
      assert.deepEqual(await send(here, [batch(1)]), ["stored 1"]);
      assert.deepEqual(await send(there, [batch(1), batch(2)]), ["sequence-duplicate 1", "stored 2"]);
      assert.deepEqual(await send(here, [batch(2), batch(3)]), ["sequence-duplicate 2", "stored 3"]);
      for (const ledger of [here, there]) {
        assert.deepEqual((await ledger.readings(nodeId, "a.b", 0, 9, 9))?.values, [1, 2, 3]);
        assert.deepEqual(await ledger.counts(), { readings: 3, batches: 3 });
      }
    }),
  );

  test(
    "two instances credit an answer once, close an epoch once and settle it once",
    onStore(open, async (store) => {
      const [here, there] = [store.ledger, await store.beside()];
      const { nodeId } = await enrolled(there);
      const boot = bootId();
      await here.openSlot(slotRow(0));
      assert.deepEqual(await send(here, [evidenceInput(nodeId, boot)]), ["accepted"]);
      assert.deepEqual(await send(there, [evidenceInput(nodeId, boot)]), ["evidence-duplicate"]);
      assert.equal((await there.answers(0, 0)).length, 1);
      await Promise.all([here.closeEpoch(twoOperators(1), 1), there.closeEpoch(twoOperators(1), 2)]);
      const { earnedBefore } = await there.epochFacts(2, 6, 6);
      assert.equal(earnedBefore.get(operatorAddress(1)), 60n);
      const root = intent("post-root", 1);
      await here.recordIntent(root, 1);
      assert.deepEqual((await there.unsettled())[0]?.intents, [root]);
    }),
  );

  test(
    "groups that two instances admit at the same time are stored whole, each once",
    onStore(open, async (store) => {
      const [here, there] = [store.ledger, await store.beside()];
      const [one, two] = [await enrolled(here), await enrolled(here)];
      const [first, second] = [bootId(), bootId()];
      const series = [column("a.b", [1], [1])];
      const rounds = Array.from({ length: 10 }, (_, index) => index + 1);
      await Promise.all(
        rounds.flatMap((seq) => [
          send(here, [batchInput(one.nodeId, first, { seq, series })]),
          send(there, [batchInput(two.nodeId, second, { seq, series })]),
        ]),
      );
      assert.deepEqual(await here.counts(), { readings: 20, batches: 20 });
    }),
  );
}

/** Something of everything. */
export async function fill(ledger: Ledger): Promise<void> {
  const [one, two] = [await enrolled(ledger, "one"), await enrolled(ledger, "two")];
  const boot = bootId();
  for (const slot of [0, 1]) await ledger.openSlot(slotRow(slot));
  const series = [column("a.b", [5, 4], [1.5, -2], [1, 0])];
  await send(ledger, [
    birthInput(one.nodeId, boot),
    batchInput(one.nodeId, boot, { series }),
    evidenceInput(one.nodeId, boot),
    deathInput(one.nodeId, boot),
    batchInput(two.nodeId, boot, { seq: 4 }),
    refusedInput(null),
  ]);
  await ledger.closeSlot(0, slotTime(1), null);
  await ledger.setStatus([{ nodeId: two.nodeId, status: { state: "offline", since: 3, reason: "silent" } }]);
  await ledger.closeEpoch(twoOperators(1), slotTime(6));
  await ledger.recordIntent(intent("post-root", 1), slotTime(6));
}

/** All that can be asked. */
export async function report(ledger: Ledger) {
  const nodes = await ledger.nodes();
  const ids = nodes.map(({ nodeId }) => nodeId);
  const from = <T>(ask: (nodeId: (typeof ids)[number]) => Promise<T>) => Promise.all(ids.map(ask));
  return {
    nodes: nodes.map(({ publicKey, ...node }) => ({ ...node, key: publicKey.export({ format: "jwk" }) })),
    counts: await ledger.counts(),
    slots: await ledger.slots(0),
    answers: await ledger.answers(0, 100),
    unfinished: await ledger.unfinishedEpochs(),
    epochs: await ledger.epochs(10),
    unsettled: await ledger.unsettled(),
    rejections: await ledger.rejections(10),
    rejectionCounts: await ledger.rejectionCounts(),
    series: await from((nodeId) => ledger.latestReadings(nodeId)),
    readings: await from((nodeId) => ledger.readings(nodeId, "a.b", 0, 10, 10)),
    rewards: await from((nodeId) => ledger.nodeRewards(nodeId, 10)),
  };
}
