/**
 * From arrivals to commits. Each arrival is judged at once (in threads of their own), all are committed in the order of their
 * arrival, as many per transaction as have been judged meanwhile: group commit without a timer. Nothing is answered before its commit.
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

type Admitted = { readonly inputs: readonly Input[]; readonly verdicts: readonly Verdict[] };

/** `number` counts what was pushed, from 1 on. */
type Slot = {
  readonly number: number;
  readonly at: number;
  readonly committed: (() => void) | undefined;
  input: Input | null;
};

export function createIngestQueue(actions: IngestActions): IngestQueue {
  const slots: Slot[] = [];
  let waiting: { promise: Promise<void>; release: () => void } | null = null;
  let flushes: { after: number; done: () => void }[] = [];
  let pushed = 0;
  let shed = 0;
  let running = false;
  let closed = false;

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
    if (!running && slots[0]?.input) void run();
  }

  /** Judging itself broke: the arrival is not answered, so its sender keeps it, and the queue goes on. */
  function forget(slot: Slot, error: unknown): void {
    actions.fault(error);
    slots.splice(slots.indexOf(slot), 1);
    settle();
    if (!running && slots[0]?.input) void run();
  }

  async function run(): Promise<void> {
    running = true;
    while (slots[0]?.input) {
      const admitted = await admitUntilDurable(readyGroup());
      if (admitted === null) break;
      const done = slots.splice(0, admitted.inputs.length);
      actions.admitted(admitted.inputs, admitted.verdicts);
      for (const { committed } of done) committed?.();
      settle();
      // Sockets and signatures get their turn between two transactions.
      await new Promise((resolve) => setImmediate(resolve));
    }
    running = false;
  }

  function readyGroup(): Input[] {
    const group: Input[] = [];
    for (const { input } of slots) {
      if (!input || group.length === groupSize) break;
      group.push(input);
    }
    return group;
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
    },
  };
}

function gate(): { promise: Promise<void>; release: () => void } {
  let release = () => {};
  const promise = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { promise, release };
}
