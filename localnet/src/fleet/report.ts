/** What cairn-fleet says: a line of figures per interval, and the summary. */
import type { FleetCounts, FleetInterval } from "./fleet.ts";
import type { Latency, Totals } from "./tally.ts";

export type FleetSummary = FleetCounts & {
  readonly seconds: number;
  /** Means over the time in which batches were made and settled. */
  readonly batchesReceiptedPerSecond: number;
  readonly readingsReceiptedPerSecond: number;
  /** Accepted by the outboxes of honest nodes, and not receipted; those taken back by the ledger among them. */
  readonly readingsLost: number;
};

export function summarise(counts: FleetCounts, seconds: number): FleetSummary {
  const { honest } = counts;
  const perSecond = (count: number) => Math.round((count / Math.max(seconds, 0.001)) * 10) / 10;
  return {
    seconds: Math.round(seconds * 10) / 10,
    batchesReceiptedPerSecond: perSecond(honest.batchesReceipted),
    readingsReceiptedPerSecond: perSecond(honest.readingsReceipted),
    readingsLost: honest.readingsCreated - honest.readingsReceipted + honest.readingsTakenBack,
    ...counts,
  };
}

const whole = (count: number) => count.toLocaleString("en-US");
const latencyText = ({ p50, p95, p99 }: Latency) =>
  p50 === null ? "receipts none" : `receipts p50 ${p50} p95 ${p95} p99 ${p99} ms`;

function codesText(codes: Readonly<Record<string, number>>): string {
  const texts = Object.entries(codes).flatMap(([code, count]) => (count > 0 ? [`${code} ${whole(count)}`] : []));
  return texts.join(", ") || "none";
}

/** What one total grew by. */
function grown(before: Totals, now: Totals, name: Exclude<keyof Totals, "refusals">): number {
  return now[name] - before[name];
}

function refusedSince(before: Totals, now: Totals): Record<string, number> {
  return Object.fromEntries(
    Object.entries(now.refusals).map(([code, count]) => [code, count - (before.refusals[code] ?? 0)]),
  );
}

/** "12 s  connected 100/100, 0.0 connects/s ..." */
export function intervalLine({ seconds, before, now, latencyMs }: FleetInterval, elapsedMs: number): string {
  const all = (name: "connects") =>
    grown(before.honest, now.honest, name) + grown(before.misbehaving, now.misbehaving, name);
  const rate = (count: number) => whole(Math.round((count / Math.max(seconds, 0.001)) * 10) / 10);
  const honest = (name: Exclude<keyof Totals, "refusals">) => grown(before.honest, now.honest, name);
  const parts = [
    `${Math.round(elapsedMs / 1_000)} s  connected ${whole(now.connected)}/${whole(now.nodes)}`,
    `${rate(all("connects"))} connects/s`,
    `batches/s sent ${rate(honest("batchesSent"))} receipted ${rate(honest("batchesReceipted"))}`,
    `${rate(honest("readingsReceipted"))} readings/s`,
    latencyText(latencyMs),
    `evidence ${whole(honest("evidenceSent"))}`,
    `slot receipts ${whole(honest("slotReceipts"))}`,
    `refusals ${codesText(refusedSince(before.honest, now.honest))}`,
    `backlog ${whole(now.backlogBatches)} batches`,
  ];
  if (now.misbehaving.nodes > 0)
    parts.push(
      `misbehaving: refusals ${codesText(refusedSince(before.misbehaving, now.misbehaving))}, cut off ${whole(grown(before.misbehaving, now.misbehaving, "cuts"))}`,
    );
  return parts.join(", ");
}

/** The summary for people. */
export function summaryLines(summary: FleetSummary): readonly string[] {
  const { honest, misbehaving } = summary;
  const lines = [
    `${whole(summary.nodes)} nodes for ${summary.seconds} s: ${whole(honest.readingsCreated)} readings in ${whole(honest.batchesCreated)} batches, ` +
      `${whole(honest.readingsReceipted)} receipted (${whole(summary.readingsReceiptedPerSecond)}/s), ${latencyText(summary.latencyMs)}`,
    `connects ${whole(honest.connects)}, failed ${whole(honest.connectsFailed)}, cut by the broker ${whole(honest.cuts)}; ` +
      `batches sent ${whole(honest.batchesSent)}, of these again ${whole(honest.batchesResent)}; ` +
      `evidence sent ${whole(honest.evidenceSent)}, acknowledged ${whole(honest.evidenceAcknowledged)}; slot receipts ${whole(honest.slotReceipts)}`,
    `refusals ${codesText(honest.refusals)}; beacons and receipts that did not hold ${whole(honest.messagesDistrusted)}`,
  ];
  if (misbehaving.nodes > 0)
    lines.push(
      `${whole(misbehaving.nodes)} misbehaving nodes sent ${codesText(misbehaving.misdeeds)}; cut off ${whole(misbehaving.cuts)} times; ` +
        `refusals they learned of ${codesText(misbehaving.refusals)}; readings of theirs receipted ${whole(misbehaving.readingsReceipted)}`,
    );
  const causes = [
    `${whole(summary.backlogReadings)} still wait`,
    `${whole(honest.readingsSetAside)} were refused for good`,
    `${whole(honest.readingsTakenBack)} were receipted and are missed by the ledger`,
  ];
  lines.push(
    summary.readingsLost === 0
      ? "lost: none, every reading of an honest node has its receipt"
      : `lost: ${whole(summary.readingsLost)} readings without a receipt that holds: ${causes.join(", ")}`,
  );
  return lines;
}
