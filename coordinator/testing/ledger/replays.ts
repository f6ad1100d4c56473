/**
 * Behaviour of every ledger: exactly once. Whatever order, grouping and repetition batches come in, and however often the ledger is
 * closed and opened or a group fails half-way, its readings are those of a model of a few lines.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { BootId, NodeId } from "@cairn/protocol";
import fc from "fast-check";
import { orderRules, sharedOrderRules } from "../../src/decide/order.ts";
import type { Input, Ledger, OrderRules } from "../../src/model.ts";
import { bootId } from "../devices.ts";
import { founding } from "../founding.ts";
import { batchInput, column } from "../inputs.ts";
import { enrolled, send } from "./admission.ts";
import { type OpenStore, onStore } from "./opened-store.ts";

const sequences = 5;

/** One batch of a stream (a boot of a node). With `bridges` it states everything before it as dropped. */
type Sent = { readonly stream: number; readonly seq: number; readonly bridges: boolean };

type Event =
  | { readonly kind: "group"; readonly batches: readonly Sent[] }
  /** The group fails while its batch number `at` is judged. */
  | { readonly kind: "broken"; readonly batches: readonly Sent[]; readonly at: number }
  | { readonly kind: "restart" };

type Stream = { readonly nodeId: NodeId; readonly boot: BootId; readonly n: number };

const anyBatch = fc.record({
  stream: fc.nat({ max: 3 }),
  seq: fc.integer({ min: 1, max: sequences }),
  bridges: fc.boolean(),
});
const anyGroup = fc.array(anyBatch, { minLength: 1, maxLength: 12 });
const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("group" as const), batches: anyGroup }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("broken" as const), batches: anyGroup, at: fc.nat({ max: 11 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "restart" as const }) },
);

export function replayBehaviour(open: OpenStore): void {
  replays(open, "in order", orderRules, false);
  replays(open, "ahead of the watermark too", sharedOrderRules, true);
}

function replays(open: OpenStore, taken: string, rules: OrderRules, mayBeAhead: boolean): void {
  test(
    `any interleaving of groups, duplicates, reorders, broken groups and restarts, batches taken ${taken}, stores the model's readings exactly once`,
    onStore(open, async (store) => {
      let { ledger } = store;
      let started = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(anyEvent, { maxLength: 12 }), async (events) => {
          started += 1;
          const streams = await newStreams(ledger, started);
          const model = createModel(mayBeAhead);
          for (const event of events) {
            if (event.kind === "restart") ledger = await store.reopen();
            else {
              const inputs = event.batches.map((batch) => inputOf(batch, streams));
              if (event.kind === "broken" && event.at < inputs.length)
                await assert.rejects(ledger.admit(inputs, breakingAt(event.at, rules)), /broken/);
              else assert.deepEqual(await send(ledger, inputs, rules), event.batches.map(model.admit));
            }
          }
          await agreesWith(ledger, streams, model);
          // What an honest node does in the end: everything from the first batch on, once more.
          for (const [stream] of streams.entries())
            for (let seq = 1; seq <= sequences; seq++) {
              const batch = { stream, seq, bridges: false };
              assert.deepEqual(await send(ledger, [inputOf(batch, streams)], rules), [model.admit(batch)]);
            }
          ledger = await store.reopen();
          await agreesWith(ledger, streams, model);
        }),
        { numRuns: 25 },
      );
    }),
  );
}

/** The rule in its shortest form: each number once, if those before it are accounted for or may come later. */
function createModel(mayBeAhead: boolean) {
  const accounted = new Map<number, Set<number>>();
  const stored: Sent[] = [];
  return {
    stored,
    admit({ stream, seq, bridges }: Sent): string {
      const known = accounted.get(stream) ?? new Set<number>();
      accounted.set(stream, known);
      const isOpen = (number: number) => number > 0 && !known.has(number);
      const watermark = () => [1, 2, 3, 4, 5, 6].findIndex(isOpen);
      const repeated = known.has(seq);
      const between = Array.from({ length: seq - 1 }, (_, index) => index + 1);
      if (!repeated && !bridges && !mayBeAhead && between.some(isOpen)) return `sequence-gap ${watermark()}`;
      if (bridges) for (const number of between) known.add(number);
      known.add(seq);
      if (repeated) return `sequence-duplicate ${watermark()}`;
      stored.push({ stream, seq, bridges });
      return `stored ${watermark()}`;
    },
  };
}

async function agreesWith(ledger: Ledger, streams: readonly Stream[], model: ReturnType<typeof createModel>) {
  for (const nodeId of new Set(streams.map((stream) => stream.nodeId))) {
    const expected = model.stored
      .filter(({ stream }) => streams[stream]?.nodeId === nodeId)
      .flatMap(valuesOf)
      .sort((a, b) => a - b);
    const actual: number[] = [];
    for (const name of seriesNames)
      actual.push(...((await ledger.readings(nodeId, name, 0, Number.MAX_SAFE_INTEGER, 10_000))?.values ?? []));
    assert.deepEqual(
      actual.sort((a, b) => a - b),
      expected,
    );
    const record = (await ledger.nodes()).find((node) => node.nodeId === nodeId);
    assert.equal(record?.readingsStored, expected.length);
  }
}

/** Two nodes with two boots each. */
async function newStreams(ledger: Ledger, round: number): Promise<Stream[]> {
  const streams: Stream[] = [];
  for (const name of ["one", "two"]) {
    const { nodeId } = await enrolled(ledger, `${name} ${round}`);
    for (const n of [1, 2]) streams.push({ nodeId, boot: bootId(), n });
  }
  return streams;
}

const seriesNames = ["host.load", "sky.light"];

/** Every reading of a batch is a number of its own, so that a reading stored twice shows. */
function valuesOf({ stream, seq }: Sent): number[] {
  return [0, 1, 2].map((index) => stream * 1_000 + seq * 10 + index);
}

function inputOf(batch: Sent, streams: readonly Stream[]): Input {
  const stream = streams[batch.stream];
  if (!stream) throw new RangeError(`no stream ${batch.stream}`);
  const [a = 0, b = 0, c = 0] = valuesOf(batch);
  const at = founding.time.genesisAt;
  const { seq, bridges } = batch;
  const dropped = [{ first: 1, last: seq - 1, readings: 0, reason: "store-full" as const }];
  return batchInput(stream.nodeId, stream.boot, {
    n: stream.n,
    seq,
    series: [column("host.load", [at + a, at + b], [a, b]), column("sky.light", [at + c], [c])],
    ...(bridges && seq > 1 ? { dropped } : {}),
  });
}

function breakingAt(index: number, rules: OrderRules): OrderRules {
  let judged = -1;
  return {
    ...rules,
    batch(state, payload) {
      judged += 1;
      if (judged === index) throw new Error("broken half-way");
      return rules.batch(state, payload);
    },
  };
}
