/**
 * The rules of order: which batch may follow which, which boot may follow which. Pure; the ledger calls them inside the transaction
 * that writes the effect.
 */
import type { BootId, Rejection, SignedBatch } from "@cairn/protocol";
import type { BatchOrder, BootState, OrderRules, SequenceRange, Watermark } from "../model.ts";

/** One coordinator takes everything in: what comes out of order was lost on the way, and its sender is told at once. */
export const orderRules: OrderRules = {
  batch: (state, payload) => judgeBatch(state, payload, false),
  evidence: judgeEvidence,
};

/** Replicas take in side by side: what a batch follows may still be with another one. */
export const sharedOrderRules: OrderRules = {
  batch: (state, payload) => judgeBatch(state, payload, true),
  evidence: judgeEvidence,
};

/** Ranges ahead of one boot's watermark: a node that numbers with holes is refused before it fills the table. */
const mostAhead = 64;

/**
 * A batch follows the boot's watermark, or states every sequence between as dropped, or is ahead of it where that may be. Backlog of
 * older boots is welcome.
 */
function judgeBatch(state: BootState, payload: SignedBatch, mayBeAhead: boolean): BatchOrder {
  const { storedUpTo, ahead } = state;
  const { seq, dropped = [] } = payload;
  const refuse = (rejection: Rejection): BatchOrder => ({ rejection, storedUpTo, ahead, stated: [] });
  const boot = judgeBoot(state, payload.n);
  if (boot) return refuse(boot);
  if (seq <= storedUpTo) return refuse(duplicate(`sequence ${seq}, stored up to ${storedUpTo}`));

  const stated = dropped.flatMap((range) => {
    const first = firstOpen(range, state);
    return first < seq && first <= range.last ? [{ ...range, first }] : [];
  });
  const before = dropped.map(({ first, last }): SequenceRange => [first, Math.min(last, seq - 1)]);
  const after = raise(storedUpTo, [...ahead, ...before, [seq, seq]]);
  const missing = after.storedUpTo + 1;
  if (holds(ahead, seq)) {
    const open = missing < seq ? `, but ${missing} is neither stored nor stated as dropped` : "";
    return { rejection: duplicate(`sequence ${seq} is stored${open}`), ...after, stated };
  }
  if (missing > seq || (mayBeAhead && after.ahead.length <= mostAhead)) return { rejection: null, ...after, stated };
  return refuse({
    code: "sequence-gap",
    detail: `sequence ${seq}, but ${missing} is neither stored nor stated as dropped`,
  });
}

function duplicate(detail: string): Rejection {
  return { code: "sequence-duplicate", detail };
}

function holds(ranges: readonly SequenceRange[], sequence: number): boolean {
  return ranges.some(([first, last]) => first <= sequence && sequence <= last);
}

/** The first sequence from a range's beginning on that is not accounted for. */
function firstOpen({ first }: { readonly first: number }, { storedUpTo, ahead }: Watermark): number {
  let open = Math.max(first, storedUpTo + 1);
  for (const [from, to] of ahead) if (from <= open && open <= to) open = to + 1;
  return open;
}

/** The watermark with all these ranges accounted for. */
function raise(storedUpTo: number, ranges: readonly SequenceRange[]): Watermark {
  let upTo = storedUpTo;
  const ahead: [number, number][] = [];
  for (const [first, last] of [...ranges].sort(([a], [b]) => a - b)) {
    const newest = ahead.at(-1);
    if (first <= upTo + 1) upTo = Math.max(upTo, last);
    else if (newest && first <= newest[1] + 1) newest[1] = Math.max(newest[1], last);
    else if (first <= last) ahead.push([first, last]);
  }
  return { storedUpTo: upTo, ahead };
}

/** Evidence comes from the boot that runs now: its counter never falls. */
function judgeEvidence(state: BootState, _boot: BootId, bootCount: number): Rejection | null {
  const boot = judgeBoot(state, bootCount);
  if (boot) return boot;
  return bootCount < state.highestCount
    ? { code: "boot-regressed", detail: `boot counter ${bootCount} after ${state.highestCount}` }
    : null;
}

function judgeBoot({ knownCount, countUsedBy }: BootState, bootCount: number): Rejection | null {
  if (knownCount !== null)
    return knownCount === bootCount
      ? null
      : { code: "boot-mismatch", detail: `boot counter ${bootCount}, known as ${knownCount}` };
  return countUsedBy === null
    ? null
    : { code: "boot-regressed", detail: `boot counter ${bootCount} was used by boot ${countUsedBy}` };
}
