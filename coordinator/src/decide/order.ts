/**
 * The rules of order: which batch may follow which, which boot may follow which. Pure; the ledger calls them inside the transaction
 * that writes the effect.
 */
import type { BootId, Rejection, SignedBatch } from "@cairn/protocol";
import type { BootState, OrderRules } from "../model.ts";

export const orderRules: OrderRules = { batch: judgeBatch, evidence: judgeEvidence };

/** A batch follows the boot's last stored one, or states every one between as dropped. Backlog of older boots is welcome. */
function judgeBatch(state: BootState, payload: SignedBatch, mayWait: boolean): Rejection | "early" | null {
  const boot = judgeBoot(state, payload.n);
  if (boot) return boot;
  const next = state.storedUpTo + 1;
  if (payload.seq < next)
    return { code: "sequence-duplicate", detail: `sequence ${payload.seq}, stored up to ${state.storedUpTo}` };
  const missing = firstMissing(next, payload);
  if (missing >= payload.seq) return null;
  if (mayWait) return "early";
  return {
    code: "sequence-gap",
    detail: `sequence ${payload.seq}, but ${missing} is neither stored nor stated as dropped`,
  };
}

/** Walks the stated gaps from `next` on; returns the first sequence that nothing accounts for. */
function firstMissing(next: number, { dropped = [] }: SignedBatch): number {
  let expected = next;
  for (const { first, last } of [...dropped].sort((a, b) => a.first - b.first))
    if (first <= expected && last >= expected) expected = last + 1;
  return expected;
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
