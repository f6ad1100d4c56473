/** Rows of a ledger to the records of the model, the same for every engine. */
import { createPublicKey } from "node:crypto";
import type { Address, Birth, BootId, EvidenceLevel, Hex, NodeId, RejectionCode } from "@cairn/protocol";
import type { Selectable } from "kysely";
import type {
  EpochOutcome,
  EpochRecord,
  HeldDuty,
  Intent,
  NodeOutcome,
  NodeRecord,
  OperatorOutcome,
  SeenReplica,
  SequenceRange,
  SlotRow,
  StoredRejection,
} from "../model.ts";
import type {
  DutyTable,
  EpochNodeTable,
  EpochOperatorTable,
  EpochTable,
  IntentTable,
  NodeTable,
  RejectionTable,
  ReplicaTable,
  SlotTable,
} from "./tables.ts";

export function nodeRecord(row: Omit<Selectable<NodeTable>, "id">): NodeRecord {
  return {
    nodeId: row.node_id as NodeId,
    name: row.name,
    operator: row.operator as Address,
    // Reading a key takes as long as the rest of a row a hundred times over, and few ask for it.
    get publicKey() {
      return createPublicKey(row.public_key);
    },
    evidenceLevel: row.evidence_level as EvidenceLevel,
    enrolledAt: row.enrolled_at,
    status: { state: row.state, since: row.state_since, reason: row.state_reason },
    lastHeardAt: row.last_heard_at,
    lastHeardBy: row.last_heard_by,
    diedBoot: row.died_boot as BootId | null,
    birth: row.birth === null ? null : (JSON.parse(row.birth) as Birth),
    boot: row.boot as BootId | null,
    bootCount: row.boot_count,
    uptimeSeconds: row.uptime_seconds,
    software: row.software,
    readingsStored: row.readings,
    rejections: row.rejections,
  };
}

/** Of a boot that is not known: none. */
export function readAhead(json = "[]"): readonly SequenceRange[] {
  return json === "[]" ? [] : (JSON.parse(json) as SequenceRange[]);
}

export function slotRecord(row: Selectable<SlotTable>): SlotRow {
  return {
    slot: row.slot,
    epoch: row.epoch,
    nonce: row.nonce as Hex,
    opensAt: row.opens_at,
    closesAt: row.closes_at,
    readyAt: row.ready_at,
    closedAt: row.closed_at,
    voidReason: row.void_reason,
  };
}

/** What stands in the ledger of one epoch; nodes by NodeId, operators by address. */
export type EpochRows = {
  readonly row: Selectable<EpochTable>;
  readonly nodes: readonly Selectable<EpochNodeTable>[];
  readonly operators: readonly Selectable<EpochOperatorTable>[];
};

export function epochOutcome({ row, nodes, operators }: EpochRows): EpochOutcome {
  return {
    epoch: row.epoch,
    firstSlot: row.first_slot,
    slotCount: row.slot_count,
    slotsVoid: row.slots_void,
    nodes: nodes.map(nodeOutcome),
    operators: operators.map(operatorOutcome),
    total: BigInt(row.total),
    root: row.root as Hex | null,
    evidence: row.evidence as Hex,
  };
}

export function epochRecord(rows: EpochRows): EpochRecord {
  const { row, operators } = rows;
  return {
    outcome: epochOutcome(rows),
    closedAt: row.closed_at,
    state: row.state,
    transaction: row.posted_in as Hex | null,
    claims: operators
      .filter(({ amount }) => amount !== "0")
      .map((claim) => ({
        operator: claim.operator as Address,
        amount: BigInt(claim.amount),
        transaction: claim.paid_in as Hex | null,
      })),
  };
}

export function nodeOutcome(row: Selectable<EpochNodeTable>): NodeOutcome {
  return {
    nodeId: row.node_id as NodeId,
    operator: row.operator as Address,
    evidenceLevel: row.evidence_level as EvidenceLevel,
    slotsAttested: row.slots_attested,
    slotsExpected: row.slots_expected,
    slotsVoid: row.slots_void,
    workUnits: row.work_units,
    amount: BigInt(row.amount),
  };
}

function operatorOutcome(row: Selectable<EpochOperatorTable>): OperatorOutcome {
  return {
    operator: row.operator as Address,
    amount: BigInt(row.amount),
    cumulativeAmount: BigInt(row.cumulative_amount),
    nodesRoot: row.nodes_root as Hex,
    proof: JSON.parse(row.proof),
  };
}

export function intentRecord(row: Pick<IntentTable, "kind" | "epoch" | "operator" | "tx_hash" | "raw">): Intent {
  return {
    kind: row.kind,
    epoch: row.epoch,
    operator: row.operator as Address | "",
    transaction: row.tx_hash as Hex,
    raw: row.raw as Hex,
  };
}

export function rejectionRecord(row: Omit<Selectable<RejectionTable>, "id" | "sample" | "first_at">): StoredRejection {
  return {
    at: row.at,
    nodeId: row.node_id === "" ? null : (row.node_id as NodeId),
    topic: row.topic,
    rejection: { code: row.code as RejectionCode, detail: row.detail },
    bytes: row.bytes,
    count: row.count,
  };
}

export function dutyRecord({ duty, token, holder, until }: Selectable<DutyTable>): HeldDuty {
  return { duty, token, holder, until };
}

export function replicaRecord(row: Selectable<ReplicaTable>): SeenReplica {
  return {
    name: row.name,
    roles: JSON.parse(row.roles),
    software: row.software,
    broker: row.broker,
    committedBefore: row.committed_before,
    seenAt: row.seen_at,
  };
}
