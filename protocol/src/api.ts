/**
 * The coordinator's HTTP interface, version 1: shapes of what it answers under /api/v1. Times are unix ms, token amounts decimal
 * strings in the smallest unit, identities as on the wire.
 */
import Type, { type Static } from "typebox";
import { evidenceLevels } from "./leaves.ts";

const Whole = Type.Integer({ minimum: 0 });
const Maybe = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

/** A slot in a node's strip. `open`: runs now, not yet answered; `ahead`: has not begun. */
export const slotStates = ["credited", "missed", "void", "answered", "open", "ahead"] as const;
export const SlotState = Type.Enum([...slotStates]);
export type SlotState = Static<typeof SlotState>;

/** `unheard`: enrolled, but never heard of. */
export const nodeStates = ["online", "degraded", "offline", "unheard"] as const;
export const NodeState = Type.Enum([...nodeStates]);
export type NodeState = Static<typeof NodeState>;

export const NodeRow = Type.Object({
  nodeId: Type.String(),
  name: Type.String(),
  operator: Type.String(),
  evidenceLevel: Type.Enum([...evidenceLevels]),
  state: NodeState,
  /** Since when, and why, in words: "its last will", "no evidence for 3 slots". */
  stateSince: Maybe(Whole),
  stateReason: Type.String(),
  lastHeardAt: Maybe(Whole),
  lastHeardBy: Maybe(Type.String()),
  /** One entry per slot of the running epoch. */
  slots: Type.Array(SlotState),
  readingsPerMinute: Type.Number(),
  readingsStored: Whole,
  rejections: Whole,
});
export type NodeRow = Static<typeof NodeRow>;

export const EpochProgress = Type.Object({
  epoch: Whole,
  firstSlot: Whole,
  slotCount: Whole,
  opensAt: Whole,
  closesAt: Whole,
});
export type EpochProgress = Static<typeof EpochProgress>;

export const FleetView = Type.Object({ at: Whole, epoch: EpochProgress, nodes: Type.Array(NodeRow) });
export type FleetView = Static<typeof FleetView>;

export const NetworkView = Type.Object({
  network: Type.String(),
  chainId: Whole,
  rewards: Type.String(),
  token: Type.Object({ address: Type.String(), symbol: Type.String(), decimals: Whole }),
  verifiers: Type.Array(Type.String()),
  slotMs: Whole,
  slotsPerEpoch: Whole,
  epochBudget: Type.String(),
  workShareBps: Whole,
  uptimeFloorBps: Whole,
  software: Type.String(),
});
export type NetworkView = Static<typeof NetworkView>;

/** An input that was refused, with its code's sentence and remedy. */
export const RejectionView = Type.Object({
  at: Whole,
  nodeId: Maybe(Type.String()),
  topic: Type.String(),
  code: Type.String(),
  sentence: Type.String(),
  remedy: Type.String(),
  detail: Type.String(),
  bytes: Whole,
  /** How many of the same kind this entry stands for. */
  count: Whole,
});
export type RejectionView = Static<typeof RejectionView>;

export const SeriesView = Type.Object({
  series: Type.String(),
  unit: Type.String(),
  at: Whole,
  value: Type.Number(),
  quality: Type.String(),
});
export type SeriesView = Static<typeof SeriesView>;

/** The verdict over one slot of one node. `reason` is a sentence. */
export const SlotVerdictView = Type.Object({
  epoch: Whole,
  slot: Whole,
  opensAt: Whole,
  state: SlotState,
  answeredAt: Maybe(Whole),
  reason: Type.String(),
});
export type SlotVerdictView = Static<typeof SlotVerdictView>;

/** As in the node's leaf: `slotsExpected` are all slots of the epoch, the void ones among them. */
export const NodeReward = Type.Object({
  epoch: Whole,
  slotsAttested: Whole,
  slotsExpected: Whole,
  slotsVoid: Whole,
  workUnits: Whole,
  amount: Type.String(),
});
export type NodeReward = Static<typeof NodeReward>;

export const NodeView = Type.Object({
  row: NodeRow,
  identity: Type.Object({
    publicKey: Type.String(),
    algorithm: Type.String(),
    enrolledAt: Whole,
    boot: Maybe(Type.String()),
    bootCount: Maybe(Whole),
    software: Maybe(Type.String()),
    profile: Maybe(Type.String()),
    capabilities: Type.Array(Type.String()),
    uptimeSeconds: Maybe(Whole),
  }),
  series: Type.Array(SeriesView),
  verdicts: Type.Array(SlotVerdictView),
  rejections: Type.Array(RejectionView),
  rewards: Type.Array(NodeReward),
  /** Of the node in all epochs. */
  earned: Type.String(),
});
export type NodeView = Static<typeof NodeView>;

/** Readings of one series, oldest first: times (unix ms), values, and the index of each quality (0 good, 1 uncertain, 2 bad). */
export const ReadingsView = Type.Object({
  series: Type.String(),
  unit: Type.String(),
  times: Type.Array(Whole),
  values: Type.Array(Type.Number()),
  qualities: Type.Array(Whole),
});
export type ReadingsView = Static<typeof ReadingsView>;

/** `void`: no slot of it counts, so nothing is posted. `settled`: the root is on chain and every claim of it is paid. */
export const epochStates = ["closed", "posted", "settled", "void"] as const;
/** `slotsCredited` and `slotsExpected` are sums over the nodes; expected are the slots that count, without the void ones. */
export const EpochRow = Type.Object({
  epoch: Whole,
  firstSlot: Whole,
  slotCount: Whole,
  opensAt: Whole,
  closedAt: Whole,
  state: Type.Enum([...epochStates]),
  nodes: Whole,
  slotsCredited: Whole,
  slotsExpected: Whole,
  slotsVoid: Whole,
  total: Type.String(),
  root: Maybe(Type.String()),
  evidence: Type.String(),
  transaction: Maybe(Type.String()),
  claims: Type.Array(
    Type.Object({ operator: Type.String(), amount: Type.String(), transaction: Maybe(Type.String()) }),
  ),
});
export type EpochRow = Static<typeof EpochRow>;

export const EpochsView = Type.Object({ epochs: Type.Array(EpochRow) });
export type EpochsView = Static<typeof EpochsView>;

export const RejectionsView = Type.Object({
  total: Whole,
  byCode: Type.Record(Type.String(), Whole),
  latest: Type.Array(RejectionView),
});
export type RejectionsView = Static<typeof RejectionsView>;

export const HealthView = Type.Object({
  /** "degraded": it answers, but the broker gives it nothing, or no replica takes messages in; slots are void meanwhile. */
  status: Type.Union([Type.Literal("ok"), Type.Literal("degraded")]),
  readingsStored: Whole,
  batchesStored: Whole,
  queueDepth: Whole,
  /** Refusals since the start that were not kept, because more came than could be written. */
  refusalsShed: Whole,
});
export type HealthView = Static<typeof HealthView>;

/** The coordinators that run on this ledger, and who of them holds which single-writer duty. Times by the ledger's clock. */
export const ReplicasView = Type.Object({
  replicas: Type.Array(
    Type.Object({
      name: Type.String(),
      roles: Type.Array(Type.String()),
      software: Type.String(),
      /** embedded, mqtt or nats. */
      broker: Type.String(),
      /** Everything that reached this replica before is committed; null when it takes nothing in. */
      committedBefore: Maybe(Whole),
      seenAt: Whole,
    }),
  ),
  duties: Type.Array(
    Type.Object({
      duty: Type.String(),
      holder: Type.String(),
      /** Rises with every change of the holder. */ token: Whole,
      until: Whole,
    }),
  ),
});
export type ReplicasView = Static<typeof ReplicasView>;

/** Every error answer: RFC 9457. */
export const ProblemView = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Whole,
  detail: Type.String(),
});
export type ProblemView = Static<typeof ProblemView>;

/**
 * Server-sent events of /api/v1/events. `fleet` comes first and at every slot's begin, `node` when a row changed, `epoch` when an epoch
 * changed state, `rejections` when counts changed, `readings` (all of a batch that was just stored) only with ?node=NODEID.
 */
export type LiveEvents = {
  fleet: FleetView;
  node: NodeRow;
  epoch: EpochRow;
  rejections: RejectionsView;
  readings: { readonly nodeId: string; readonly series: readonly SeriesView[] };
};
