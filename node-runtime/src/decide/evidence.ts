/** Whether and when to answer a beacon. */
import type { Beacon } from "@cairn/protocol";

/** A fleet that answers at once is a storm at every slot's begin; later than this share of the slot, and a slow link may miss it. */
const spread = 0.2;
const longestDelayMs = 60_000;

export type Answer =
  | { readonly answer: true; readonly delayMs: number }
  | { readonly answer: false; readonly reason: string };

/**
 * A beacon that comes live is answered whatever this node's clock says: the verifier's clock decides. A retained one is answered when its
 * slot still runs by this node's clock; the delay then stays within what is left of the slot. `chance`: uniform in [0, 1).
 */
export function whenToAnswer(beacon: Beacon, retained: boolean, nowMs: number, chance: number): Answer {
  const slotMs = beacon.closesAt - beacon.opensAt;
  if (slotMs <= 0) return { answer: false, reason: "its slot has no length" };
  if (retained && nowMs >= beacon.closesAt) return { answer: false, reason: "its slot is over" };
  const window = retained ? Math.min(slotMs, beacon.closesAt - nowMs) : slotMs;
  return { answer: true, delayMs: Math.round(Math.min(longestDelayMs, window * spread) * chance) };
}
