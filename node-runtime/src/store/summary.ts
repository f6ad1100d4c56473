/** What the edge store holds, read beside a running daemon: for `cairn-node status`. */
import { statSync } from "node:fs";
import { resolve } from "node:path";
import { NodeFault } from "../fault.ts";
import { openReadOnly, storeFile } from "./sqlite.ts";

/** Counts are of readings unless named otherwise; `tally` counts since the store was begun. */
export type Summary = {
  readonly boot:
    | { readonly id: string; readonly count: number; readonly sealed: number; readonly stored: number }
    | undefined;
  readonly waiting: { readonly results: number; readonly telemetry: number };
  /** Numbered batches without a receipt, and those among them from earlier boots. */
  readonly batches: { readonly unreceipted: number; readonly ofEarlierBoots: number };
  /** Numbers dropped that no receipt covers yet. */
  readonly unstated: { readonly batches: number; readonly readings: number };
  readonly refusedBatchesKept: number;
  readonly slotReceipts: { readonly epochs: number; readonly newestEpoch: number | undefined };
  readonly tally: Readonly<Record<string, number>>;
  readonly fileBytes: number;
};

/** Throws NodeFault "store-unusable" when the folder holds no store, a damaged one, or one that a daemon is just making. */
export function summarise(folder: string): Summary {
  const db = openReadOnly(resolve(folder));
  try {
    const one = (sql: string) => db.prepare(sql).get() as Record<string, number>;
    const boot = db.prepare("SELECT id, count, sealed, stored FROM boot ORDER BY count DESC LIMIT 1").get();
    const { unreceipted = 0, earlier = 0 } = one(
      "SELECT count(*) AS unreceipted, coalesce(sum(boot < (SELECT max(count) FROM boot)), 0) AS earlier FROM batch",
    );
    const gaps = one(
      "SELECT coalesce(sum(last - first + 1), 0) AS batches, coalesce(sum(readings), 0) AS readings FROM gap",
    );
    const epochs = one("SELECT count(DISTINCT epoch) AS epochs, max(epoch) AS newest FROM slot_receipt");
    return {
      boot: boot as Summary["boot"],
      waiting: {
        results: one("SELECT count(*) AS rows FROM results").rows ?? 0,
        telemetry: one("SELECT count(*) AS rows FROM telemetry").rows ?? 0,
      },
      batches: { unreceipted, ofEarlierBoots: earlier },
      unstated: { batches: gaps.batches ?? 0, readings: gaps.readings ?? 0 },
      refusedBatchesKept: one("SELECT count(*) AS rows FROM refused").rows ?? 0,
      slotReceipts: { epochs: epochs.epochs ?? 0, newestEpoch: epochs.newest ?? undefined },
      tally: Object.fromEntries(
        (db.prepare("SELECT name, count FROM tally ORDER BY name").all() as { name: string; count: number }[]).map(
          ({ name, count }) => [name, count],
        ),
      ),
      fileBytes: statSync(storeFile(resolve(folder))).size,
    };
  } catch (cause) {
    throw new NodeFault(
      "store-unusable",
      `the edge store ${storeFile(resolve(folder))} cannot be read: ${(cause as Error).message}`,
      "If the node was started just now, ask again; else see its log.",
      cause,
    );
  } finally {
    db.close();
  }
}

export function statusText({
  boot,
  waiting,
  batches,
  unstated,
  refusedBatchesKept,
  slotReceipts,
  tally,
  fileBytes,
}: Summary): string {
  const lost = Object.entries(tally).filter(([name]) => name.startsWith("dropped.") || name.startsWith("refused."));
  return [
    boot
      ? `Boot ${boot.count} (${boot.id}): ${boot.sealed} batches numbered, stored by the coordinator up to ${boot.stored}.`
      : "No boot yet.",
    `Waiting: ${waiting.results} results and ${waiting.telemetry} telemetry readings, in ${batches.unreceipted} batches without a receipt` +
      ` (${batches.ofEarlierBoots} of earlier boots) or not yet in a batch.`,
    `Since the store was begun: ${tally.accepted ?? 0} readings accepted, ${tally.receipted ?? 0} stored by the coordinator.`,
    lost.length > 0
      ? `Lost: ${lost.map(([name, count]) => `${count} ${name.replace(".", ": ")}`).join(", ")}.`
      : "Lost: none.",
    ...(unstated.batches > 0
      ? [`Not yet confirmed as lost: ${unstated.batches} batch numbers with ${unstated.readings} readings.`]
      : []),
    ...(refusedBatchesKept > 0
      ? [`Refused batches kept for inspection: ${refusedBatchesKept} (table "refused").`]
      : []),
    slotReceipts.epochs > 0
      ? `Slot receipts: ${slotReceipts.epochs} epochs, newest ${slotReceipts.newestEpoch}.`
      : "Slot receipts: none yet.",
    `File: ${(fileBytes / 1e6).toFixed(1)} MB.`,
  ].join("\n");
}
