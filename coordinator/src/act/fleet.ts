/** Keeps every node's state current and the open pages informed: recomputed when something was heard, once a second at most. */
import { type FleetView, type LiveEvents, type NodeId, type SlotTime, slotAt } from "@cairn/protocol";
import type { Heard, Ledger, NodeRecord, NodeStatus } from "../model.ts";

export type FleetActions = {
  readonly ledger: Pick<Ledger, "nodes" | "setStatus" | "slots" | "answers">;
  readonly time: SlotTime;
  now(): number;
  judge(heard: Heard): NodeStatus;
  view(): Promise<FleetView>;
  readonly live: {
    readonly size: number;
    send<E extends keyof LiveEvents>(event: E, data: LiveEvents[E], onlyNode?: string): void;
  };
  fault(error: unknown): void;
};

export type Fleet = {
  /** Something of this node was accepted or refused. */
  heard(nodeId: NodeId, readings: number): void;
  readingsPerMinute(nodeId: string): number;
  /** A slot began or ended: everybody's strip changed. */
  slotChanged(): void;
  stop(): Promise<void>;
};

const tickMs = 1_000;
const minuteTicks = 60;
/** Closed slots that a node's state looks back on. */
const slotsLookedBack = 4;

export function startFleet(actions: FleetActions): Fleet {
  const { ledger, live, time } = actions;
  /** Readings per second of the last minute, per node: a ring by tick. */
  const rates = new Map<string, { ring: number[]; sum: number }>();
  const changed = new Set<NodeId>();
  let wholeFleet = true;
  let tick = 0;
  let busy = Promise.resolve();

  async function refresh(): Promise<void> {
    if (changed.size === 0 && !wholeFleet) return;
    const whole = wholeFleet;
    const nodes = (await ledger.nodes()).filter(({ nodeId }) => whole || changed.has(nodeId));
    changed.clear();
    wholeFleet = false;
    await judge(nodes);
    if (live.size === 0) return;
    const fleet = await actions.view();
    if (whole) live.send("fleet", fleet);
    const shown = new Set<string>(nodes.map(({ nodeId }) => nodeId));
    for (const row of fleet.nodes) if (!whole && shown.has(row.nodeId)) live.send("node", row);
  }

  async function judge(nodes: readonly NodeRecord[]): Promise<void> {
    const now = actions.now();
    const current = slotAt(time, now);
    const first = Math.max(0, current - slotsLookedBack);
    const counted = (await ledger.slots(first))
      .filter(({ closedAt, voidReason }) => closedAt !== null && voidReason === null)
      .reverse();
    const answered = new Set((await ledger.answers(first, current)).map(({ nodeId, slot }) => `${nodeId} ${slot}`));
    const changes: { nodeId: NodeId; status: NodeStatus }[] = [];
    for (const { nodeId, enrolledAt, lastHeardAt, diedBoot, status: previous } of nodes) {
      const recentSlots = counted
        .filter(({ opensAt }) => opensAt >= enrolledAt)
        .map(({ slot }) => answered.has(`${nodeId} ${slot}`));
      const heard = { now, slotMs: time.slotMs, previous, lastHeardAt, died: diedBoot !== null, recentSlots };
      const status = actions.judge(heard);
      if (status.state !== previous.state || status.reason !== previous.reason) changes.push({ nodeId, status });
    }
    await ledger.setStatus(changes);
  }

  const timer = setInterval(() => {
    tick += 1;
    const at = tick % minuteTicks;
    for (const [nodeId, rate] of rates) {
      rate.sum -= rate.ring[at] ?? 0;
      rate.ring[at] = 0;
      if (rate.sum === 0) rates.delete(nodeId);
    }
    busy = busy.then(refresh).catch(actions.fault);
  }, tickMs);

  return {
    heard(nodeId, readings) {
      changed.add(nodeId);
      if (readings === 0) return;
      const rate = rates.get(nodeId) ?? { ring: [], sum: 0 };
      const at = tick % minuteTicks;
      rate.ring[at] = (rate.ring[at] ?? 0) + readings;
      rate.sum += readings;
      rates.set(nodeId, rate);
    },
    readingsPerMinute: (nodeId) => rates.get(nodeId)?.sum ?? 0,
    slotChanged() {
      wholeFleet = true;
    },
    async stop() {
      clearInterval(timer);
      await busy;
    },
  };
}
