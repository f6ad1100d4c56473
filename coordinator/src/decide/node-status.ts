/** In which state a node is, since when, and why, in words. Pure. */
import type { Heard, NodeStatus } from "../model.ts";

/** Silent for this many slots: offline. One missed slot: degraded. */
const silentSlots = 2;

export function nodeStatus(heard: Heard): NodeStatus {
  const { state, reason } = judge(heard);
  return state === heard.previous.state
    ? { ...heard.previous, reason }
    : { state, reason, since: state === "unheard" ? null : heard.now };
}

function judge({ now, slotMs, lastHeardAt, died, recentSlots }: Heard): Pick<NodeStatus, "state" | "reason"> {
  if (lastHeardAt === null) return { state: "unheard", reason: "never heard of since it was enrolled" };
  if (died) return { state: "offline", reason: "its connection broke (last will)" };
  if (now - lastHeardAt > silentSlots * slotMs)
    return { state: "offline", reason: `silent for more than ${silentSlots} slots` };
  const missed = recentSlots.findIndex((answered) => answered);
  const misses = missed === -1 ? recentSlots.length : missed;
  if (misses === 0) return { state: "online", reason: "answers every slot" };
  return {
    state: "degraded",
    reason: `no evidence for ${misses} slot${misses === 1 ? "" : "s"}, though its data arrives`,
  };
}
