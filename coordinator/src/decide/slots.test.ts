import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { epochOfSlot, firstSlotOf, type SlotTime, slotAt, slotOpensAt } from "@cairn/protocol";
import fc from "fast-check";
import { slotRow } from "../../testing/inputs.ts";
import type { SlotClock, SlotRow, SlotStep } from "../model.ts";
import { leastWindow, slotSteps } from "./slots.ts";

const time: SlotTime = { genesisAt: 1_000_000, slotMs: 10_000, slotsPerEpoch: 4 };
const at = (slot: number, afterMs = 0) => slotOpensAt(time, slot) + afterMs;
const row = (slot: number, fields: Partial<SlotRow> = {}) =>
  slotRow(slot, {
    epoch: epochOfSlot(time, slot),
    opensAt: at(slot),
    closesAt: at(slot + 1),
    readyAt: at(slot),
    ...fields,
  });
const clock = (fields: Partial<SlotClock>): SlotClock => ({
  now: at(0),
  time,
  readySince: at(0),
  open: [],
  announced: null,
  unfinishedEpochs: [],
  ...fields,
});

describe("what is due", () => {
  test("before genesis nothing is opened, and the wait is for slot 0", () => {
    assert.deepEqual(slotSteps(clock({ now: at(-3, 1), readySince: at(-3) })), [{ kind: "wait", until: at(0) }]);
  });

  test("when a slot begins it is opened with its epoch and its times, then nothing until the next", () => {
    const open = { kind: "open", slot: 5, epoch: 2, opensAt: at(5), closesAt: at(6) };
    assert.deepEqual(slotSteps(clock({ now: at(5) })), [open, { kind: "wait", until: at(6) }]);
    assert.deepEqual(slotSteps(clock({ now: at(6) - 1 })), [open, { kind: "wait", until: at(6) }]);
    assert.deepEqual(slotSteps(clock({ now: at(5, 1), open: [row(5)], announced: 5 })), [
      { kind: "wait", until: at(6) },
    ]);
  });

  test("a slot is closed when the next begins, after that one is opened", () => {
    const steps = slotSteps(clock({ now: at(6), readySince: at(5), open: [row(5)], announced: 5 }));
    assert.deepEqual(kinds(steps), ["open 6", "close 5", "wait"]);
    assert.deepEqual(steps[1], { kind: "close", slot: 5, voidReason: null });
  });

  test("a slot that an earlier run opened is announced again while it lasts", () => {
    const steps = slotSteps(clock({ now: at(5, 3_000), readySince: at(5, 2_900), open: [row(5)] }));
    assert.deepEqual(steps[0], { kind: "resume", slot: 5 });
    assert.deepEqual(kinds(steps), ["resume 5", "wait"]);
  });

  test("an epoch is closed after its last slot, together with epochs left over from before", () => {
    const steps = slotSteps(clock({ now: at(8), open: [row(7)], announced: 7, unfinishedEpochs: [1, 2] }));
    assert.deepEqual(kinds(steps), ["open 8", "close 7", "close-epoch 1", "close-epoch 2", "wait"]);
    assert.deepEqual(kinds(slotSteps(clock({ now: at(8) - 1, open: [row(7)], announced: 7, unfinishedEpochs: [2] }))), [
      "wait",
    ]);
  });

  test("after an outage of many epochs every slot left open is closed as void, the missed ones are never opened", () => {
    const steps = slotSteps(
      clock({ now: at(90, 5), readySince: at(90), open: [row(2), row(3)], unfinishedEpochs: [1] }),
    );
    assert.deepEqual(kinds(steps), ["open 90", "close 2", "close 3", "close-epoch 1", "wait"]);
    for (const step of steps) if (step.kind === "close") assert.match(step.voidReason ?? "", /not running/);
  });
});

describe("which slots count", () => {
  const closing = (readyAt: number, readySince = readyAt) => {
    const step = slotSteps(clock({ now: at(6), readySince, open: [row(5, { readyAt })], announced: 5 })).find(
      ({ kind }) => kind === "close",
    );
    assert.ok(step?.kind === "close");
    return step.voidReason;
  };

  test("a slot with half of it or more left to answer in counts, with less it is void and says so", () => {
    assert.equal(leastWindow, 0.5);
    assert.equal(closing(at(5)), null);
    assert.equal(closing(at(5, 5_000)), null);
    assert.match(closing(at(5, 5_001)) ?? "", /less than half/);
  });

  test("a slot at whose end the verifier was not running is void, whoever opened it", () => {
    assert.match(closing(at(5), at(6)) ?? "", /not running,.* at the slot's end/);
  });

  test("a verifier that came back just before the end and had no time to announce the slot leaves it void", () => {
    assert.notEqual(closing(at(5), at(5, 9_900)), null);
  });
});

/** A run of the verifier: how long after the one before it began, how late each of its ticks was, how it ended. */
type Run = {
  readonly pauseMs: number;
  readonly latenessMs: readonly number[];
  /** It dies before this step of its last tick. */
  readonly diesBefore: number;
};
const anyRun: fc.Arbitrary<Run> = fc.record({
  pauseMs: fc.oneof(fc.nat({ max: 4_000 }), fc.nat({ max: 25_000 }), fc.nat({ max: 400_000 })),
  latenessMs: fc.array(fc.oneof({ weight: 4, arbitrary: fc.nat({ max: 30 }) }, fc.nat({ max: 23_000 })), {
    minLength: 1,
    maxLength: 10,
  }),
  diesBefore: fc.nat({ max: 6 }),
});

describe("for any life of the verifier, with restarts at any moment and outages of any length,", () => {
  test("every opened slot is closed once, every epoch once after its slots, and a slot counts when one run served half of it to its end", () => {
    fc.assert(
      fc.property(fc.array(anyRun, { minLength: 1, maxLength: 8 }), (runs) => {
        const world = createWorld();
        let now = at(-1);
        for (const run of runs) now = world.live(now + run.pauseMs, run);
        // In the end one run stays up long enough for everything to be finished.
        now = world.live(now, { pauseMs: 0, latenessMs: Array<number>(9).fill(0), diesBefore: 99 });
        world.assertFinished(now);
      }),
      { numRuns: 500 },
    );
  });
});

/** What ledger and verifier remember of the steps, with every promise checked when it is due. */
function createWorld() {
  const rows = new Map<number, SlotRow>();
  const finished: number[] = [];

  function live(start: number, { latenessMs, diesBefore }: Run): number {
    let announced: number | null = null;
    let now = start;
    for (const [index, late] of latenessMs.entries()) {
      now += late;
      const isLast = index === latenessMs.length - 1;
      const steps = slotSteps({
        now,
        time,
        readySince: start,
        open: [...rows.values()].filter(({ closedAt }) => closedAt === null).sort((a, b) => a.slot - b.slot),
        announced,
        unfinishedEpochs: unfinished(),
      });
      assert.deepEqual(
        steps.map(({ kind }) => kind).filter((kind) => kind === "wait"),
        ["wait"],
      );
      for (const step of isLast ? steps.slice(0, diesBefore) : steps) {
        announced = take(step, now, start) ?? announced;
        if (step.kind === "wait") now = waited(step.until, now);
      }
    }
    return now;
  }

  function waited(until: number, now: number): number {
    assert.ok(until > now && until <= Math.max(at(0), now + time.slotMs));
    return until;
  }

  /** Returns the slot that was announced, if one was. */
  function take(step: SlotStep, now: number, start: number): number | undefined {
    if (step.kind === "open") {
      assert.ok(!rows.has(step.slot), `slot ${step.slot} is opened twice`);
      assert.ok(step.opensAt <= now && now < step.closesAt, "a slot is opened while it lasts");
      rows.set(step.slot, row(step.slot, { readyAt: now }));
      return step.slot;
    }
    if (step.kind === "resume") {
      const known = rowOf(step.slot);
      assert.ok(known.closedAt === null && now < known.closesAt);
      return step.slot;
    }
    if (step.kind === "close") {
      const known = rowOf(step.slot);
      assert.ok(known.closedAt === null && now >= known.closesAt, `slot ${step.slot} is closed once, after its end`);
      const served = known.closesAt - Math.max(known.opensAt, known.readyAt, start);
      assert.equal(step.voidReason === null, served >= time.slotMs / 2, `slot ${step.slot}: ${served} ms served`);
      rows.set(step.slot, { ...known, closedAt: now, voidReason: step.voidReason });
    }
    if (step.kind === "close-epoch") {
      assert.ok(!finished.includes(step.epoch) && now >= at(firstSlotOf(time, step.epoch + 1)));
      for (const known of rows.values())
        assert.ok(known.epoch !== step.epoch || known.closedAt !== null, `epoch ${step.epoch} has an open slot`);
      finished.push(step.epoch);
    }
    return undefined;
  }

  function unfinished(): number[] {
    const epochs = new Set([...rows.values()].map(({ epoch }) => epoch));
    return [...epochs].filter((epoch) => epoch > Math.max(0, ...finished)).sort((a, b) => a - b);
  }

  function rowOf(slot: number): SlotRow {
    const known = rows.get(slot);
    assert.ok(known, `slot ${slot} was never opened`);
    return known;
  }

  return {
    live,
    assertFinished(now: number) {
      // The last run ended by waiting for the slot that begins now.
      const current = slotAt(time, now) - 1;
      for (const { slot, closedAt, epoch } of rows.values()) {
        assert.equal(closedAt === null, slot === current, `slot ${slot}, current ${current}`);
        assert.equal(finished.includes(epoch), epoch < epochOfSlot(time, current), `epoch ${epoch}`);
      }
    },
  };
}

function kinds(steps: readonly SlotStep[]): string[] {
  return steps.map((step) =>
    step.kind === "wait" ? "wait" : `${step.kind} ${step.kind === "close-epoch" ? step.epoch : step.slot}`,
  );
}
