/** The coordinator's admission rule as a model: what the node must satisfy. Per node and boot, each number once. */
import type { BootId, Dropped, Reading, RejectionCode } from "@cairn/protocol";
import type { Stored } from "../src/model.ts";

export type IncomingBatch = {
  readonly boot: BootId;
  readonly sequence: number;
  readonly dropped: readonly Dropped[];
  readonly readings: readonly Reading[];
};

/** `isShared`: coordinators share the node's batches, and store what comes ahead of a gap. */
export function createLedger(
  refuse: (batch: IncomingBatch) => RejectionCode | undefined = () => undefined,
  { isShared = false } = {},
) {
  /** Numbers that are stored or stated as dropped. */
  const accounted = new Map<BootId, Set<number>>();
  const readings: Reading[] = [];
  const dropped: Dropped[] = [];
  const sequences: string[] = [];

  function of(boot: BootId): Set<number> {
    const known = accounted.get(boot) ?? new Set<number>();
    accounted.set(boot, known);
    return known;
  }

  function watermark(boot: BootId): number {
    let upTo = 0;
    while (of(boot).has(upTo + 1)) upTo += 1;
    return upTo;
  }

  return {
    readings,
    /** Gaps that name something new. */
    dropped,
    /** "boot sequence" in the order of admission. */
    sequences,
    watermark,
    /** A ledger restored from an old backup. */
    forget(boot: BootId, to: number): void {
      for (const sequence of of(boot)) if (sequence > to) of(boot).delete(sequence);
    },

    /** Admits or refuses, and answers with the receipt; a batch taken ahead of a gap has none. */
    admit(batch: IncomingBatch): Stored | undefined {
      const { boot, sequence } = batch;
      const known = of(boot);
      const answer = (code: RejectionCode): Stored => ({ boot, upTo: watermark(boot), refused: { sequence, code } });
      const fault = refuse(batch);
      if (fault) return answer(fault);
      if (sequence <= watermark(boot)) return { boot, upTo: watermark(boot) };
      const isRepeated = known.has(sequence);
      const stated = (number: number) => batch.dropped.some(({ first, last }) => first <= number && number <= last);
      const before = Array.from({ length: sequence - 1 }, (_, index) => index + 1);
      if (!isShared && !before.every((number) => known.has(number) || stated(number))) return answer("sequence-gap");
      dropped.push(
        ...batch.dropped.filter(({ first, last }) =>
          before.slice(first - 1, last).some((number) => !known.has(number)),
        ),
      );
      for (const number of before) if (stated(number)) known.add(number);
      known.add(sequence);
      if (!isRepeated) {
        readings.push(...batch.readings);
        sequences.push(`${boot} ${sequence}`);
      }
      if (watermark(boot) >= sequence) return { boot, upTo: watermark(boot) };
      return isRepeated ? answer("sequence-duplicate") : undefined;
    },
  };
}

export type Ledger = ReturnType<typeof createLedger>;
