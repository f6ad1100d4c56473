/** Answers the questions of the HTTP interface from the ledger, in the protocol's shapes. */
import {
  type EpochRow,
  epochOfSlot,
  type FleetView,
  firstSlotOf,
  type NetworkView,
  type NodeId,
  type NodeReward,
  type NodeRow,
  type NodeView,
  qualities,
  type RejectionsView,
  type RejectionView,
  rejections,
  type SeriesView,
  type SlotState,
  type SlotTime,
  type SlotVerdictView,
  slotAt,
  slotOpensAt,
} from "@cairn/protocol";
import type {
  EpochRecord,
  Founding,
  Ledger,
  NodeOutcome,
  NodeRecord,
  SlotRow,
  StoredRejection,
  StoredSeries,
} from "../model.ts";
import type { Views } from "./http-api.ts";

/** Closed slots that a node's page shows. */
const verdictsShown = 60;
/** A replica that was not seen for this long has stopped, or cannot reach the ledger. */
const replicasShownMs = 60_000;

export type ViewSource = {
  readonly ledger: Ledger;
  readonly founding: Founding;
  readonly software: string;
  now(): number;
  perMinute(nodeId: string): number;
  queue(): { readonly depth: number; readonly shed: number };
  /** Whether what nodes send comes in, as far as this replica can tell; true where that is not its business. */
  isReceiving(): boolean;
};

export function createViews({ ledger, founding, software, now, perMinute, queue, isReceiving }: ViewSource): Views {
  const { time } = founding;

  async function slotFacts(firstSlot: number): Promise<SlotFacts> {
    const slots = new Map((await ledger.slots(firstSlot)).map((row): [number, SlotRow] => [row.slot, row]));
    const answers = new Map<string, Map<number, number>>();
    for (const { nodeId, slot, receivedAt } of await ledger.answers(firstSlot, Number.MAX_SAFE_INTEGER)) {
      const own = answers.get(nodeId) ?? new Map<number, number>();
      answers.set(nodeId, own.set(slot, receivedAt));
    }
    return { now: now(), time, slots, answers };
  }

  const firstOfEpoch = () => firstSlotOf(time, epochOfSlot(time, Math.max(0, slotAt(time, now()))));

  async function node(nodeId: NodeId): Promise<NodeView | undefined> {
    const record = (await ledger.nodes()).find((other) => other.nodeId === nodeId);
    if (!record) return undefined;
    const firstShown = Math.max(0, slotAt(time, now()) - verdictsShown + 1);
    const facts = await slotFacts(Math.min(firstShown, firstOfEpoch()));
    return nodeView(
      record,
      nodeRow(record, firstOfEpoch(), facts, perMinute(nodeId)),
      await ledger.latestReadings(nodeId),
      slotVerdicts(nodeId, firstShown, facts),
      await ledger.rejections(20, nodeId),
      await ledger.nodeRewards(nodeId, 100),
      await ledger.nodeEarned(nodeId),
    );
  }

  return {
    node,
    network: async () => networkView(founding, software),
    fleet: async () => fleetView(await ledger.nodes(), await slotFacts(firstOfEpoch()), perMinute),
    async readings(nodeId, series, from, to, limit) {
      const stored = await ledger.readings(nodeId, series, from, to, limit);
      if (!stored) return undefined;
      const { times, values, qualities: quality } = stored;
      return { series, unit: stored.unit, times: [...times], values: [...values], qualities: [...quality] };
    },
    epochs: async (limit) => ({ epochs: (await ledger.epochs(limit)).map((record) => epochRow(record, time)) }),
    rejections: async () => rejectionsView(await ledger.rejectionCounts(), await ledger.rejections(100)),
    replicas: async () => ({
      replicas: (await ledger.replicas(replicasShownMs)).map((replica) => ({ ...replica, roles: [...replica.roles] })),
      duties: (await ledger.duties()).map((duty) => ({ ...duty })),
    }),
    async health() {
      const { readings, batches } = await ledger.counts();
      return {
        status: isReceiving() ? "ok" : "degraded",
        readingsStored: readings,
        batchesStored: batches,
        queueDepth: queue().depth,
        refusalsShed: queue().shed,
      };
    },
  };
}

/** The slots of an epoch or more as they stand at `now`, and who answered them when. */
export type SlotFacts = {
  readonly now: number;
  readonly time: SlotTime;
  readonly slots: ReadonlyMap<number, SlotRow>;
  /** Slot to the time of the node's accepted evidence, per NodeId. */
  readonly answers: ReadonlyMap<string, ReadonlyMap<number, number>>;
};

function networkView(founding: Founding, software: string): NetworkView {
  const { network, chainId, rewards, token, verifiers, time, parameters } = founding;
  return {
    network,
    chainId,
    rewards,
    token,
    verifiers: [...verifiers],
    slotMs: time.slotMs,
    slotsPerEpoch: time.slotsPerEpoch,
    epochBudget: parameters.epochBudget.toString(),
    workShareBps: parameters.workShareBps,
    uptimeFloorBps: parameters.uptimeFloorBps,
    software,
  };
}

export function fleetView(
  nodes: readonly NodeRecord[],
  facts: SlotFacts,
  perMinute: (nodeId: string) => number,
): FleetView {
  const { now, time } = facts;
  const epoch = epochOfSlot(time, Math.max(0, slotAt(time, now)));
  const firstSlot = firstSlotOf(time, epoch);
  const opensAt = slotOpensAt(time, firstSlot);
  return {
    at: now,
    epoch: {
      epoch,
      firstSlot,
      slotCount: time.slotsPerEpoch,
      opensAt,
      closesAt: opensAt + time.slotsPerEpoch * time.slotMs,
    },
    nodes: nodes.map((node) => nodeRow(node, firstSlot, facts, perMinute(node.nodeId))),
  };
}

export function nodeRow(node: NodeRecord, firstSlot: number, facts: SlotFacts, readingsPerMinute: number): NodeRow {
  const slots = Array.from({ length: facts.time.slotsPerEpoch }, (_, index) =>
    slotState(firstSlot + index, node.nodeId, facts),
  );
  return {
    nodeId: node.nodeId,
    name: node.name,
    operator: node.operator,
    evidenceLevel: node.evidenceLevel,
    state: node.status.state,
    stateSince: node.status.since,
    stateReason: node.status.reason,
    lastHeardAt: node.lastHeardAt,
    lastHeardBy: node.lastHeardBy,
    slots,
    readingsPerMinute,
    readingsStored: node.readingsStored,
    rejections: node.rejections,
  };
}

function slotState(slot: number, nodeId: string, { now, time, slots, answers }: SlotFacts): SlotState {
  const current = slotAt(time, now);
  const answered = answers.get(nodeId)?.has(slot) ?? false;
  if (slot > current) return "ahead";
  const row = slots.get(slot);
  if (slot === current || row?.closedAt === null) return answered ? "answered" : "open";
  if (!row || row.voidReason !== null) return "void";
  return answered ? "credited" : "missed";
}

/** Verdicts over the slots that are over or running, newest first. */
export function slotVerdicts(nodeId: string, firstSlot: number, facts: SlotFacts): SlotVerdictView[] {
  const { now, time, slots, answers } = facts;
  const verdicts: SlotVerdictView[] = [];
  for (let slot = slotAt(time, now); slot >= Math.max(0, firstSlot); slot--) {
    const state = slotState(slot, nodeId, facts);
    const answeredAt = answers.get(nodeId)?.get(slot) ?? null;
    const opensAt = slotOpensAt(time, slot);
    verdicts.push({
      epoch: epochOfSlot(time, slot),
      slot,
      opensAt,
      state,
      answeredAt,
      reason: verdictReason(state, answeredAt === null ? null : answeredAt - opensAt, slots.get(slot)),
    });
  }
  return verdicts;
}

function verdictReason(state: SlotState, afterMs: number | null, row: SlotRow | undefined): string {
  const after = afterMs === null ? "" : ` ${(afterMs / 1000).toFixed(1)} s after the slot began`;
  switch (state) {
    case "credited":
      return `Evidence with this slot's nonce was accepted${after}.`;
    case "answered":
      return `Evidence was accepted${after}; the slot is still running.`;
    case "open":
      return "The slot is running and not answered yet: an answer counts until its end.";
    case "missed":
      return "No valid evidence with this slot's nonce arrived before the slot's end.";
    case "void":
      return `The slot counts for nobody: ${row?.voidReason ?? "the verifier was not running"}.`;
    case "ahead":
      return "The slot has not begun.";
  }
}

export function nodeView(
  node: NodeRecord,
  row: NodeRow,
  series: readonly StoredSeries[],
  verdicts: readonly SlotVerdictView[],
  refused: readonly StoredRejection[],
  rewards: readonly (NodeOutcome & { epoch: number })[],
  earned: bigint,
): NodeView {
  const { birth } = node;
  return {
    row,
    identity: {
      publicKey: node.publicKey.export({ format: "pem", type: "spki" }).toString(),
      algorithm: "ECDSA P-256 with SHA-256 (ES256)",
      enrolledAt: node.enrolledAt,
      boot: node.boot,
      bootCount: node.bootCount,
      software: node.software ?? birth?.software ?? null,
      profile: birth?.profile ?? null,
      capabilities: birth?.capabilities ?? [],
      uptimeSeconds: node.uptimeSeconds,
    },
    series: series.map(seriesView),
    verdicts: [...verdicts],
    rejections: refused.map(rejectionView),
    rewards: rewards.map(
      ({ epoch, slotsAttested, slotsExpected, slotsVoid, workUnits, amount }): NodeReward => ({
        epoch,
        slotsAttested,
        slotsExpected,
        slotsVoid,
        workUnits,
        amount: amount.toString(),
      }),
    ),
    earned: earned.toString(),
  };
}

export function seriesView({ series, unit, at, value, quality }: StoredSeries): SeriesView {
  return { series, unit, at, value, quality: qualities[quality] ?? "bad" };
}

export function rejectionView({ at, nodeId, topic, rejection, bytes, count }: StoredRejection): RejectionView {
  return {
    at,
    nodeId,
    topic,
    ...rejections[rejection.code],
    code: rejection.code,
    detail: rejection.detail,
    bytes,
    count,
  };
}

export function rejectionsView(
  counts: ReadonlyMap<string, number>,
  latest: readonly StoredRejection[],
): RejectionsView {
  return {
    total: [...counts.values()].reduce((sum, count) => sum + count, 0),
    byCode: Object.fromEntries(counts),
    latest: latest.map(rejectionView),
  };
}

export function epochRow({ outcome, closedAt, state, transaction, claims }: EpochRecord, time: SlotTime): EpochRow {
  const { nodes, slotsVoid, slotCount } = outcome;
  return {
    epoch: outcome.epoch,
    firstSlot: outcome.firstSlot,
    slotCount,
    opensAt: slotOpensAt(time, outcome.firstSlot),
    closedAt,
    state,
    nodes: nodes.filter(({ slotsAttested }) => slotsAttested > 0).length,
    slotsCredited: nodes.reduce((sum, { slotsAttested }) => sum + slotsAttested, 0),
    slotsExpected: nodes.length * (slotCount - slotsVoid),
    slotsVoid,
    total: outcome.total.toString(),
    root: outcome.root,
    evidence: outcome.evidence,
    transaction,
    claims: claims.map((claim) => ({ ...claim, amount: claim.amount.toString() })),
  };
}
