/** Tells nodes how far their batches are durable: one signed receipt per boot and commit, however many batches it covers. */
import { type BootId, encodeStorageReceipt, type NodeId, type Signer, type StorageReceipt } from "@cairn/protocol";
import type { Input, Verdict } from "../model.ts";

export function storageReceipts(inputs: readonly Input[], verdicts: readonly Verdict[]): StorageReceipt[] {
  const byBoot = new Map<string, StorageReceipt>();
  for (const [index, input] of inputs.entries()) {
    const verdict = verdicts[index];
    if (input.kind !== "batch" || verdict?.storedUpTo === undefined) continue;
    const { boot, seq } = input.payload;
    const { rejection, storedUpTo } = verdict;
    const refused =
      rejection && rejection.code !== "sequence-duplicate" ? { refused: { sequence: seq, code: rejection.code } } : {};
    const receipt = { nodeId: input.nodeId, boot: boot as BootId, upTo: storedUpTo, ...refused };
    byBoot.set(`${input.nodeId}${boot}`, receipt);
  }
  return [...byBoot.values()];
}

export function sendStorageReceipts(
  receipts: readonly StorageReceipt[],
  signer: Signer,
  publish: (nodeId: NodeId, payload: Buffer) => void,
): void {
  for (const receipt of receipts) publish(receipt.nodeId, encodeStorageReceipt(receipt, signer));
}
