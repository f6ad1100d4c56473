/**
 * From arrivals to commits. Each arrival is judged at once (in threads of their own), all are committed in the order of their
 * arrival, as many per transaction as have been judged meanwhile: group commit without a timer. Nothing is answered before its commit.
 * Where replicas share the work, a batch may overtake the one it follows, which another replica holds: it is handed in again, for a
 * while, before it counts as a gap.
 */
import type { Arrival, Input, Verdict } from "../model.ts";

export type IngestQueue = {
  /** Arrivals not yet committed. */
  readonly depth: number;
  /** When the oldest of them was taken, by `actions.now`; null when there is none. */
  readonly oldestAt: number | null;
  /** Refusals that were not kept because the queue was full. */
  readonly shed: number;
  /**
   * Takes an arrival. A promise comes back while the queue is full: hold the sender until it settles. `committed` is called once its
   * outcome is durable, and never when it could not be judged or the queue was closed first.
   */
  push(arrival: Arrival, committed?: () => void): Promise<void> | undefined;
  /** Takes an input that was judged elsewhere. While the queue is full it is counted in `shed` instead, which `committed` also hears of. */
  pushJudged(input: Input, committed?: () => void): void;
  /** Settles when everything that was pushed before is committed. */
  flush(): Promise<void>;
  close(): Promise<void>;
};

export type IngestActions = {
  /** How long an early batch is handed in again; 0 where nobody else takes in what it follows. */
  readonly patienceMs: number;
  now(): number;
  judge(arrival: Arrival): Promise<Input>;
  admit(inputs: readonly Input[]): Promise<readonly Verdict[]>;
  /** Whether an error of `admit` is the fault of one of the inputs, and not the ledger's own trouble. */
  isInputs(error: unknown): boolean;
  /** The refusal of an input that the ledger, though it is well, cannot hold. */
  unstorable(input: Input, error: unknown): Input;
  /** The inputs are durable: answer them. */
  admitted(inputs: readonly Input[], verdicts: readonly Verdict[]): void;
  /** The ledger could not commit. */
  fault(error: unknown): void;
};

/** Most inputs of one transaction: bounds how long the event loop is held. */
const groupSize = 256;
const capacity = 2_048;
const retryMs = 1_000;
const handInAgain = { firstMs: 20, ceilingMs: 160 };
/** Where replicas share the work, each gets a part of it: commits wait for one another so long, unless half a group is there. */
const lingerMs = 20;
/** Boots whose watermark is remembered between two groups. */
const bootsRemembered = 10_000;

type Admitted = { readonly inputs: readonly Input[]; readonly verdicts: readonly Verdict[] };

/** `number` counts what was pushed, from 1 on. `early`: since when, and not to be handed in again before. */
type Slot = {
  readonly number: number;
  readonly at: number;
  readonly committed: (() => void) | undefined;
  input: Input | null;
  early?: { readonly since: number; readonly notBefore: number; readonly waitMs: number };
};

export function createIngestQueue(actions: IngestActions): IngestQueue {
  const slots: Slot[] = [];
  let waiting: { promise: Promise<void>; release: () => void } | null = null;
  let flushes: { after: number; done: () => void }[] = [];
  let pushed = 0;
  let shed = 0;
  let running = false;
  let closed = false;

  const isShared = actions.patienceMs > 0;
  /** Of boots that have something waiting here: up to where they are stored, as far as this replica knows. */
  const watermarks = new Map<string, number>();
  let committedAt = Number.NEGATIVE_INFINITY;
  let alarm: { readonly at: number; readonly timer: NodeJS.Timeout } | null = null;

  function enqueue(committed: (() => void) | undefined): Slot {
    pushed += 1;
    const slot: Slot = { number: pushed, at: actions.now(), committed, input: null };
    slots.push(slot);
    return slot;
  }

  /** Everything up to this number is committed, or was not kept. */
  const doneUpTo = () => (slots[0] ? slots[0].number - 1 : pushed);

  function judged(slot: Slot, input: Input): void {
    slot.input = input;
    nudge();
  }

  /** Judging itself broke: the arrival is not answered, so its sender keeps it, and the queue goes on. */
  function forget(slot: Slot, error: unknown): void {
    actions.fault(error);
    slots.splice(slots.indexOf(slot), 1);
    settle();
    nudge();
  }

  function nudge(): void {
    if (!running) void run();
  }

  async function run(): Promise<void> {
    running = true;
    for (let group = readyGroup(); group.length > 0; group = readyGroup()) {
      const admitted = await admitUntilDurable(group.map(handIn));
      if (admitted === null) break;
      finish(group.slice(0, admitted.inputs.length), admitted);
      settle();
      // Sockets and signatures get their turn between two transactions.
      await new Promise((resolve) => setImmediate(resolve));
    }
    running = false;
  }

  /**
   * Judged and due, in order of arrival; ends at the first that is still being judged. Of a boot only what follows one after the other:
   * what waits for another replica would be early, and is not handed in until the first of it is no longer.
   */
  function readyGroup(): Slot[] {
    const group: Slot[] = [];
    const now = actions.now();
    const last = new Map<string, number>();
    const held = new Set<string>();
    let next = Number.POSITIVE_INFINITY;
    for (const slot of slots) {
      if (!slot.input || group.length === groupSize) break;
      const boot = isShared ? bootOf(slot.input) : undefined;
      if (boot && slot.input.kind === "batch") {
        const { seq, dropped } = slot.input.payload;
        const before = last.get(boot) ?? watermarks.get(boot);
        const follows = before !== undefined && seq <= before + 1;
        if (before !== undefined && !follows && !dropped) slot.early ??= earlyFrom(now);
        if (!follows && (held.has(boot) || (slot.early && (slot.early.notBefore > now || last.has(boot))))) {
          held.add(boot);
          next = Math.min(next, Math.max(now + 1, slot.early?.notBefore ?? now));
          continue;
        }
        // Whether what it waits for has come is asked by it alone.
        if (slot.early && !follows) held.add(boot);
        else last.set(boot, Math.max(seq, before ?? 0));
      }
      group.push(slot);
    }
    const waitMs = isShared && group.length > 0 && group.length < groupSize / 2 ? committedAt + lingerMs - now : 0;
    if (waitMs > 0) next = Math.min(next, now + waitMs);
    if ((group.length === 0 || waitMs > 0) && next < Number.POSITIVE_INFINITY) wakeAt(next);
    return waitMs > 0 ? [] : group;
  }

  function wakeAt(at: number): void {
    if (alarm && alarm.at <= at) return;
    if (alarm) clearTimeout(alarm.timer);
    const timer = setTimeout(
      () => {
        alarm = null;
        nudge();
      },
      Math.max(1, at - actions.now()),
    );
    alarm = { at, timer };
  }

  function handIn({ input, early }: Slot): Input {
    if (!input) throw new Error("an arrival that is not judged cannot be handed in");
    const patient = isShared && (!early || actions.now() - early.since < actions.patienceMs);
    return input.kind === "batch" && patient ? { ...input, mayWait: true } : input;
  }

  function finish(group: readonly Slot[], { inputs, verdicts }: Admitted): void {
    const now = actions.now();
    const settled: Slot[] = [];
    const outcome: { inputs: Input[]; verdicts: Verdict[] } = { inputs: [], verdicts: [] };
    for (const [index, slot] of group.entries()) {
      const [input, verdict] = [inputs[index], verdicts[index]];
      if (!input || !verdict) continue;
      const boot = isShared ? bootOf(input) : undefined;
      if (boot && verdict.storedUpTo !== undefined) watermarks.set(boot, verdict.storedUpTo);
      if (verdict.early) {
        const waitMs = Math.min(handInAgain.ceilingMs, slot.early ? slot.early.waitMs * 2 : handInAgain.firstMs);
        slot.early = { since: slot.early?.since ?? now, notBefore: now + waitMs, waitMs };
      } else {
        settled.push(slot);
        outcome.inputs.push(input);
        outcome.verdicts.push(verdict);
      }
    }
    committedAt = now;
    if (watermarks.size > bootsRemembered) watermarks.clear();
    remove(settled);
    actions.admitted(outcome.inputs, outcome.verdicts);
    for (const { committed } of settled) committed?.();
  }

  function remove(settled: readonly Slot[]): void {
    if (settled.every((slot, index) => slots[index] === slot)) slots.splice(0, settled.length);
    else {
      const gone = new Set(settled);
      slots.splice(0, slots.length, ...slots.filter((slot) => !gone.has(slot)));
    }
  }

  /**
   * Commits the group, or its first part. A ledger that is broken or busy is tried again with the whole; where an input is at fault, the
   * group is narrowed down to it, and that one is refused. null: the queue was closed before anything could be committed.
   */
  async function admitUntilDurable(group: readonly Input[]): Promise<Admitted | null> {
    let inputs = group;
    while (!closed) {
      try {
        return { inputs, verdicts: await actions.admit(inputs) };
      } catch (error) {
        actions.fault(error);
        const [first] = inputs;
        const isInputs = actions.isInputs(error) && first?.kind !== "refused";
        if (!isInputs) await new Promise((resolve) => setTimeout(resolve, retryMs));
        else if (inputs.length > 1) inputs = inputs.slice(0, inputs.length >> 1);
        else if (first) inputs = [actions.unstorable(first, error)];
      }
    }
    return null;
  }

  function settle(): void {
    if (waiting && slots.length < capacity / 2) {
      waiting.release();
      waiting = null;
    }
    const due = flushes.filter(({ after }) => doneUpTo() >= after);
    if (due.length === 0) return;
    flushes = flushes.filter(({ after }) => doneUpTo() < after);
    for (const { done } of due) done();
  }

  return {
    get depth() {
      return slots.length;
    },
    get oldestAt() {
      return slots[0]?.at ?? null;
    },
    get shed() {
      return shed;
    },
    push(arrival, committed) {
      const slot = enqueue(committed);
      actions.judge(arrival).then(
        (input) => judged(slot, input),
        (error: unknown) => forget(slot, error),
      );
      if (slots.length < capacity) return undefined;
      waiting ??= gate();
      return waiting.promise;
    },
    pushJudged(input, committed) {
      if (slots.length < capacity) return judged(enqueue(committed), input);
      shed += 1;
      committed?.();
    },
    flush() {
      if (slots.length === 0) return Promise.resolve();
      return new Promise((done) => flushes.push({ after: pushed, done }));
    },
    async close() {
      await Promise.race([this.flush(), new Promise((resolve) => setTimeout(resolve, retryMs))]);
      closed = true;
      if (alarm) clearTimeout(alarm.timer);
    },
  };
}

function earlyFrom(now: number): NonNullable<Slot["early"]> {
  return { since: now, notBefore: now + handInAgain.firstMs, waitMs: handInAgain.firstMs };
}

function bootOf(input: Input): string | undefined {
  return input.kind === "batch" ? `${input.nodeId} ${input.payload.boot}` : undefined;
}

function gate(): { promise: Promise<void>; release: () => void } {
  let release = () => {};
  const promise = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { promise, release };
}
