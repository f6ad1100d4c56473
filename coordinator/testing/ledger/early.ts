/** Behaviour of every ledger: a batch that overtook what it follows is left for later without a trace, where it may wait. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { BootId, NodeId, SignedBatch } from "@cairn/protocol";
import type { Input } from "../../src/model.ts";
import { bootId } from "../devices.ts";
import { batchInput, column } from "../inputs.ts";
import { enrolled, everything, send } from "./admission.ts";
import { type OpenStore, onStore } from "./opened-store.ts";

export function earlyBehaviour(open: OpenStore): void {
  test(
    "a batch that comes before what it follows is early: nothing is written, and it is stored when it comes again after that",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const boot = bootId();
      const series = [column("sky.light", [1], [0.5])];
      const before = await everything(ledger, nodeId);
      assert.deepEqual(await send(ledger, [waiting(nodeId, boot, { seq: 2, series })]), ["early 0"]);
      assert.deepEqual(await everything(ledger, nodeId), before);
      assert.deepEqual(await send(ledger, [waiting(nodeId, boot, { seq: 1 })]), ["stored 1"]);
      assert.deepEqual(await send(ledger, [waiting(nodeId, boot, { seq: 2, series })]), ["stored 2"]);
      assert.deepEqual((await ledger.readings(nodeId, "sky.light", 0, 9, 9))?.values, [0.5]);
    }),
  );

  test(
    "an early batch is stored once what it follows came through another instance",
    onStore(open, async (store) => {
      const [here, there] = [store.ledger, await store.beside()];
      const { nodeId } = await enrolled(here);
      const boot = bootId();
      for (const seq of [2, 4, 6]) {
        const late = waiting(nodeId, boot, { seq });
        assert.deepEqual(await send(here, [late]), [`early ${seq - 2}`]);
        assert.deepEqual(await send(there, [waiting(nodeId, boot, { seq: seq - 1 })]), [`stored ${seq - 1}`]);
        assert.deepEqual(await send(here, [late]), [`stored ${seq}`]);
      }
      assert.deepEqual(await there.counts(), { readings: 6, batches: 6 });
      assert.deepEqual(await there.rejectionCounts(), new Map());
    }),
  );

  test(
    "what follows an early batch in its group is judged as if it had not come",
    onStore(open, async ({ ledger }) => {
      const [one, two] = [await enrolled(ledger), await enrolled(ledger)];
      const boot = bootId();
      const batch = (seq: number) => waiting(one.nodeId, boot, { seq });
      assert.deepEqual(
        await send(ledger, [batch(1), batch(3), batch(4), waiting(two.nodeId, boot, { seq: 1 }), batch(2), batch(3)]),
        ["stored 1", "early 1", "early 1", "stored 1", "stored 2", "stored 3"],
      );
      assert.deepEqual(await ledger.counts(), { readings: 4, batches: 4 });
    }),
  );

  test(
    "a boot of which only early batches came is not known yet",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const [boot, other] = [bootId(), bootId()];
      assert.deepEqual(await send(ledger, [waiting(nodeId, boot, { n: 7, seq: 2 })]), ["early 0"]);
      assert.deepEqual(
        await send(ledger, [waiting(nodeId, other, { n: 7, seq: 1 }), waiting(nodeId, boot, { n: 8, seq: 1 })]),
        ["stored 1", "stored 1"],
      );
    }),
  );

  test(
    "a batch that may not wait is refused for the gap, and waiting helps against no other refusal",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const boot = bootId();
      await send(ledger, [batchInput(nodeId, boot)]);
      assert.deepEqual(
        await send(ledger, [
          batchInput(nodeId, boot, { seq: 3 }),
          { ...waiting(nodeId, boot, { seq: 3 }), mayWait: false },
          waiting(nodeId, boot, { seq: 1 }),
          waiting(nodeId, boot, { n: 2, seq: 3 }),
          waiting(nodeId, bootId(), { n: 1, seq: 3 }),
        ]),
        ["sequence-gap 1", "sequence-gap 1", "sequence-duplicate 1", "boot-mismatch 1", "boot-regressed 0"],
      );
    }),
  );
}

function waiting(nodeId: NodeId, boot: BootId, fields: Partial<SignedBatch>): Input & { kind: "batch" } {
  return { ...batchInput(nodeId, boot, fields), mayWait: true };
}
