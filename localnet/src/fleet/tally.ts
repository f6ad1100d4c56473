/** What a fleet counts. Honest and misbehaving nodes are counted apart: a refusal of the one is a finding, of the other the aim. */
import type { Misdeed } from "./plan.ts";

/** Totals since the start; only ever grow. */
export type Totals = {
  /** Connections that came as far as an announced birth. */
  connects: number;
  /** Attempts that did not. */
  connectsFailed: number;
  /** Connections that the other side ended, after they stood. */
  cuts: number;
  batchesCreated: number;
  readingsCreated: number;
  /** With repeats; those alone. */
  batchesSent: number;
  batchesResent: number;
  batchesReceipted: number;
  readingsReceipted: number;
  evidenceSent: number;
  evidenceAcknowledged: number;
  slotReceipts: number;
  /** Set aside after being refused for good three times: stated as dropped, in no ledger. */
  readingsSetAside: number;
  /** Receipted, and then missed by the ledger: acknowledged readings that are lost. */
  readingsTakenBack: number;
  /** Beacons and receipts that did not stand up to the checks of a node. */
  messagesDistrusted: number;
  /** Refusals that the nodes learned of, by code; "connack-N" and "suback-128" are the broker's. */
  refusals: Record<string, number>;
};

export function emptyTotals(): Totals {
  return {
    connects: 0,
    connectsFailed: 0,
    cuts: 0,
    batchesCreated: 0,
    readingsCreated: 0,
    batchesSent: 0,
    batchesResent: 0,
    batchesReceipted: 0,
    readingsReceipted: 0,
    evidenceSent: 0,
    evidenceAcknowledged: 0,
    slotReceipts: 0,
    readingsSetAside: 0,
    readingsTakenBack: 0,
    messagesDistrusted: 0,
    refusals: {},
  };
}

export function note(counts: Record<string, number>, what: string): void {
  counts[what] = (counts[what] ?? 0) + 1;
}

/** Messages sent that deserve a refusal. */
export type Misdeeds = Partial<Record<Misdeed, number>>;

/** Ms; null while nothing was measured. */
export type Latency = { readonly p50: number | null; readonly p95: number | null; readonly p99: number | null };

/** Neighbouring buckets differ by this factor, which is how exact a percentile is. */
const step = 1.02;
/** Up to 0.1 ms x 1.02^1024: 18 hours. */
const buckets = 1_024;
const leastMs = 0.1;

/** Durations in buckets of equal ratio: any number of them in 4 KB. */
export class Latencies {
  readonly #counts = new Uint32Array(buckets);
  #total = 0;

  add(ms: number): void {
    const bucket = Math.ceil(Math.log(Math.max(ms, leastMs) / leastMs) / Math.log(step));
    const place = Math.min(buckets - 1, bucket);
    this.#counts[place] = (this.#counts[place] ?? 0) + 1;
    this.#total += 1;
  }

  /** The duration that this share of all did not exceed (nearest rank), to 2 %. */
  quantile(share: number): number | null {
    if (this.#total === 0) return null;
    const rank = Math.max(1, Math.ceil(share * this.#total));
    let seen = 0;
    let place = 0;
    for (; place < buckets - 1; place++) {
      seen += this.#counts[place] ?? 0;
      if (seen >= rank) break;
    }
    return Math.round(leastMs * step ** place * 10) / 10;
  }

  figures(): Latency {
    return { p50: this.quantile(0.5), p95: this.quantile(0.95), p99: this.quantile(0.99) };
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }
}
