import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { bootId, makeDevice } from "../../testing/devices.ts";
import { deathInput } from "../../testing/inputs.ts";
import type { Arrival, Input, Verdict } from "../model.ts";
import { createIngestQueue, type IngestQueue } from "./ingest-queue.ts";

const capacity = 2_048;
const { nodeId } = makeDevice();
const boot = bootId();

test("inputs are committed and answered in the order of arrival, whichever is judged first", async () => {
  const house = createHouse();
  for (const number of [1, 2, 3]) house.push(number);
  house.judge(3);
  house.judge(2);
  await turn();
  assert.deepEqual(house.committed, []);
  house.judge(1);
  await house.queue.flush();
  assert.deepEqual(house.committed, [1, 2, 3]);
  assert.deepEqual(house.answered, [1, 2, 3]);
});

test("what is judged while a transaction runs goes together into the next one", async () => {
  const house = createHouse({ ledger: "held" });
  house.push(1);
  house.judge(1);
  await turn();
  for (const number of [2, 3, 4]) {
    house.push(number);
    house.judge(number);
  }
  await turn();
  house.release();
  await house.queue.flush();
  assert.deepEqual(house.groups, [[1], [2, 3, 4]]);
});

test("a transaction takes no more than a bounded number of inputs", async () => {
  const house = createHouse({ ledger: "held" });
  for (let number = 1; number <= 900; number++) {
    house.push(number);
    house.judge(number);
  }
  await turn();
  house.release();
  await house.queue.flush();
  assert.equal(house.committed.length, 900);
  assert.ok(Math.max(...house.groups.map((group) => group.length)) <= 256);
});

test("nothing is answered before its commit", async () => {
  const house = createHouse({ ledger: "held" });
  house.push(1);
  house.judge(1);
  for (let turns = 0; turns < 5; turns++) await turn();
  assert.deepEqual([house.groups, house.answered], [[[1]], []]);
  house.release();
  await house.queue.flush();
  assert.deepEqual(house.answered, [1]);
});

test("a ledger that fails gets the same inputs again, and they are answered once", async () => {
  const house = createHouse({ ledger: "failing" });
  house.push(1);
  house.push(2);
  house.judge(1);
  house.judge(2);
  await turn();
  await turn();
  assert.deepEqual([house.answered, house.faults.length, house.queue.depth], [[], 1, 2]);
  house.release();
  await house.queue.flush();
  assert.deepEqual([house.answered, house.committed, house.queue.depth], [[1, 2], [1, 2], 0]);
  assert.match(String(house.faults[0]), /the disk is full/);
});

test("an input that the ledger cannot hold costs itself alone: it is refused, and those around it are committed in order", async () => {
  const house = createHouse({ poison: 3 });
  for (let number = 1; number <= 6; number++) house.push(number);
  for (let number = 1; number <= 6; number++) house.judge(number);
  await house.queue.flush();
  assert.deepEqual(
    [house.committed, house.answered],
    [
      [1, 2, 3, 4, 5, 6],
      [1, 2, 3, 4, 5, 6],
    ],
  );
  assert.deepEqual(house.refused, [3]);
  assert.match(String(house.faults[0]), /too large/);
});

test("a full queue holds its senders until half of it is committed", async () => {
  const house = createHouse({ ledger: "held" });
  let held: Promise<void> | undefined;
  for (let number = 1; number <= capacity; number++) {
    held = house.push(number).held;
    assert.equal(held !== undefined, number === capacity);
  }
  let released = false;
  const release = held?.then(() => {
    released = true;
  });
  for (let number = 1; number <= capacity; number++) house.judge(number);
  await turn();
  assert.equal(released, false);
  house.release();
  await release;
  assert.ok(house.queue.depth < capacity / 2);
  assert.ok(house.committed.length > capacity / 2);
});

test("refusals from elsewhere keep their place, and are not kept while the queue is full", async () => {
  const house = createHouse({ ledger: "held" });
  house.push(1);
  house.queue.pushJudged(inputOf(2));
  house.push(3);
  for (let number = 4; number <= capacity; number++) house.push(number);
  house.queue.pushJudged(inputOf(9_999));
  for (let number = 1; number <= capacity; number++) if (number !== 2) house.judge(number);
  house.release();
  await house.queue.flush();
  assert.deepEqual(house.committed.slice(0, 4), [1, 2, 3, 4]);
  assert.equal(house.committed.length, capacity);
});

test("a flush waits for what was pushed before it, not for what comes later", async () => {
  const house = createHouse();
  house.push(1);
  house.push(2);
  let flushed = false;
  const flush = house.queue.flush().then(() => {
    flushed = true;
  });
  house.push(3);
  house.judge(1);
  await turn();
  await turn();
  assert.deepEqual([house.committed, flushed], [[1], false]);
  house.judge(2);
  await flush;
  assert.deepEqual(house.committed, [1, 2]);
  assert.equal(house.queue.depth, 1);
});

test("a flush of an idle queue is done at once", async () => {
  await createHouse().queue.flush();
});

test("an arrival whose judging throws is reported, not answered, and holds up nobody", async () => {
  const house = createHouse();
  for (const number of [1, 2, 3]) house.push(number);
  const flush = house.queue.flush();
  house.judge(2);
  house.judge(3);
  house.breakJudging(1);
  await flush;
  assert.deepEqual([house.answered, house.queue.depth], [[2, 3], 0]);
  assert.match(String(house.faults[0]), /judging broke/);
});

test("a flush is done when the only arrival it waits for could not be judged", async () => {
  const house = createHouse();
  house.push(1);
  const flush = house.queue.flush();
  house.breakJudging(1);
  await flush;
  assert.deepEqual(house.answered, []);
});

test("a flush does not take a later arrival that could not be judged for the one it waits for", async () => {
  const house = createHouse();
  house.push(1);
  let flushed = false;
  const flush = house.queue.flush().then(() => {
    flushed = true;
  });
  house.push(2);
  house.breakJudging(2);
  await turn();
  await turn();
  assert.equal(flushed, false);
  house.judge(1);
  await flush;
  assert.deepEqual(house.committed, [1]);
});

test("closing waits for what can be committed, and not for a ledger that stays broken", async () => {
  const good = createHouse();
  good.push(1);
  good.judge(1);
  await good.queue.close();
  assert.deepEqual(good.answered, [1]);
  const broken = createHouse({ ledger: "failing" });
  broken.push(1);
  broken.judge(1);
  await broken.queue.close();
  assert.deepEqual(broken.answered, []);
});

test("for any order of judging, with some that throws, the rest is committed once, in order of arrival", async () => {
  const anyPlan = fc.array(fc.record({ breaks: fc.boolean(), pause: fc.boolean(), key: fc.nat() }), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(anyPlan, async (plan) => {
      const house = createHouse();
      for (const number of plan.keys()) house.push(number);
      const flush = house.queue.flush();
      const order = [...plan.entries()].sort(([, a], [, b]) => a.key - b.key);
      for (const [number, { breaks, pause }] of order) {
        if (breaks) house.breakJudging(number);
        else house.judge(number);
        if (pause) await turn();
      }
      await flush;
      const expected = [...plan.keys()].filter((number) => !plan[number]?.breaks);
      assert.deepEqual(house.committed, expected);
      assert.deepEqual(house.answered, expected);
      assert.equal(house.queue.depth, 0);
    }),
    { numRuns: 50 },
  );
});

test("a message is done with when its outcome is durable, and not when the queue was closed first", async () => {
  const house = createHouse({ ledger: "held" });
  const done: number[] = [];
  void house.queue.push(arrivalOf(1), () => done.push(1));
  house.queue.pushJudged(inputOf(2), () => done.push(2));
  house.judge(1);
  await turn();
  assert.equal(done.length, 0);
  house.release();
  await house.queue.flush();
  assert.deepEqual(done, [1, 2]);
  const broken = createHouse({ ledger: "failing" });
  void broken.queue.push(arrivalOf(3), () => done.push(3));
  broken.judge(3);
  await broken.queue.close();
  assert.deepEqual(done, [1, 2]);
});

test("the oldest arrival that is not committed tells how far the queue is", async () => {
  const house = createHouse({ ledger: "held" });
  assert.equal(house.queue.oldestAt, null);
  const before = performance.now();
  house.push(1);
  const { oldestAt } = house.queue;
  assert.ok(oldestAt !== null && oldestAt >= before && oldestAt <= performance.now());
  house.judge(1);
  house.release();
  await house.queue.flush();
  assert.equal(house.queue.oldestAt, null);
});

type House = {
  readonly queue: IngestQueue;
  readonly groups: number[][];
  readonly committed: number[];
  readonly answered: number[];
  readonly refused: number[];
  readonly faults: unknown[];
  /** `held` is what the queue asks the sender to wait for. */
  push(number: number): { held: Promise<void> | undefined };
  judge(number: number): void;
  breakJudging(number: number): void;
  /** The ledger works from now on. */
  release(): void;
};

/** A queue between judging that ends when it is told to, and a ledger that is held, fails, or works. */
function createHouse({
  ledger = "working",
  poison,
}: {
  ledger?: "working" | "held" | "failing";
  poison?: number;
} = {}): House {
  const groups: number[][] = [];
  const committed: number[] = [];
  const answered: number[] = [];
  const refused: number[] = [];
  const faults: unknown[] = [];
  const judging = new Map<number, PromiseWithResolvers<Input>>();
  const works = Promise.withResolvers<void>();
  let state = ledger;
  const queue = createIngestQueue({
    now: () => performance.now(),
    judge(arrival) {
      const pending = Promise.withResolvers<Input>();
      judging.set(arrival.receivedAt, pending);
      return pending.promise;
    },
    async admit(inputs): Promise<Verdict[]> {
      const numbers = inputs.map(({ receivedAt }) => receivedAt);
      if (state === "failing") throw new Error("the disk is full");
      if (inputs.some(({ kind, receivedAt }) => receivedAt === poison && kind !== "refused"))
        throw new Error("too large");
      groups.push(numbers);
      if (state === "held") await works.promise;
      committed.push(...numbers);
      refused.push(...inputs.filter(({ kind }) => kind === "refused").map(({ receivedAt }) => receivedAt));
      return inputs.map(() => ({ rejection: null }));
    },
    isInputs: (error) => String(error).includes("too large"),
    unstorable: ({ nodeId, topic, receivedAt }) => ({
      ...{ kind: "refused", nodeId, topic, receivedAt, bytes: 0, sample: new Uint8Array() },
      rejection: { code: "schema-mismatch", detail: "too large" },
    }),
    admitted: (inputs) => answered.push(...inputs.map(({ receivedAt }) => receivedAt)),
    fault: (error) => faults.push(error),
  });
  return {
    queue,
    groups,
    committed,
    answered,
    refused,
    faults,
    push: (number) => ({ held: queue.push(arrivalOf(number)) }),
    judge: (number) => judging.get(number)?.resolve(inputOf(number)),
    breakJudging: (number) => judging.get(number)?.reject(new Error("judging broke")),
    release() {
      state = "working";
      works.resolve();
    },
  };
}

/** Arrivals and inputs are told apart by their time. */
function arrivalOf(number: number): Arrival {
  return { sender: nodeId, channel: "death", topic: "", payload: Buffer.alloc(0), receivedAt: number };
}

function inputOf(number: number): Input {
  return deathInput(nodeId, boot, number);
}
