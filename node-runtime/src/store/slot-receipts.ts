/** Slot receipts: the newest per epoch and verifier, of the last 1,000 epochs. */
import type { KeptSlotReceipt } from "../model.ts";
import type { Database } from "./sqlite.ts";

const epochsKept = 1_000;

export function createSlotReceipts(db: Database) {
  const put = db.prepare(
    `INSERT INTO slot_receipt (epoch, verifier, credited, message) VALUES (?, ?, ?, ?)
     ON CONFLICT (epoch, verifier) DO UPDATE SET credited = excluded.credited, message = excluded.message
     WHERE excluded.credited >= slot_receipt.credited`,
  );
  const prune = db.prepare("DELETE FROM slot_receipt WHERE epoch <= (SELECT max(epoch) FROM slot_receipt) - ?");

  return {
    /**
     * Keeps a receipt. Within an epoch credit only grows, so one that credits fewer slots than the kept one is an older one come late:
     * it is not taken, and the answer is false.
     */
    keep({ epoch, verifier, credited, message }: KeptSlotReceipt): boolean {
      const { changes } = put.run(epoch, verifier, credited, message);
      prune.run(epochsKept);
      return changes > 0;
    },
  };
}
