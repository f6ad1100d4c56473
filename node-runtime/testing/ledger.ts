/** The coordinator's admission rule as a model: what the node must satisfy. Per node and boot, numbers without an unstated gap. */
import type { BootId, Dropped, Reading, RejectionCode } from "@cairn/protocol";
import type { Stored } from "../src/model.ts";

export type IncomingBatch = {
  readonly boot: BootId;
  readonly sequence: number;
  readonly dropped: readonly Dropped[];
  readonly readings: readonly Reading[];
};

export function createLedger(refuse: (batch: IncomingBatch) => RejectionCode | undefined = () => undefined) {
  const watermarks = new Map<BootId, number>();
  const readings: Reading[] = [];
  const dropped: Dropped[] = [];
  const sequences: string[] = [];

  return {
    readings,
    /** Gaps as they were taken, cut to the numbers that were really missing. */
    dropped,
    /** "boot sequence" in the order of admission. */
    sequences,
    watermark: (boot: BootId) => watermarks.get(boot) ?? 0,
    /** A ledger restored from an old backup. */
    forget(boot: BootId, to: number): void {
      watermarks.set(boot, to);
    },

    /** Admits or refuses, and answers with the receipt. */
    admit(batch: IncomingBatch): Stored {
      const upTo = watermarks.get(batch.boot) ?? 0;
      const answer = (code: RejectionCode): Stored => ({
        boot: batch.boot,
        upTo,
        refused: { sequence: batch.sequence, code },
      });
      const fault = refuse(batch);
      if (fault) return answer(fault);
      if (batch.sequence <= upTo) return { boot: batch.boot, upTo };
      const missing = new Set<number>();
      for (let sequence = upTo + 1; sequence < batch.sequence; sequence++) missing.add(sequence);
      for (const { first, last } of batch.dropped)
        for (let sequence = first; sequence <= last; sequence++) missing.delete(sequence);
      if (missing.size > 0) return answer("sequence-gap");
      for (const gap of batch.dropped)
        if (gap.last > upTo) dropped.push({ ...gap, first: Math.max(gap.first, upTo + 1) });
      readings.push(...batch.readings);
      sequences.push(`${batch.boot} ${batch.sequence}`);
      watermarks.set(batch.boot, batch.sequence);
      return { boot: batch.boot, upTo: batch.sequence };
    },
  };
}

export type Ledger = ReturnType<typeof createLedger>;
