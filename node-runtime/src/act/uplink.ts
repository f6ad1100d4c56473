/** Executes the uplink's steps: seals, sends, frees, sets aside. Every event (connection, receipt, timer, readings) asks for the next ones. */
import type { Batch, RejectionCode } from "@cairn/protocol";
import type {
  Boot,
  Log,
  Outstanding,
  Priority,
  Queued,
  RefusalMeaning,
  SealedBatch,
  Stored,
  Surroundings,
  UplinkLimits,
  UplinkState,
  UplinkStep,
} from "../model.ts";

/** What the uplink needs of the edge store. */
export type UplinkStore = {
  readonly boot: Boot;
  queued(): Queued;
  outstanding(limit: number): SealedBatch[];
  openTails(): Boot[];
  seal(priority: Priority, readings: number, most: number): SealedBatch[];
  sealStatement(boot: Boot): SealedBatch;
  read(batch: SealedBatch): Batch | undefined;
  received(stored: Stored): number;
  setAside(batch: SealedBatch, code: RejectionCode): void;
  abandon(boot: Boot, code: RejectionCode): void;
};

export type UplinkOptions = {
  readonly store: UplinkStore;
  readonly limits: UplinkLimits;
  readonly surroundings: Surroundings;
  readonly log: Log;
  next(state: UplinkState, limits: UplinkLimits): readonly UplinkStep[];
  meaning(code: RejectionCode): RefusalMeaning;
  /** Jittered delay before attempt 0, 1, 2 ..., ms. */
  backoff(attempt: number): number;
  /** Signs, packs and publishes one batch; rejects when the connection was lost first. */
  send(batch: Batch): Promise<void>;
};

export type Uplink = ReturnType<typeof createUplink>;

/** Least time between two starts over for a gap: the refusals of one lost batch come as many as a window holds. */
const gapQuietMs = 200;
/** It doubles with each that freed nothing, up to this. */
const gapQuietMostMs = 10_000;

export function createUplink({ store, limits, surroundings, log, next, meaning, backoff, send }: UplinkOptions) {
  /** By boot and sequence. */
  const inFlight = new Set<string>();
  const refused = new Map<string, { count: number; code: RejectionCode }>();
  /** When a priority's queue was first seen with something in it; undefined while it is empty. */
  const queuedSince: Record<Priority, number | undefined> = { results: undefined, telemetry: undefined };
  let connectedAtMs: number | undefined;
  let coordinator: UplinkState["coordinator"] = "unheard";
  let pausedUntilMs = 0;
  let lostAtMs: number | undefined;
  /** Starts over, pauses and failures since the last receipt that freed something. */
  let attempts = 0;
  let gapHandledAtMs = Number.NEGATIVE_INFINITY;
  /** Starts over for a gap since the last receipt that freed something. */
  let gapsHandled = 0;
  let cancelTimer: (() => void) | undefined;
  let working = false;
  let closed = false;
  let sent = 0;

  const keyOf = (boot: Boot, sequence: number) => `${boot.id} ${sequence}`;

  function since(priority: Priority, queued: Queued, nowMs: number): number {
    queuedSince[priority] = queued[priority] === 0 ? undefined : (queuedSince[priority] ?? nowMs);
    return queuedSince[priority] ?? nowMs;
  }

  function stateNow(): UplinkState {
    const nowMs = surroundings.steadyNow();
    const queued = store.queued();
    const outstanding = store.outstanding(limits.window).map((batch): Outstanding => {
      const key = keyOf(batch.boot, batch.sequence);
      const refusal = refused.get(key);
      return {
        ...batch,
        inFlight: inFlight.has(key),
        refusals: refusal?.count ?? 0,
        ...(refusal ? { refusedWith: refusal.code } : {}),
      };
    });
    return {
      nowMs,
      boot: store.boot,
      connectedAtMs,
      coordinator,
      pausedUntilMs,
      lostAtMs: inFlight.size > 0 ? lostAtMs : undefined,
      outstanding,
      openTails: store.openTails(),
      queued,
      queuedSinceMs: { results: since("results", queued, nowMs), telemetry: since("telemetry", queued, nowMs) },
    };
  }

  function work(): void {
    if (working || closed) return;
    working = true;
    cancelTimer?.();
    cancelTimer = undefined;
    try {
      for (let waiting = false; !waiting; ) {
        for (const step of next(stateNow(), limits)) {
          if (step.kind === "wait") {
            waiting = true;
            if (step.untilMs !== undefined) wakeIn(Math.max(1, step.untilMs - surroundings.steadyNow()));
          } else execute(step);
        }
      }
    } catch (cause) {
      // The store refused (disk full, damaged): nothing was changed, and trying at once would not help.
      log.error({ cause: String(cause) }, "the uplink could not use the store");
      wakeIn(backoff(attempts++));
    } finally {
      working = false;
    }
  }

  function wakeIn(ms: number): void {
    cancelTimer?.();
    cancelTimer = surroundings.later(ms, work);
  }

  function execute(step: Exclude<UplinkStep, { kind: "wait" }>): void {
    switch (step.kind) {
      case "send":
        transmit(step.batch);
        return;
      case "start-over":
        attempts++;
        log.warn({ attempts, inFlight: inFlight.size }, "no receipt in time, sending again from the oldest batch");
        startOver();
        return;
      case "seal":
        store.seal(step.priority, limits.batchReadings, step.batches);
        queuedSince[step.priority] = undefined;
        return;
      case "seal-statement":
        store.sealStatement(step.boot);
        return;
      case "set-aside":
        log.error(
          { boot: step.batch.boot.count, sequence: step.batch.sequence, code: step.code },
          "batch refused for good, set aside",
        );
        refused.delete(keyOf(step.batch.boot, step.batch.sequence));
        store.setAside(step.batch, step.code);
        startOver();
        return;
      case "abandon-boot":
        log.error({ boot: step.boot.count, code: step.code }, "all batches of an earlier boot refused, set aside");
        store.abandon(step.boot, step.code);
        startOver();
        return;
    }
  }

  function transmit(sealed: SealedBatch): void {
    const batch = store.read(sealed);
    if (!batch) return;
    if (inFlight.size === 0) expectReceipt();
    inFlight.add(keyOf(sealed.boot, sealed.sequence));
    sent++;
    // A publish fails only with its connection; disconnected() then takes everything back.
    send(batch).catch((cause) =>
      log.debug({ sequence: sealed.sequence, cause: String(cause) }, "batch not acknowledged"),
    );
  }

  function expectReceipt(): void {
    lostAtMs = surroundings.steadyNow() + backoff(attempts);
  }

  function startOver(): void {
    inFlight.clear();
    lostAtMs = undefined;
  }

  function pause(): void {
    pausedUntilMs = surroundings.steadyNow() + backoff(attempts++);
  }

  return {
    connected(): void {
      connectedAtMs = surroundings.steadyNow();
      work();
    },

    disconnected(): void {
      connectedAtMs = undefined;
      // Here, not on connecting: the coordinator's retained state comes with the subscription, before the connection counts as up.
      coordinator = "unheard";
      startOver();
      work();
    },

    coordinatorIs(state: "online" | "offline"): void {
      if (coordinator === "offline" && state === "online") {
        // It may have lost what was under way, and a whole fleet hears of its return at once.
        startOver();
        pausedUntilMs = Math.max(pausedUntilMs, surroundings.steadyNow() + surroundings.random() * limits.graceMs);
      }
      coordinator = state;
      work();
    },

    /** Readings were committed. */
    readingsCommitted: work,

    receipt(stored: Stored): void {
      const before = store.outstanding(1)[0];
      store.received(stored);
      const head = store.outstanding(1)[0];
      for (const key of [...inFlight, ...refused.keys()]) {
        const [boot, sequence] = key.split(" ");
        if (boot !== stored.boot || Number(sequence) > stored.upTo) continue;
        inFlight.delete(key);
        refused.delete(key);
      }
      if (before && (before.sequence !== head?.sequence || before.boot.id !== head.boot.id)) {
        attempts = 0;
        gapsHandled = 0;
        expectReceipt();
      }
      if (stored.refused) refusal(stored.boot, stored.refused);
      work();
    },

    /** Batches sent since the start, repeats included; and how many wait for a receipt now, at most a window. */
    counts: () => ({ sent, inFlight: inFlight.size }),

    close(): void {
      closed = true;
      cancelTimer?.();
    },
  };

  function refusal(bootId: string, { sequence, code }: NonNullable<Stored["refused"]>): void {
    const key = `${bootId} ${sequence}`;
    // The answer to a batch that is not under way any more, or that was receipted since.
    if (!inFlight.has(key)) return;
    const now = surroundings.steadyNow();
    const what = meaning(code);
    // It is stored, and what it follows is under way: only of the oldest this says that the coordinator has lost what it had.
    const oldest = store.outstanding(1)[0];
    if (what === "ahead" && (oldest?.sequence !== sequence || oldest.boot.id !== bootId)) return;
    if (what === "gap" || what === "ahead") {
      if (now - gapHandledAtMs < Math.min(gapQuietMs * 2 ** gapsHandled, gapQuietMostMs)) return;
      gapHandledAtMs = now;
      gapsHandled++;
      log.warn({ sequence, code }, "the coordinator misses a batch, sending again from the oldest");
      startOver();
      return;
    }
    log.warn({ sequence, code }, "the coordinator refused a batch");
    const current = bootId === store.boot.id;
    if (what === "batch" || (what === "boot" && !current)) {
      const count = (refused.get(key)?.count ?? 0) + 1;
      refused.set(key, { count, code });
    }
    startOver();
    pause();
  }
}
