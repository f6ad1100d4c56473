/** Behaviour of every ledger: where replicas share a node's batches, one that overtook what it follows is taken ahead of the watermark. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { BootId, NodeId, SignedBatch } from "@cairn/protocol";
import { sharedOrderRules } from "../../src/decide/order.ts";
import type { Input, Ledger } from "../../src/model.ts";
import { bootId } from "../devices.ts";
import { batchInput, column, evidenceInput, slotRow } from "../inputs.ts";
import { enrolled, send } from "./admission.ts";
import { type OpenStore, onStore } from "./opened-store.ts";

const share = (ledger: Ledger, inputs: readonly Input[]) => send(ledger, inputs, sharedOrderRules);

export function aheadBehaviour(open: OpenStore): void {
  test(
    "a batch that comes before what it follows is stored at once, and the watermark passes it when the gap is filled",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const boot = bootId();
      const batch = (seq: number) => valued(nodeId, boot, seq);
      assert.deepEqual(await share(ledger, [batch(2), batch(4)]), ["stored 0", "stored 0"]);
      assert.deepEqual(await valuesOf(ledger, nodeId), [2, 4]);
      assert.deepEqual(await share(ledger, [batch(1)]), ["stored 2"]);
      assert.deepEqual(await share(ledger, [batch(3)]), ["stored 4"]);
      assert.deepEqual(await valuesOf(ledger, nodeId), [1, 2, 3, 4]);
      assert.deepEqual(await ledger.counts(), { readings: 4, batches: 4 });
      assert.deepEqual(await ledger.rejectionCounts(), new Map());
    }),
  );

  test(
    "what is stored ahead is a duplicate, through any instance, after a restart and under the strict rules",
    onStore(open, async (store) => {
      const [here, there] = [store.ledger, await store.beside()];
      const { nodeId } = await enrolled(here);
      const boot = bootId();
      const batch = (seq: number) => valued(nodeId, boot, seq);
      assert.deepEqual(await share(here, [batch(3), batch(3)]), ["stored 0", "sequence-duplicate 0"]);
      assert.deepEqual(await share(there, [batch(3), batch(1)]), ["sequence-duplicate 0", "stored 1"]);
      const again = await store.reopen();
      assert.deepEqual(await send(again, [batch(3), batch(5)]), ["sequence-duplicate 1", "sequence-gap 1"]);
      assert.deepEqual(await send(again, [batch(2)]), ["stored 3"]);
      assert.deepEqual(await valuesOf(again, nodeId), [1, 2, 3]);
    }),
  );

  test(
    "two instances that take turns with a boot's batches store each once",
    onStore(open, async (store) => {
      const [here, there] = [store.ledger, await store.beside()];
      const { nodeId } = await enrolled(here);
      const boot = bootId();
      const numbers = Array.from({ length: 40 }, (_, index) => index + 1);
      const part = (odd: number) => numbers.filter((seq) => seq % 2 === odd).map((seq) => valued(nodeId, boot, seq));
      await Promise.all([share(here, part(1)), share(there, part(0))]);
      assert.deepEqual(await valuesOf(here, nodeId), numbers);
      assert.deepEqual(await share(there, [valued(nodeId, boot, 41)]), ["stored 41"]);
    }),
  );

  test(
    "a batch that is stored ahead and comes again with what was dropped before it closes the gap, and is not stored again",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const boot = bootId();
      const dropped = [{ first: 2, last: 3, readings: 20, reason: "refused" as const }];
      const stated = valued(nodeId, boot, 4);
      assert.deepEqual(
        await share(ledger, [
          valued(nodeId, boot, 1),
          valued(nodeId, boot, 4),
          valued(nodeId, boot, 5),
          { ...stated, payload: { ...stated.payload, dropped } },
          valued(nodeId, boot, 3),
        ]),
        ["stored 1", "stored 1", "stored 1", "sequence-duplicate 5", "sequence-duplicate 5"],
      );
      assert.deepEqual(await valuesOf(ledger, nodeId), [1, 4, 5]);
    }),
  );

  test(
    "a boot is known by a batch ahead, and its evidence leaves what is ahead in place",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const [boot, other] = [bootId(), bootId()];
      await ledger.openSlot(slotRow(0));
      assert.deepEqual(
        await share(ledger, [
          valued(nodeId, boot, 2, { n: 7 }),
          evidenceInput(nodeId, boot, { bootCount: 7 }),
          valued(nodeId, other, 1, { n: 7 }),
          valued(nodeId, boot, 1, { n: 8 }),
        ]),
        ["stored 0", "accepted", "boot-regressed 0", "boot-mismatch 0"],
      );
      assert.deepEqual(await share(ledger, [valued(nodeId, boot, 1, { n: 7 })]), ["stored 2"]);
    }),
  );

  test(
    "a node that leaves too many holes is refused for the gap, and what fills one is taken",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const boot = bootId();
      const holes = Array.from({ length: 65 }, (_, index) => valued(nodeId, boot, 2 * index + 2));
      const words = await share(ledger, holes);
      assert.deepEqual([words[63], words[64]], ["stored 0", "sequence-gap 0"]);
      assert.deepEqual(await share(ledger, [valued(nodeId, boot, 3), valued(nodeId, boot, 130)]), [
        "stored 0",
        "stored 0",
      ]);
      assert.deepEqual(await share(ledger, [valued(nodeId, boot, 1)]), ["stored 4"]);
    }),
  );
}

/** One reading, whose value and time are the sequence. */
function valued(nodeId: NodeId, boot: BootId, seq: number, fields: Partial<SignedBatch> = {}) {
  return batchInput(nodeId, boot, { seq, series: [column("sky.light", [seq], [seq])], ...fields }) as Input & {
    kind: "batch";
  };
}

async function valuesOf(ledger: Ledger, nodeId: NodeId): Promise<readonly (number | null)[]> {
  return (await ledger.readings(nodeId, "sky.light", 0, 1_000, 1_000))?.values ?? [];
}
