/**
 * The uplink of a simulated node: a window of batches without a receipt, sent again from the oldest on when no receipt comes in time
 * (go-back-n). It follows the rules of cairn-node, with numbers in place of stored rows: readings are made again when they are sent.
 */
import type { Dropped, RejectionCode, StorageReceipt } from "@cairn/protocol";

export type UplinkRules = {
  /** Batches without a receipt at a time. */
  readonly window: number;
  /** How long after connecting a coordinator that has not said a word is taken as online, ms. */
  readonly graceMs: number;
  /** Refusals after which a batch is set aside. */
  readonly refusals: number;
  readonly readingsPerBatch: number;
  /** Jittered delay before attempt 0, 1, 2 ..., ms. */
  backoff(attempt: number): number;
};

export type UplinkActions = {
  send(sequence: number, dropped: readonly Dropped[], again: boolean): void;
  /** `afterMs`: since it was first sent. */
  receipted(sequence: number, afterMs: number): void;
  setAside(sequence: number): void;
  /** The ledger misses batches that it had receipted. */
  takenBack(batches: number): void;
};

/** Least time between two starts over for a gap: the refusals of one lost batch come as many as a window holds. */
const gapQuietMs = 200;
/** Codes that speak of the batch itself: it would be refused again. */
const faultsOfBatch: ReadonlySet<RejectionCode> = new Set([
  "payload-too-large",
  "envelope-malformed",
  "payload-malformed",
  "schema-mismatch",
]);
const nothing: readonly Dropped[] = [];

export class Uplink {
  readonly #rules: UplinkRules;
  readonly #actions: UplinkActions;
  /** When each batch of the window was first sent, by sequence modulo the window. */
  readonly #sentAtMs: number[] = [];
  #sealed: number;
  #stored = 0;
  #sent = 0;
  #highestSent = 0;
  /** Numbers from `stored` + 1 on that will never come; the next batch states them. */
  #dropped = nothing;
  #upAtMs: number | undefined;
  #coordinator: "online" | "offline" | "unheard" = "unheard";
  #pausedUntilMs = 0;
  #lostAtMs = 0;
  #attempts = 0;
  #refusals = 0;
  #gapHandledAtMs = Number.NEGATIVE_INFINITY;

  /** @param sealed batches that wait already */
  constructor(rules: UplinkRules, sealed: number, actions: UplinkActions) {
    this.#rules = rules;
    this.#actions = actions;
    this.#sealed = sealed;
  }

  get stored(): number {
    return this.#stored;
  }

  get sealed(): number {
    return this.#sealed;
  }

  /** Sealed batches that are neither receipted nor given up. */
  get waiting(): number {
    return this.#sealed - this.#settled();
  }

  seal(): number {
    this.#sealed += 1;
    return this.#sealed;
  }

  up(nowMs: number): void {
    this.#upAtMs = nowMs;
  }

  down(): void {
    this.#upAtMs = undefined;
    this.#coordinator = "unheard";
    this.#startOver();
  }

  /** `chance` in [0, 1) spreads a fleet that hears of its coordinator's return at once. */
  coordinatorIs(state: "online" | "offline", nowMs: number, chance: number): void {
    if (this.#coordinator === "offline" && state === "online") {
      this.#startOver();
      this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + chance * this.#rules.graceMs);
    }
    this.#coordinator = state;
  }

  /** Sends what may be sent; returns when to ask again, undefined: when something has happened. */
  work(nowMs: number): number | undefined {
    const { window, graceMs, backoff } = this.#rules;
    if (this.#upAtMs === undefined || this.#coordinator === "offline") return undefined;
    if (this.#coordinator === "unheard" && nowMs < this.#upAtMs + graceMs) return this.#upAtMs + graceMs;
    if (nowMs < this.#pausedUntilMs) return this.#pausedUntilMs;
    const settled = this.#settled();
    if (this.#sent > settled && nowMs >= this.#lostAtMs) {
      this.#attempts += 1;
      this.#startOver();
    }
    while (this.#sent < Math.min(this.#sealed, settled + window)) {
      if (this.#sent === settled) this.#lostAtMs = nowMs + backoff(this.#attempts);
      this.#sent += 1;
      const again = this.#sent <= this.#highestSent;
      if (!again) this.#sentAtMs[this.#sent % window] = nowMs;
      this.#highestSent = Math.max(this.#highestSent, this.#sent);
      this.#actions.send(this.#sent, this.#sent === settled + 1 ? this.#dropped : nothing, again);
    }
    return this.#sent > settled ? this.#lostAtMs : undefined;
  }

  receipt({ upTo, refused }: Pick<StorageReceipt, "upTo" | "refused">, nowMs: number): void {
    const covered = Math.min(upTo, this.#highestSent);
    if (covered > this.#stored) {
      for (let sequence = this.#stored + 1; sequence <= covered; sequence++)
        if (!this.#dropped.some(({ first, last }) => first <= sequence && sequence <= last))
          this.#actions.receipted(sequence, nowMs - (this.#sentAtMs[sequence % this.#rules.window] ?? nowMs));
      this.#stored = covered;
      this.#dropped = this.#dropped.filter(({ last }) => last > covered);
      this.#sent = Math.max(this.#sent, this.#settled());
      this.#attempts = 0;
      this.#refusals = 0;
      this.#lostAtMs = nowMs + this.#rules.backoff(0);
    }
    if (refused) this.#refused(refused, upTo, nowMs);
  }

  #refused({ sequence, code }: NonNullable<StorageReceipt["refused"]>, upTo: number, nowMs: number): void {
    const settled = this.#settled();
    // The answer to a batch that is not under way any more, or that was receipted since.
    if (sequence <= settled || sequence > this.#sent) return;
    // It is stored, and what it follows is under way: only of the oldest this says that the ledger has lost what it had.
    if (code === "sequence-duplicate" && sequence > settled + 1) return;
    if (code === "sequence-gap" || code === "sequence-duplicate") {
      if (nowMs - this.#gapHandledAtMs < gapQuietMs) return;
      this.#gapHandledAtMs = nowMs;
      if (upTo < this.#stored && sequence === settled + 1) this.#takeBack(upTo);
      this.#startOver();
      return;
    }
    if (faultsOfBatch.has(code) && sequence === settled + 1) {
      this.#refusals += 1;
      if (this.#refusals >= this.#rules.refusals) this.#setAside(sequence);
    }
    this.#startOver();
    this.#pausedUntilMs = nowMs + this.#rules.backoff(this.#attempts);
    this.#attempts += 1;
  }

  /** A real node has freed the rows of a receipted batch, and can only state that they are gone. */
  #takeBack(upTo: number): void {
    this.#actions.takenBack(this.#stored - upTo);
    this.#dropped = [{ first: upTo + 1, last: this.#stored, readings: 0, reason: "already-freed" }, ...this.#dropped];
    this.#stored = upTo;
  }

  #setAside(sequence: number): void {
    const { readingsPerBatch } = this.#rules;
    const before = this.#dropped.at(-1);
    this.#dropped =
      before?.reason === "refused"
        ? [...this.#dropped.slice(0, -1), { ...before, last: sequence, readings: before.readings + readingsPerBatch }]
        : [...this.#dropped, { first: sequence, last: sequence, readings: readingsPerBatch, reason: "refused" }];
    this.#refusals = 0;
    this.#actions.setAside(sequence);
  }

  /** The last number that is either stored or given up. */
  #settled(): number {
    return Math.max(this.#stored, this.#dropped.at(-1)?.last ?? 0);
  }

  #startOver(): void {
    this.#sent = this.#settled();
  }
}
