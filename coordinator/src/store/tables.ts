/**
 * The tables of a ledger, as both engines have them: same names, same columns. Times are unix ms, truth is 0 or 1, token amounts are
 * decimal text (they outgrow 64 bits). Text is ordered by its bytes: PostgreSQL's columns collate "C".
 */
import type { Generated } from "kysely";
import type { BrokerKind, Duty, EpochRecord, Intent, NodeStatus } from "../model.ts";

export type Tables = {
  readonly network: NetworkTable;
  readonly node: NodeTable;
  readonly boot: BootTable;
  readonly channel: ChannelTable;
  readonly batch: BatchTable;
  readonly reading: ReadingTable;
  readonly dropped: DroppedTable;
  readonly work: WorkTable;
  readonly rejection: RejectionTable;
  readonly rejection_count: RejectionCountTable;
  readonly total: TotalTable;
  readonly slot: SlotTable;
  readonly evidence: EvidenceTable;
  readonly epoch: EpochTable;
  readonly epoch_node: EpochNodeTable;
  readonly epoch_operator: EpochOperatorTable;
  readonly earned: EarnedTable;
  readonly intent: IntentTable;
  readonly duty: DutyTable;
  readonly replica: ReplicaTable;
  readonly schema_migration: SchemaMigrationTable;
};

export type NetworkTable = { readonly only_row: number; readonly founding: string };

export type NodeTable = {
  readonly id: Generated<number>;
  readonly node_id: string;
  readonly name: string;
  readonly operator: string;
  readonly public_key: string;
  readonly evidence_level: string;
  readonly enrolled_at: number;
  readonly state: Generated<NodeStatus["state"]>;
  readonly state_since: number | null;
  readonly state_reason: Generated<string>;
  readonly last_heard_at: number | null;
  readonly last_heard_by: string | null;
  readonly died_boot: string | null;
  readonly birth: string | null;
  readonly boot: string | null;
  readonly boot_count: number | null;
  readonly uptime_seconds: number | null;
  readonly software: string | null;
  readonly readings: Generated<number>;
  readonly rejections: Generated<number>;
};

export type BootTable = {
  readonly node: number;
  readonly boot: string;
  readonly boot_count: number;
  readonly stored_up_to: number;
  /** JSON of SequenceRange[]. */
  readonly ahead: Generated<string>;
  readonly in_evidence: number;
};

export type ChannelTable = {
  readonly id: Generated<number>;
  readonly node: number;
  readonly series: string;
  readonly unit: string;
};

export type BatchTable = {
  readonly id: Generated<number>;
  readonly node: number;
  readonly boot: string;
  readonly sequence: number;
  readonly readings: number;
  readonly bytes: number;
  readonly received_at: number;
};

export type ReadingTable = {
  readonly channel: number;
  readonly at: number;
  readonly id: number;
  readonly value: number;
  readonly quality: number;
};

export type DroppedTable = {
  readonly node: number;
  readonly boot: string;
  readonly first_sequence: number;
  readonly last_sequence: number;
  readonly readings: number;
  readonly reason: string;
  readonly stated_at: number;
};

export type WorkTable = { readonly slot: number; readonly node: number; readonly readings: number };

export type RejectionTable = {
  readonly id: Generated<number>;
  readonly node_id: string;
  readonly topic: string;
  readonly code: string;
  readonly detail: string;
  readonly bytes: number;
  readonly sample: Uint8Array;
  readonly first_at: number;
  readonly at: number;
  readonly count: number;
};

/** One code may have several rows, to be added up: writers on PostgreSQL do not wait for each other. */
export type RejectionCountTable = { readonly code: string; readonly count: number };

/** May have several rows, to be added up, like `rejection_count`. */
export type TotalTable = { readonly readings: number; readonly batches: number };

export type SlotTable = {
  readonly slot: number;
  readonly epoch: number;
  readonly nonce: string;
  readonly opens_at: number;
  readonly closes_at: number;
  readonly ready_at: number;
  readonly closed_at: number | null;
  readonly void_reason: string | null;
};

export type EvidenceTable = {
  readonly slot: number;
  readonly node: number;
  readonly received_at: number;
  readonly token: string;
};

export type EpochTable = {
  readonly epoch: number;
  readonly first_slot: number;
  readonly slot_count: number;
  readonly slots_void: number;
  readonly total: string;
  readonly root: string | null;
  readonly evidence: string;
  readonly closed_at: number;
  readonly state: EpochRecord["state"];
  readonly posted_in: string | null;
};

export type EpochNodeTable = {
  readonly epoch: number;
  readonly node_id: string;
  readonly operator: string;
  readonly evidence_level: string;
  readonly slots_attested: number;
  readonly slots_expected: number;
  readonly slots_void: number;
  readonly work_units: number;
  readonly amount: string;
};

export type EpochOperatorTable = {
  readonly epoch: number;
  readonly operator: string;
  readonly amount: string;
  readonly cumulative_amount: string;
  readonly nodes_root: string;
  readonly proof: string;
  readonly paid: Generated<number>;
  readonly paid_in: string | null;
};

export type EarnedTable = { readonly whose: string; readonly amount: string };

export type IntentTable = {
  readonly kind: Intent["kind"];
  readonly epoch: number;
  readonly operator: string;
  readonly tx_hash: string;
  readonly raw: string;
  readonly state: "open" | "confirmed" | "failed";
  readonly made_at: number;
  readonly resolved_at: number | null;
};

export type DutyTable = {
  readonly duty: Duty;
  readonly holder: string;
  readonly token: number;
  readonly until: number;
};

export type ReplicaTable = {
  readonly name: string;
  /** JSON array of text. */
  readonly roles: string;
  readonly software: string;
  readonly committed_before: number | null;
  readonly seen_at: number;
  readonly broker: Generated<BrokerKind>;
};

/** `compatible_from`: lowest schema a program may know and still work with a ledger that has this migration. */
export type SchemaMigrationTable = {
  readonly number: number;
  readonly name: string;
  readonly sha256: string;
  readonly applied_at: number;
  readonly compatible_from: number;
};
