/** Whether a node earns now, judged from its row: what the first sentence of the page rests on. */
import type { NetworkView, NodeRow, SlotState } from "@cairn/protocol";

export type Standing = "earning" | "offline" | "unheard" | "under-floor";

/** The network's parameters that decide it; null while they are not known. */
export type Rules = Pick<NetworkView, "uptimeFloorBps" | "workShareBps"> | null;

/**
 * A node earns while it answers. Where uptime alone is paid, it must also still be able to reach the uptime floor in the
 * running epoch.
 */
export function standingOf(row: Pick<NodeRow, "state" | "slots">, rules: Rules): Standing {
  if (row.state === "offline" || row.state === "unheard") return row.state;
  return rules?.workShareBps === 0 && floorOutOfReach(row.slots, rules) ? "under-floor" : "earning";
}

/** Whether so many slots were missed that the epoch pays nothing for uptime, whatever the slots to come bring. */
export function floorOutOfReach(slots: readonly SlotState[], rules: Rules): boolean {
  if (rules === null) return false;
  const { missed, void: voided } = countSlots(slots);
  const counting = slots.length - voided;
  return counting > 0 && (counting - missed) * 10_000 < rules.uptimeFloorBps * counting;
}

export function countSlots(slots: readonly SlotState[]): Readonly<Record<SlotState, number>> {
  const counts = { credited: 0, missed: 0, void: 0, answered: 0, open: 0, ahead: 0 };
  for (const slot of slots) counts[slot] += 1;
  return counts;
}

/** Nodes that do not earn, of one standing and one reason of the coordinator. */
export type Cause = {
  readonly standing: Exclude<Standing, "earning">;
  readonly reason: string;
  /** The earliest of them. */
  readonly since: number | null;
  readonly rows: readonly NodeRow[];
};

export type Earnings = { readonly total: number; readonly notEarning: number; readonly causes: readonly Cause[] };

export function earningsOf(rows: readonly NodeRow[], rules: Rules): Earnings {
  const causes = new Map<string, Cause>();
  let notEarning = 0;
  for (const row of rows) {
    const standing = standingOf(row, rules);
    if (standing === "earning") continue;
    notEarning += 1;
    const reason = standing === "offline" ? row.stateReason : "";
    const since = standing === "offline" ? row.stateSince : null;
    const key = `${standing} ${reason}`;
    const cause = causes.get(key) ?? { standing, reason, since, rows: [] };
    const earliest = cause.since === null || (since !== null && since < cause.since) ? since : cause.since;
    causes.set(key, { ...cause, since: earliest, rows: [...cause.rows, row] });
  }
  return { total: rows.length, notEarning, causes: [...causes.values()] };
}
