import assert from "node:assert/strict";
import { test } from "node:test";
import { parseReceipt, type RejectionCode, type StorageReceipt } from "@cairn/protocol";
import { bootId, makeDevice } from "../../testing/devices.ts";
import { domain } from "../../testing/founding.ts";
import { batchInput, birthInput, evidenceInput, refusedInput } from "../../testing/inputs.ts";
import type { Input, Verdict } from "../model.ts";
import { sendStorageReceipts, storageReceipts } from "./storage-receipts.ts";

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

test("a batch ahead of the watermark gets no receipt; when it comes again, its sender learns that something before it is missing", () => {
  const ahead = (sequence: number, upTo: number): Judged => [
    batchInput(nodeId, boot, { seq: sequence }),
    verdict(null, upTo),
  ];
  assert.deepEqual(receipts(ahead(4, 2), ahead(5, 2)), []);
  assert.deepEqual(receipts(ahead(4, 2), stored(3), ahead(6, 3)), [{ nodeId, boot, upTo: 3 }]);
  assert.deepEqual(receipts(outOfOrder(4, "sequence-duplicate", 2)), [
    { nodeId, boot, upTo: 2, refused: { sequence: 4, code: "sequence-duplicate" } },
  ]);
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
  const sent: StorageReceipt[] = [];
  sendStorageReceipts(told, coordinator.signer, (to, payload) => {
    const trust = { nodeId: to, coordinatorKey: coordinator.enrolment.publicKey, domain, verifiers: [] };
    const receipt = parseReceipt(payload, trust);
    assert.ok(receipt.ok && receipt.value.kind === "stored");
    sent.push(receipt.value.receipt);
  });
  assert.deepEqual(sent, told);
});

function verdict(code: RejectionCode | null, storedUpTo: number): Verdict {
  return { rejection: code && { code, detail: "" }, storedUpTo };
}

function receipts(...judged: readonly Judged[]): StorageReceipt[] {
  return storageReceipts(
    judged.map(([input]) => input),
    judged.map(([, each]) => each),
  );
}
