/**
 * What the uplink does next: a pure function from what it knows to a list of steps, done in their order, after which it is asked again.
 * Waiting is a step.
 *
 * Batches go out in order with a window of a few unreceipted ones. What is not receipted in time is sent again from the oldest on
 * (go-back-n): one coordinator takes numbers without a gap only; coordinators that share the work store what comes ahead, and find it again.
 */
import type { RejectionCode } from "@cairn/protocol";
import type { Boot, Outstanding, Priority, RefusalMeaning, UplinkLimits, UplinkState, UplinkStep } from "../model.ts";

const order = ["results", "telemetry"] as const satisfies readonly Priority[];

/** The steps to do now. Ends in "wait" exactly when there is nothing else to do. */
export function nextUplinkSteps(state: UplinkState, limits: UplinkLimits): readonly UplinkStep[] {
  const { nowMs, connectedAtMs, outstanding } = state;
  if (connectedAtMs === undefined || state.coordinator === "offline") return [{ kind: "wait", untilMs: undefined }];
  const graceEnds = connectedAtMs + limits.graceMs;
  if (state.coordinator === "unheard" && nowMs < graceEnds) return [{ kind: "wait", untilMs: graceEnds }];

  const refused = outstanding.find(({ refusals }) => refusals >= limits.refusals);
  if (refused?.refusedWith) return [letGo(refused, refused.refusedWith, state.boot)];
  if (nowMs < state.pausedUntilMs) return [{ kind: "wait", untilMs: state.pausedUntilMs }];
  if (state.lostAtMs !== undefined && nowMs >= state.lostAtMs) return [{ kind: "start-over", reason: "no-receipt" }];

  const unsent = outstanding.filter(({ inFlight }) => !inFlight);
  if (unsent.length > 0)
    return unsent.map(({ boot, sequence, readings }) => ({ kind: "send", batch: { boot, sequence, readings } }));

  const room = limits.window - outstanding.length;
  if (room > 0) {
    const earlier = state.openTails.find(({ count }) => count !== state.boot.count);
    if (earlier) return [{ kind: "seal-statement", boot: earlier }];
    for (const priority of order) {
      const batches = dueBatches(state, limits, priority);
      if (batches > 0) return [{ kind: "seal", priority, batches: Math.min(room, batches) }];
    }
    const nothingQueued = order.every((priority) => state.queued[priority] === 0);
    if (state.openTails.length > 0 && nothingQueued) return [{ kind: "seal-statement", boot: state.boot }];
  }
  return [{ kind: "wait", untilMs: nextMoment(state, limits, room) }];
}

/** A whole earlier boot is given up when its statements or the boot itself are refused: dropping batch by batch would never end. */
function letGo({ boot, sequence, readings }: Outstanding, code: RejectionCode, current: Boot): UplinkStep {
  const wholeBoot = readings === 0 || code === "boot-regressed" || code === "boot-mismatch";
  if (wholeBoot && boot.count !== current.count) return { kind: "abandon-boot", boot, code };
  return { kind: "set-aside", batch: { boot, sequence, readings }, code };
}

function dueBatches(state: UplinkState, limits: UplinkLimits, priority: Priority): number {
  const queued = state.queued[priority];
  const full = Math.floor(queued / limits.batchReadings);
  if (full > 0) return full;
  return queued > 0 && state.nowMs >= state.queuedSinceMs[priority] + limits.batchMs ? 1 : 0;
}

function nextMoment(state: UplinkState, limits: UplinkLimits, room: number): number | undefined {
  const moments = state.lostAtMs === undefined ? [] : [state.lostAtMs];
  if (room > 0)
    for (const priority of order)
      if (state.queued[priority] > 0) moments.push(state.queuedSinceMs[priority] + limits.batchMs);
  return moments.length > 0 ? Math.min(...moments) : undefined;
}

/** What a refusal in a storage receipt asks for. */
export function meaningOfRefusal(code: RejectionCode): RefusalMeaning {
  switch (code) {
    case "sequence-gap":
      return "gap";
    case "sequence-duplicate":
      return "ahead";
    case "payload-too-large":
    case "envelope-malformed":
    case "payload-malformed":
    case "schema-mismatch":
      return "batch";
    case "boot-regressed":
    case "boot-mismatch":
      return "boot";
    default:
      return "later";
  }
}
