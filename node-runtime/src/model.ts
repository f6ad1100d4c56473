/** Types that several stages of the node share. Types only: this file imports nothing at run time. */
import type { BootId, RejectionCode } from "@cairn/protocol";

/** Bytes from a device: a serial port, or a recording that behaves like one. */
export type ByteSource = {
  readonly name: string;
  /** Opens and keeps open (re-opens with jittered backoff when the port vanishes) until close(). */
  start(listener: {
    bytes(chunk: Uint8Array, atMs: number): void;
    state(state: "open" | "lost", detail: string): void;
  }): void;
  close(): Promise<void>;
};

/** What was thrown away by a parser, by reason: counts of bytes or sentences. */
export type Discards = Readonly<Record<string, number>>;

/** The two classes of the outbox. Results (positions, results of work) are sent first and dropped last; telemetry is about the host. */
export type Priority = "results" | "telemetry";

/** One run of the daemon: `id` is random, `count` rises by one with every run of this device. */
export type Boot = { readonly id: BootId; readonly count: number };

/** A numbered batch that waits for its receipt. `readings` 0: it only states what was dropped before it. */
export type SealedBatch = { readonly boot: Boot; readonly sequence: number; readonly readings: number };

/** What the outbox holds that has no sequence number yet, readings. */
export type Queued = Readonly<Record<Priority, number>>;

/** What a coordinator's storage receipt says, its signature already checked. */
export type Stored = {
  readonly boot: BootId;
  readonly upTo: number;
  readonly refused?: { readonly sequence: number; readonly code: RejectionCode };
};

export type UplinkLimits = {
  /** Batches without a receipt at a time. */
  readonly window: number;
  /** A batch is sealed at this many readings, or when the oldest has waited this long (ms). */
  readonly batchReadings: number;
  readonly batchMs: number;
  /** How long after connecting a coordinator that has not said a word is taken as online, ms. */
  readonly graceMs: number;
  /** Refusals after which a batch is set aside. */
  readonly refusals: number;
};

export type Outstanding = SealedBatch & {
  /** Sent since the last start over, no receipt yet. */
  readonly inFlight: boolean;
  /** How often it was refused for good, and with what. */
  readonly refusals: number;
  readonly refusedWith?: RejectionCode;
};

/** Its times are of `Surroundings.steadyNow`, ms. */
export type UplinkState = {
  readonly nowMs: number;
  readonly boot: Boot;
  /** Since when the broker is connected; undefined when it is not. */
  readonly connectedAtMs: number | undefined;
  readonly coordinator: "online" | "offline" | "unheard";
  /** Nothing is sent before this time, after a refusal or a coordinator's return. */
  readonly pausedUntilMs: number;
  /** When the oldest batch in flight counts as lost; undefined when none is in flight. */
  readonly lostAtMs: number | undefined;
  /** The oldest batches without a receipt, at most a window of them, oldest first. */
  readonly outstanding: readonly Outstanding[];
  /** Boots with numbers dropped that no batch after them states. */
  readonly openTails: readonly Boot[];
  readonly queued: Queued;
  /** Since when readings of a priority wait unsealed, ms. */
  readonly queuedSinceMs: Readonly<Record<Priority, number>>;
};

export type UplinkStep =
  | { readonly kind: "send"; readonly batch: SealedBatch }
  | { readonly kind: "start-over"; readonly reason: "no-receipt" }
  | { readonly kind: "seal"; readonly priority: Priority; readonly batches: number }
  | { readonly kind: "seal-statement"; readonly boot: Boot }
  | { readonly kind: "set-aside"; readonly batch: SealedBatch; readonly code: RejectionCode }
  | { readonly kind: "abandon-boot"; readonly boot: Boot; readonly code: RejectionCode }
  /** `untilMs` undefined: until something happens. */
  | { readonly kind: "wait"; readonly untilMs: number | undefined };

/**
 * What a refusal in a storage receipt asks for. `gap`: send again from the first number that is missing. `ahead`: nothing, it is
 * stored, but what it follows is not yet. `batch`: a permanent fault of this one batch. `boot`: a fault of the boot it belongs to. `later`: nothing is wrong with the batch, try later.
 */
export type RefusalMeaning = "gap" | "ahead" | "batch" | "boot" | "later";

/** A slot receipt, checked: the verifier's signed bytes as they came, and how many slots they speak of as credited. */
export type KeptSlotReceipt = {
  readonly epoch: number;
  readonly verifier: string;
  readonly credited: number;
  readonly message: Uint8Array;
};

/** Sends one MQTT message at QoS 1; settles when the broker acknowledged it, rejects when the connection was lost before. */
export type Publish = (topic: string, payload: Uint8Array | string, options?: { retain?: boolean }) => Promise<void>;

/** Clock, timer and chance, handed in so that tests can own them. `random` is uniform in [0, 1). */
export type Surroundings = {
  /** Unix ms: the time of measurements and of what others read. It jumps when somebody sets the clock. */
  now(): number;
  /** Ms since the process began, by a clock that nobody sets: for everything that waits. */
  steadyNow(): number;
  /** Runs the task once after `ms`; the returned function cancels it. */
  later(ms: number, task: () => void): () => void;
  random(): number;
};

/** The part of a logger that the stages use: fields, then words. */
export type Log = Readonly<
  Record<"debug" | "info" | "warn" | "error", (fields: Record<string, unknown>, text: string) => void>
>;

export type Location = {
  readonly latitude: number;
  readonly longitude: number;
  readonly altitude?: number;
  readonly atMs: number;
};
