/** Tells nodes how far their batches are durable: one signed receipt per boot and commit, however many batches it covers. */
import { type BootId, encodeStorageReceipt, type NodeId, type Signer, type StorageReceipt } from "@cairn/protocol";
import type { Input, Verdict } from "../model.ts";

type Refused = StorageReceipt["refused"];

export function storageReceipts(inputs: readonly Input[], verdicts: readonly Verdict[]): StorageReceipt[] {
  const byBoot = new Map<string, StorageReceipt>();
  for (const [index, input] of inputs.entries()) {
    const batch = batchOf(input);
    const { rejection = null, storedUpTo } = verdicts[index] ?? {};
    if (!batch || storedUpTo === undefined) continue;
    const { nodeId, boot, sequence } = batch;
    const key = `${nodeId}${boot}`;
    // What was taken ahead of the watermark is covered when that passes it: whoever fills the gap says so.
    if (!rejection && sequence > storedUpTo) continue;
    // Of a duplicate that is ahead its sender is told, so that it can see what is missing.
    const latest = rejection && sequence > storedUpTo ? { sequence, code: rejection.code } : undefined;
    const refused = firstOf(byBoot.get(key)?.refused, latest, storedUpTo);
    byBoot.set(key, { nodeId, boot, upTo: storedUpTo, ...(refused ? { refused } : {}) });
  }
  return [...byBoot.values()];
}

/** The batch that an input was, as far as a signature vouches for it. */
function batchOf(input: Input): { nodeId: NodeId; boot: BootId; sequence: number } | undefined {
  if (input.kind === "batch") return { nodeId: input.nodeId, boot: input.payload.boot, sequence: input.payload.seq };
  if (input.kind !== "refused" || !input.nodeId || !input.batch) return undefined;
  return { nodeId: input.nodeId, ...input.batch };
}

/** Nodes send a window of batches at once: those behind a refused one come out as gaps, and would hide why it was refused. */
function firstOf(earlier: Refused, latest: Refused, storedUpTo: number): Refused {
  const open = earlier && earlier.sequence > storedUpTo ? earlier : undefined;
  return open && (!latest || open.sequence < latest.sequence) ? open : latest;
}

export function sendStorageReceipts(
  receipts: readonly StorageReceipt[],
  signer: Signer,
  publish: (nodeId: NodeId, payload: Buffer) => void,
): void {
  for (const receipt of receipts) publish(receipt.nodeId, encodeStorageReceipt(receipt, signer));
}
