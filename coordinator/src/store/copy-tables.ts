/**
 * What a ledger's tables hold, as a copy moves it and as two ledgers are compared: one text per row that is the same whichever engine
 * gave it. Who holds a duty and which replicas run is no history and stays behind.
 */
import type { Tables } from "./tables.ts";

export type CopiedTable = {
  readonly name: keyof Tables;
  /** Rows come in this order, and no two have the same; none: there is one row. */
  readonly key: readonly string[];
  readonly columns: readonly string[];
  /** What is asked instead of the table: counters that PostgreSQL keeps in shards are added up. */
  readonly source?: string;
  /** Others refer to its rows, of which none ever goes. */
  readonly parent?: true;
  /** A row may go and come back under another key: it is filled from its beginning or not at all. */
  readonly rekeyed?: true;
};

function table<Name extends keyof Tables>(
  name: Name,
  key: readonly (keyof Tables[Name] & string)[],
  columns: readonly (keyof Tables[Name] & string)[],
  more: Omit<CopiedTable, "name" | "key" | "columns"> = {},
): CopiedTable {
  return { name, key, columns: [...key, ...columns], ...more };
}

/** Parents before those who refer to them. The table `network` is not among them: the copy itself founds its target. */
export const copiedTables: readonly CopiedTable[] = [
  table(
    "node",
    ["id"],
    [
      "node_id",
      "name",
      "operator",
      "public_key",
      "evidence_level",
      "enrolled_at",
      "state",
      "state_since",
      "state_reason",
      "last_heard_at",
      "last_heard_by",
      "died_boot",
      "birth",
      "boot",
      "boot_count",
      "uptime_seconds",
      "software",
      "readings",
      "rejections",
    ],
    { parent: true },
  ),
  table("channel", ["id"], ["node", "series", "unit"]),
  table("boot", ["node", "boot"], ["boot_count", "stored_up_to", "ahead", "in_evidence"]),
  table("batch", ["id"], ["node", "boot", "sequence", "readings", "bytes", "received_at"]),
  table("reading", ["channel", "at", "id"], ["value", "quality"]),
  table("dropped", ["node", "boot", "first_sequence"], ["last_sequence", "readings", "reason", "stated_at"]),
  table("work", ["slot", "node"], ["readings"]),
  table("slot", ["slot"], ["epoch", "nonce", "opens_at", "closes_at", "ready_at", "closed_at", "void_reason"]),
  table("evidence", ["slot", "node"], ["received_at", "token"]),
  table(
    "epoch",
    ["epoch"],
    ["first_slot", "slot_count", "slots_void", "total", "root", "evidence", "closed_at", "state", "posted_in"],
    { parent: true },
  ),
  table(
    "epoch_node",
    ["epoch", "node_id"],
    ["operator", "evidence_level", "slots_attested", "slots_expected", "slots_void", "work_units", "amount"],
  ),
  table(
    "epoch_operator",
    ["epoch", "operator"],
    ["amount", "cumulative_amount", "nodes_root", "proof", "paid", "paid_in"],
  ),
  table("earned", ["whose"], ["amount"]),
  table("intent", ["kind", "epoch", "operator", "tx_hash"], ["raw", "state", "made_at", "resolved_at"]),
  table("rejection", ["id"], ["node_id", "topic", "code", "detail", "bytes", "sample", "first_at", "at", "count"], {
    rekeyed: true,
  }),
  table("rejection_count", ["code"], ["count"], {
    source: "(select code, sum(count) as count from rejection_count group by code) as rejection_count",
  }),
  table("total", [], ["readings", "batches"], {
    source: "(select coalesce(sum(readings), 0) as readings, coalesce(sum(batches), 0) as batches from total) as total",
  }),
];

/** Values in the order of the table's columns. Bytes are written as PostgreSQL writes them: \x and hex digits. */
export type Row = readonly (string | number | null)[];

/** The value as both engines can hold it: PostgreSQL's text has no place for a zero character. */
export function storedValue(stored: unknown): string | number | null {
  if (stored instanceof Uint8Array) return `\\x${Buffer.from(stored).toString("hex")}`;
  if (typeof stored === "string") return stored.replaceAll("\0", "\ufffd");
  if (typeof stored === "number" || stored === null) return stored;
  throw new TypeError(`a ledger holds no ${typeof stored}`);
}

export function keyOf({ key }: CopiedTable, row: Row): Row {
  return row.slice(0, key.length);
}

/** One line per row: JSON, ended by a newline. */
export function canonical(rows: readonly Row[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}
