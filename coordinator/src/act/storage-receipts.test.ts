import assert from "node:assert/strict";
import { test } from "node:test";
import { parseReceipt, type RejectionCode, type StorageReceipt } from "@cairn/protocol";
import { bootId, makeDevice } from "../../testing/devices.ts";
import { domain } from "../../testing/founding.ts";
import { batchInput, birthInput, evidenceInput, refusedInput } from "../../testing/inputs.ts";
import { until } from "../../testing/until.ts";
import type { Input, Verdict } from "../model.ts";
import { createReceiptSender, storageReceipts } from "./storage-receipts.ts";

const { nodeId } = makeDevice();
const boot = bootId();

type Judged = readonly [Input, Verdict];

const stored = (seq: number, of = boot): Judged => [batchInput(nodeId, of, { seq }), verdict(null, seq)];
const outOfOrder = (seq: number, code: RejectionCode, upTo: number): Judged => [
  batchInput(nodeId, boot, { seq }),
  verdict(code, upTo),
];
const unreadable = (sequence: number, code: RejectionCode, upTo: number): Judged => [
  refusedInput(nodeId, code, { batch: { boot, sequence } }),
  verdict(code, upTo),
];

test("the batches of a boot that were committed together get one receipt, up to the last", () => {
  const other = bootId();
  assert.deepEqual(receipts(stored(1), stored(7, other), stored(2)), [
    { nodeId, boot, upTo: 2 },
    { nodeId, boot: other, upTo: 7 },
  ]);
});

test("a signed batch that cannot be read is answered with its sequence and the code", () => {
  for (const code of ["payload-malformed", "payload-too-large", "schema-mismatch"] as const)
    assert.deepEqual(receipts(unreadable(3, code, 2)), [{ nodeId, boot, upTo: 2, refused: { sequence: 3, code } }]);
});

test("the gaps behind a refused batch do not hide why it was refused", () => {
  const gaps = [4, 5, 6].map((seq) => outOfOrder(seq, "sequence-gap", 2));
  const told = [{ nodeId, boot, upTo: 2, refused: { sequence: 3, code: "schema-mismatch" } }];
  assert.deepEqual(receipts(stored(2), unreadable(3, "schema-mismatch", 2), ...gaps), told);
  assert.deepEqual(receipts(...gaps, unreadable(3, "schema-mismatch", 2), ...gaps), told);
});

test("a refusal is not told any more when the batch was stored after all", () => {
  assert.deepEqual(receipts(outOfOrder(3, "sequence-gap", 1), stored(2), stored(3)), [{ nodeId, boot, upTo: 3 }]);
});

test("a duplicate is answered with the watermark and is no refusal", () => {
  assert.deepEqual(receipts(outOfOrder(1, "sequence-duplicate", 4)), [{ nodeId, boot, upTo: 4 }]);
});

test("what is no batch, or no batch that a signature names, gets no receipt", () => {
  const others = [refusedInput(nodeId), refusedInput(null), evidenceInput(nodeId, boot), birthInput(nodeId, boot)];
  assert.deepEqual(receipts(...others.map((input): Judged => [input, { rejection: null }])), []);
});

test("receipts go out to the nodes that they are for, signed by the coordinator", () => {
  const coordinator = makeDevice();
  const told: StorageReceipt[] = [
    { nodeId, boot, upTo: 7 },
    { nodeId: coordinator.nodeId, boot, upTo: 2, refused: { sequence: 3, code: "sequence-gap" } },
  ];
  const { sent, sender } = onCoordinator(coordinator, 0);
  sender.send(told);
  assert.deepEqual(sent, told);
});

test("receipts of a boot that come shortly after one another become the newest, but a refusal is told at once", async () => {
  const coordinator = makeDevice();
  const { sent, sender } = onCoordinator(coordinator, 20);
  const receipt = (upTo: number, of = boot) => ({ nodeId: coordinator.nodeId, boot: of, upTo });
  const other = bootId();
  for (const upTo of [1, 2, 3]) sender.send([receipt(upTo), receipt(upTo, other)]);
  assert.deepEqual(sent, []);
  const refusal = { ...receipt(3), refused: { sequence: 5, code: "sequence-gap" as const } };
  sender.send([refusal]);
  assert.deepEqual(sent, [refusal]);
  await until(() => sent.length === 2);
  assert.deepEqual(sent[1], receipt(3, other));
  sender.send([receipt(4)]);
  sender.stop();
  assert.deepEqual(sent.slice(2), [receipt(4)]);
});

/** A sender whose receipts are kept as nodes read them. */
function onCoordinator(coordinator: ReturnType<typeof makeDevice>, gatherMs: number) {
  const sent: StorageReceipt[] = [];
  const sender = createReceiptSender({
    signer: coordinator.signer,
    gatherMs,
    publish(to, payload) {
      const trust = { nodeId: to, coordinatorKey: coordinator.enrolment.publicKey, domain, verifiers: [] };
      const receipt = parseReceipt(payload, trust);
      assert.ok(receipt.ok && receipt.value.kind === "stored");
      sent.push(receipt.value.receipt);
    },
  });
  return { sent, sender };
}

function verdict(code: RejectionCode | null, storedUpTo: number): Verdict {
  return { rejection: code && { code, detail: "" }, storedUpTo };
}

function receipts(...judged: readonly Judged[]): StorageReceipt[] {
  return storageReceipts(
    judged.map(([input]) => input),
    judged.map(([, each]) => each),
  );
}
