/**
 * The clock that replicas share: the ledger's, carried on between two looks at it by this machine's steady clock. A machine whose own
 * clock is stepped, or wrong, so opens and closes no slot at another time than the others. Never runs backwards.
 */
import type { Ledger } from "../model.ts";

export type NetworkClock = {
  /** Unix ms. */
  now(): number;
  /** Looks at the ledger's clock. Throws what the ledger throws; the clock then goes on by what it knew. */
  sync(): Promise<void>;
};

/** A look that took longer than this says too little. */
const slowestLookMs = 500;

/** `steadyNow`: ms of a clock that is never stepped. Looks at the ledger once before it returns. */
export async function startNetworkClock(ledger: Pick<Ledger, "clock">, steadyNow: () => number): Promise<NetworkClock> {
  let ahead = (await ledger.clock()) - steadyNow();
  let latest = 0;
  return {
    now() {
      latest = Math.max(latest, Math.round(steadyNow() + ahead));
      return latest;
    },
    async sync() {
      const askedAt = steadyNow();
      const ledgerNow = await ledger.clock();
      const tookMs = steadyNow() - askedAt;
      if (tookMs <= slowestLookMs) ahead = ledgerNow - (askedAt + tookMs / 2);
    },
  };
}
