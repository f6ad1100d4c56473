/**
 * Looks at the ledger once a second, whichever replica wrote it: keeps every node's state current (the replica that holds the duty does)
 * and the open pages informed (every replica does).
 */
import {
  type EpochRow,
  type FleetView,
  type LiveEvents,
  type NodeId,
  qualities,
  type RejectionsView,
  type SeriesView,
  type SlotTime,
  slotAt,
} from "@cairn/protocol";
import type { EpochRecord, Heard, Ledger, NodeRecord, NodeStatus, SlotRow } from "../model.ts";

export type FleetActions = {
  readonly ledger: Pick<
    Ledger,
    "nodes" | "slots" | "answers" | "latestReadings" | "readings" | "epochs" | "rejectionCounts"
  >;
  readonly time: SlotTime;
  now(): number;
  /** Ms of a clock that is never stepped. */
  steadyNow(): number;
  judge(heard: Heard): NodeStatus;
  view(): Promise<FleetView>;
  epochRow(record: EpochRecord): EpochRow;
  rejections(): Promise<RejectionsView>;
  readonly live: {
    readonly size: number;
    watched(): readonly NodeId[];
    send<E extends keyof LiveEvents>(event: E, data: LiveEvents[E], onlyNode?: string): void;
  };
  fault(error: unknown): void;
};

export type Fleet = {
  readingsPerMinute(nodeId: string): number;
  /** From now on node states are written, until the function that comes back is called. */
  keepStates(write: Ledger["setStatus"]): () => Promise<void>;
  stop(): Promise<void>;
};

const roundMs = 1_000;
/** A round takes no more than this part of the time, however large the fleet. */
const busyShare = 0.1;
const minuteRounds = 60;
/** Closed slots that a node's state looks back on. */
const slotsLookedBack = 4;
/** Readings of one series that a page is sent at a time; it asks for what it missed. */
const readingsSent = 500;
const epochsWatched = 8;

export function startFleet(actions: FleetActions): Fleet {
  const { ledger, live, time } = actions;
  const rates = createRates();
  const readings = createReadingsFeed(actions);
  /** What was known of each node in the round before. */
  let known = new Map<NodeId, string>();
  let knownSlots = "";
  let knownEpochs: ReadonlyMap<number, string> | undefined;
  let knownRejections: number | undefined;
  let write: Ledger["setStatus"] | undefined;
  let judgeAll = true;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let busy: Promise<void> = Promise.resolve();

  async function round(): Promise<void> {
    const nodes = await ledger.nodes();
    rates.count(nodes);
    const current = slotAt(time, actions.now());
    const first = Math.max(0, current - slotsLookedBack);
    const slots = await ledger.slots(first);
    const seenSlots = `${current} ${slots.map(({ slot, closedAt }) => `${slot}:${closedAt}`).join()}`;
    const slotChanged = seenSlots !== knownSlots;
    const changed = nodes.filter((node) => known.get(node.nodeId) !== traceOf(node));
    if (write) {
      const toJudge = slotChanged || judgeAll ? nodes : changed;
      judgeAll = false;
      if (toJudge.length > 0) await judge(toJudge, slots, first, current);
    }
    knownSlots = seenSlots;
    known = new Map(nodes.map((node) => [node.nodeId, traceOf(node)]));
    if (live.size > 0) await inform(new Set(changed.map(({ nodeId }) => nodeId)), slotChanged);
    else knownEpochs = knownRejections = undefined;
  }

  async function judge(
    nodes: readonly NodeRecord[],
    slots: readonly SlotRow[],
    first: number,
    current: number,
  ): Promise<void> {
    const now = actions.now();
    const counted = slots.filter(({ closedAt, voidReason }) => closedAt !== null && voidReason === null).reverse();
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
    await write?.(changes);
  }

  async function inform(changed: ReadonlySet<string>, slotChanged: boolean): Promise<void> {
    if (changed.size > 0 || slotChanged) {
      const fleet = await actions.view();
      if (slotChanged) live.send("fleet", fleet);
      else for (const row of fleet.nodes) if (changed.has(row.nodeId)) live.send("node", row);
    }
    await readings.round();
    const epochs = await ledger.epochs(epochsWatched);
    for (const record of epochs)
      if (knownEpochs && knownEpochs.get(record.outcome.epoch) !== traceOfEpoch(record))
        live.send("epoch", actions.epochRow(record));
    knownEpochs = new Map(epochs.map((record) => [record.outcome.epoch, traceOfEpoch(record)]));
    const refused = [...(await ledger.rejectionCounts()).values()].reduce((sum, count) => sum + count, 0);
    if (knownRejections !== undefined && refused !== knownRejections)
      live.send("rejections", await actions.rejections());
    knownRejections = refused;
  }

  function roundAfter(waitMs: number): void {
    timer = setTimeout(() => {
      const startedAt = actions.steadyNow();
      busy = round()
        .catch(actions.fault)
        .then(() => {
          if (!stopped) roundAfter(Math.max(roundMs, (actions.steadyNow() - startedAt) / busyShare));
        });
    }, waitMs);
  }
  roundAfter(roundMs);

  return {
    readingsPerMinute: rates.perMinute,
    keepStates(setStatus) {
      write = setStatus;
      judgeAll = true;
      return async () => {
        if (write === setStatus) write = undefined;
        await busy;
      };
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await busy;
    },
  };
}

/** What has changed when a node's row has. */
function traceOf({ lastHeardAt, diedBoot, readingsStored, rejections, status }: NodeRecord): string {
  return `${lastHeardAt} ${diedBoot} ${readingsStored} ${rejections} ${status.state} ${status.reason}`;
}

function traceOfEpoch({ state, claims }: EpochRecord): string {
  return `${state} ${claims.filter(({ transaction }) => transaction !== null).length}`;
}

/** Readings of the last minute, per node, from how many were stored in all: a ring by round. */
function createRates() {
  const nodes = new Map<string, { stored: number; ring: number[]; sum: number }>();
  let at = 0;
  return {
    count(records: readonly NodeRecord[]): void {
      at = (at + 1) % minuteRounds;
      for (const { nodeId, readingsStored } of records) {
        const rate = nodes.get(nodeId) ?? { stored: readingsStored, ring: [], sum: 0 };
        const added = readingsStored - rate.stored;
        rate.sum += added - (rate.ring[at] ?? 0);
        rate.ring[at] = added;
        rate.stored = readingsStored;
        nodes.set(nodeId, rate);
      }
    },
    perMinute: (nodeId: string) => nodes.get(nodeId)?.sum ?? 0,
  };
}

/** Sends the new readings of nodes that a page looks at. */
function createReadingsFeed({ ledger, live }: FleetActions) {
  /** Time of the newest reading seen, by series, per node. */
  let seen = new Map<NodeId, Map<string, number>>();

  async function newestOf(
    nodeId: NodeId,
    before: ReadonlyMap<string, number> | undefined,
  ): Promise<Map<string, number>> {
    const newest = new Map<string, number>();
    for (const { series, unit, at } of await ledger.latestReadings(nodeId)) {
      newest.set(series, at);
      const from = before ? (before.get(series) ?? 0) + 1 : at + 1;
      if (from > at) continue;
      const stored = await ledger.readings(nodeId, series, from, at, readingsSent);
      if (!stored) continue;
      const rows = stored.times.map((time, index): SeriesView => {
        const [value = 0, quality = 0] = [stored.values[index], stored.qualities[index]];
        return { series, unit, at: time, value, quality: qualities[quality] ?? "bad" };
      });
      live.send("readings", { nodeId, series: rows }, nodeId);
    }
    return newest;
  }

  return {
    async round(): Promise<void> {
      const next: typeof seen = new Map();
      for (const nodeId of live.watched()) next.set(nodeId, await newestOf(nodeId, seen.get(nodeId)));
      seen = next;
    },
  };
}
