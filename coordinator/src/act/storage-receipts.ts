/** Tells nodes how far their batches are durable: one signed receipt per boot, however many batches it covers. */
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
    const latest =
      rejection && rejection.code !== "sequence-duplicate" ? { sequence, code: rejection.code } : undefined;
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

export type ReceiptSender = {
  send(receipts: readonly StorageReceipt[]): void;
  /** Sends what was gathered. */
  stop(): void;
};

/**
 * Signs and publishes receipts. With `gatherMs`, those of a boot that come within that time become one, the newest: where replicas share
 * the work, each commits a few of a node's batches at a time. A refusal is told at once.
 */
export function createReceiptSender(options: {
  readonly signer: Signer;
  readonly gatherMs: number;
  publish(nodeId: NodeId, payload: Buffer): void;
}): ReceiptSender {
  const { signer, gatherMs, publish } = options;
  const gathered = new Map<string, StorageReceipt>();
  let timer: NodeJS.Timeout | undefined;

  const sign = (receipt: StorageReceipt) => publish(receipt.nodeId, encodeStorageReceipt(receipt, signer));

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    for (const receipt of gathered.values()) sign(receipt);
    gathered.clear();
  }

  return {
    send(receipts) {
      for (const receipt of receipts) {
        const boot = `${receipt.nodeId}${receipt.boot}`;
        if (gatherMs > 0 && !receipt.refused) gathered.set(boot, receipt);
        else {
          gathered.delete(boot);
          sign(receipt);
        }
      }
      if (gathered.size > 0) timer ??= setTimeout(flush, gatherMs);
    },
    stop: flush,
  };
}
