/** The sums above the table of epochs. Amounts are exact decimal strings in the smallest unit. */
import type { EpochRow } from "@cairn/protocol";
import { sumAmounts } from "../words/amounts.ts";

export type Totals = {
  /** Epochs whose rewards are on chain, and what they pay. */
  readonly posted: number;
  readonly amount: string;
  readonly claimed: string;
  readonly unclaimed: string;
  /** Closed, but their root is not yet on chain. */
  readonly waiting: number;
  readonly void: number;
};

export function totalsOf(epochs: readonly EpochRow[]): Totals {
  const posted = epochs.filter(({ state }) => state === "posted" || state === "settled");
  const amount = sumAmounts(posted.map(({ total }) => total));
  const claimed = sumAmounts(posted.map(claimedOf));
  return {
    posted: posted.length,
    amount,
    claimed,
    unclaimed: (BigInt(amount) - BigInt(claimed)).toString(),
    waiting: epochs.filter(({ state }) => state === "closed").length,
    void: epochs.filter(({ state }) => state === "void").length,
  };
}

/** A settled epoch is claimed in full; of a posted one, what its claims with a transaction pay. */
function claimedOf(row: EpochRow): string {
  if (row.state === "settled") return row.total;
  return sumAmounts(row.claims.filter(({ transaction }) => transaction !== null).map(({ amount }) => amount));
}
