import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type EvidenceLevel, evidenceLevels, type NodeId } from "@cairn/protocol";
import fc from "fast-check";
import type { RewardParameters } from "../model.ts";
import { type Claimant, rewards } from "./rewards.ts";

const parameters: RewardParameters = {
  epochBudget: 1_000n,
  workShareBps: 5_000,
  uptimeFloorBps: 5_000,
  evidenceWeightBps: { software: 5_000, "secure-element": 8_000, "tpm-measured": 10_000 },
};

describe("worked by hand: 1,000 units, half of them for work, six slots, floor one half", () => {
  test("one node that did anything at all earns everything", () => {
    assert.deepEqual(paid([node("a", 6, 6)]), [1_000n]);
    assert.deepEqual(paid([node("a", 3, 1)]), [1_000n]);
  });

  test("4 of 6 slots beside 6 of 6 earn two fifths, where work is alike", () => {
    // Uptime 500 x 6/10 and 500 x 4/10, work the same.
    assert.deepEqual(paid([node("a", 6, 6), node("b", 4, 4)]), [600n, 400n]);
  });

  test("4 of 6 slots with three times the work earn more than 6 of 6", () => {
    // Uptime 300 and 200; work 500 x 2/8 and 500 x 6/8.
    assert.deepEqual(paid([node("a", 6, 2), node("b", 4, 6)]), [425n, 575n]);
  });

  test("under the floor of uptime only work is paid, on the floor both", () => {
    // 2 of 6 is under one half: uptime 500 and 0, work 375 and 125.
    assert.deepEqual(paid([node("a", 6, 6), node("b", 2, 2)]), [875n, 125n]);
    // 3 of 6 is one half: uptime 333.3 and 166.7, work 375 and 125.
    assert.deepEqual(paid([node("a", 6, 6), node("b", 3, 2)]), [708n, 292n]);
  });

  test("void slots change the floor: 2 of the 4 that count are one half", () => {
    const counted = { slotsCounted: 4 };
    // Uptime 333.3 and 166.7, work 500 x 4/6 and 500 x 2/6.
    assert.deepEqual(paid([node("a", 4, 4, counted), node("b", 2, 2, counted)]), [667n, 333n]);
  });

  test("a stronger level of evidence weighs uptime, not work", () => {
    // Uptime 500 x 10/15 and 500 x 5/15, work 250 each.
    const nodes = [node("a", 6, 6, { evidenceLevel: "tpm-measured" }), node("b", 6, 6)];
    assert.deepEqual(paid(nodes), [583n, 417n]);
  });

  test("two nodes that share a site weigh one between them", () => {
    const half = { coLocationBps: 5_000 };
    // Uptime 250 of 500 for the site, 125 each; work a third each.
    assert.deepEqual(paid([node("a", 6, 6), node("b", 6, 6, half), node("c", 6, 6, half)]), [417n, 292n, 291n]);
  });

  test("the part for work is not minted when nobody worked, that for uptime not when nobody was up", () => {
    assert.deepEqual(paid([node("a", 6, 0), node("b", 3, 0)]), [333n, 167n]);
    assert.deepEqual(paid([node("a", 2, 3), node("b", 0, 1)]), [375n, 125n]);
  });

  test("nothing is minted when nobody did anything, when no slot counts, or for no nodes", () => {
    assert.deepEqual(paid([node("a", 0, 0), node("b", 2, 0)]), [0n, 0n]);
    assert.deepEqual(paid([node("a", 0, 0, { slotsCounted: 0 })]), [0n]);
    assert.deepEqual(paid([]), []);
  });

  test("units that rounding leaves over go to the largest remainders, then to the lowest NodeIds", () => {
    const uptimeOnly = { ...parameters, workShareBps: 0, uptimeFloorBps: 0 };
    // 10 x 3/6, 2/6, 1/6: 5, 3 1/3, 1 2/3.
    assert.deepEqual(paid([node("a", 3), node("b", 2), node("c", 1)], { ...uptimeOnly, epochBudget: 10n }), [
      5n,
      3n,
      2n,
    ]);
    // 100 in three: 33 1/3 each.
    const equal = [node("c", 6), node("b", 6), node("a", 6)];
    assert.deepEqual(paid(equal, { ...uptimeOnly, epochBudget: 100n }), [33n, 33n, 34n]);
    assert.deepEqual(paid(equal, { ...uptimeOnly, epochBudget: 2n }), [0n, 1n, 1n]);
  });

  test("both parts are rounded together: half a unit for uptime and half for work are one", () => {
    const nodes = [node("a", 6, 6), node("b", 6, 6)];
    assert.deepEqual(paid(nodes, { ...parameters, epochBudget: 2n }), [1n, 1n]);
    assert.deepEqual(paid(nodes, { ...parameters, epochBudget: 1n }), [1n, 0n]);
  });
});

const anyParameters: fc.Arbitrary<RewardParameters> = fc.record({
  epochBudget: fc.oneof(fc.bigInt({ min: 0n, max: 50n }), fc.bigInt({ min: 0n, max: 2n ** 191n })),
  workShareBps: fc.oneof(fc.constantFrom(0, 10_000), fc.integer({ min: 0, max: 10_000 })),
  uptimeFloorBps: fc.integer({ min: 0, max: 10_000 }),
  evidenceWeightBps: fc.constant(parameters.evidenceWeightBps),
});
const slotsCounted = 12;
const anyWork = fc.oneof({ weight: 4, arbitrary: fc.nat({ max: 12 }) }, fc.nat({ max: Number.MAX_SAFE_INTEGER }));
const anyClaimants = fc
  .array(
    fc.record({
      slotsAttested: fc.nat({ max: slotsCounted }),
      evidenceLevel: fc.constantFrom<EvidenceLevel>(...evidenceLevels),
      coLocationBps: fc.oneof(fc.constantFrom(0, 10_000), fc.nat({ max: 10_000 })),
      workUnits: anyWork,
    }),
    { maxLength: 12 },
  )
  .map((rows) => rows.map((row, index): Claimant => ({ ...row, nodeId: idOf(index), slotsCounted })));
const anyEpoch = fc.tuple(anyClaimants, anyParameters);
const anyEpochOfTwoOrMore = anyEpoch.filter(([claimants]) => claimants.length > 1);

describe("for any epoch", () => {
  test("the amounts add up to exactly what is paid out, which is never above the budget", () => {
    fc.assert(
      fc.property(anyEpoch, ([claimants, terms]) => {
        const { uptimes, works } = claims(claimants, terms);
        const share = BigInt(terms.workShareBps);
        const parts = (sum(uptimes) > 0n ? 10_000n - share : 0n) + (sum(works) > 0n ? share : 0n);
        const total = sum([...rewards(claimants, terms).values()]);
        assert.equal(total, (terms.epochBudget * parts) / 10_000n);
        assert.ok(total <= terms.epochBudget);
      }),
    );
  });

  test("every amount is the node's exact share, rounded down or up, and never negative", () => {
    fc.assert(
      fc.property(anyEpoch, ([claimants, terms]) => {
        const amounts = rewards(claimants, terms);
        for (const [index, { share, whole }] of exactShares(claimants, terms).entries()) {
          const amount = amounts.get(idOf(index)) ?? -1n;
          assert.ok(amount >= 0n && amount * whole > share - whole && amount * whole < share + whole);
        }
      }),
    );
  });

  test("nobody who was rounded up has a smaller remainder than one who was rounded down", () => {
    fc.assert(
      fc.property(anyEpoch, ([claimants, terms]) => {
        const amounts = rewards(claimants, terms);
        const remainders = exactShares(claimants, terms).map(({ share, whole }, index) => ({
          up: (amounts.get(idOf(index)) ?? 0n) > share / whole,
          remainder: share % whole,
        }));
        const lowestUp = remainders
          .filter(({ up }) => up)
          .reduce<bigint | null>(
            (least, { remainder }) => (least === null || remainder < least ? remainder : least),
            null,
          );
        if (lowestUp === null) return;
        for (const { up, remainder } of remainders) assert.ok(up || remainder <= lowestUp);
      }),
    );
  });

  test("a node without uptime and without work earns nothing", () => {
    fc.assert(
      fc.property(anyEpoch, ([claimants, terms]) => {
        const idle = [...claimants, { ...node("f", 0, 0), slotsCounted }];
        assert.equal(rewards(idle, terms).get(idOf(15)), 0n);
      }),
    );
  });

  test("who answered more slots, or worked more, never earns less with all others as they are", () => {
    fc.assert(
      fc.property(
        anyEpochOfTwoOrMore,
        fc.nat(),
        fc.nat({ max: slotsCounted }),
        anyWork,
        ([claimants, terms], at, slots, work) => {
          const index = at % claimants.length;
          const lazy = claimants[index];
          assert.ok(lazy);
          const busy = {
            ...lazy,
            slotsAttested: Math.max(lazy.slotsAttested, slots),
            workUnits: Math.max(lazy.workUnits, work),
          };
          const before = rewards(claimants, terms).get(lazy.nodeId) ?? 0n;
          const after = rewards(claimants.with(index, busy), terms).get(lazy.nodeId) ?? 0n;
          assert.ok(after >= before, `${before} before, ${after} after`);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("the order in which nodes are listed changes nothing", () => {
    fc.assert(
      fc.property(anyEpochOfTwoOrMore, fc.infiniteStream(fc.nat()), ([claimants, terms], random) => {
        const keys = new Map(claimants.map((claimant) => [claimant, random.next().value]));
        const shuffled = [...claimants].sort((a, b) => (keys.get(a) ?? 0) - (keys.get(b) ?? 0));
        const sorted = (amounts: Map<NodeId, bigint>) => [...amounts].sort(([a], [b]) => (a < b ? -1 : 1));
        assert.deepEqual(sorted(rewards(shuffled, terms)), sorted(rewards(claimants, terms)));
      }),
    );
  });

  test("equal nodes earn the same, or one unit more by the lower NodeId", () => {
    fc.assert(
      fc.property(anyEpoch, fc.nat({ max: slotsCounted }), fc.nat({ max: 12 }), ([claimants, terms], slots, work) => {
        const twins = ["d", "e", "f"].map((name) => ({ ...node(name, slots, work), slotsCounted }));
        const amounts = rewards([...claimants, ...twins], terms);
        const [first = 0n, second = 0n, third = 0n] = twins.map(({ nodeId }) => amounts.get(nodeId));
        assert.ok(first >= second && second >= third && first - third <= 1n);
      }),
    );
  });
});

test("20,000 nodes and a budget of 191 bits are shared out exactly in less than a second", () => {
  const claimants = Array.from({ length: 20_000 }, (_, index) => ({
    ...node("a", index % 7, index % 5),
    nodeId: idOf(index),
  }));
  const startedAt = performance.now();
  const amounts = rewards(claimants, { ...parameters, epochBudget: 2n ** 191n });
  assert.ok(performance.now() - startedAt < 1_000);
  assert.equal(sum([...amounts.values()]), 2n ** 191n);
});

const impossible: Readonly<Record<string, [Partial<Claimant>, Partial<RewardParameters>]>> = {
  "more slots attested than count": [{ slotsAttested: 7 }, {}],
  "a negative number of slots": [{ slotsAttested: -1 }, {}],
  "half a slot": [{ slotsAttested: 1.5 }, {}],
  "work that is no number": [{ workUnits: Number.NaN }, {}],
  "work beyond 2^53": [{ workUnits: 2 ** 60 }, {}],
  "a share of a site below zero": [{ coLocationBps: -1 }, {}],
  "more than all for work": [{}, { workShareBps: 10_001 }],
  "less than nothing for work": [{}, { workShareBps: -1 }],
  "a fraction as floor": [{}, { uptimeFloorBps: 0.5 }],
};
for (const [what, [claimant, terms]] of Object.entries(impossible))
  test(`${what} is a RangeError, not an amount`, () => {
    assert.throws(() => rewards([{ ...node("a", 6, 6), ...claimant }], { ...parameters, ...terms }), RangeError);
  });

/** Node "a" has the lowest NodeId, "f" a high one. */
function node(name: string, slotsAttested: number, workUnits = 0, fields: Partial<Claimant> = {}): Claimant {
  return {
    nodeId: idOf(Number.parseInt(name, 16)),
    slotsAttested,
    slotsCounted: 6,
    evidenceLevel: "software",
    coLocationBps: 10_000,
    workUnits,
    ...fields,
  };
}

function idOf(index: number): NodeId {
  return index.toString(16).padStart(40, "0") as NodeId;
}

/** Amounts in the order of the claimants. */
function paid(claimants: readonly Claimant[], terms = parameters): (bigint | undefined)[] {
  const amounts = rewards(claimants, terms);
  return claimants.map(({ nodeId }) => amounts.get(nodeId));
}

/** U_n and W_n by the rule of the architecture, straight from its words. */
function claims(claimants: readonly Claimant[], terms: RewardParameters) {
  return {
    uptimes: claimants.map(({ slotsAttested, slotsCounted: counted, evidenceLevel, coLocationBps }) =>
      slotsAttested * 10_000 < counted * terms.uptimeFloorBps
        ? 0n
        : BigInt(slotsAttested) * BigInt(terms.evidenceWeightBps[evidenceLevel]) * BigInt(coLocationBps),
    ),
    works: claimants.map(({ workUnits }) => BigInt(workUnits)),
  };
}

/** Each node's exact reward as a fraction: share / whole units. */
function exactShares(claimants: readonly Claimant[], terms: RewardParameters) {
  const { uptimes, works } = claims(claimants, terms);
  const [uptimeSum, workSum] = [sum(uptimes) || 1n, sum(works) || 1n];
  const share = BigInt(terms.workShareBps);
  const whole = 10_000n * uptimeSum * workSum;
  return claimants.map((_, index) => {
    const uptime = (10_000n - share) * (uptimes[index] ?? 0n) * workSum;
    const work = share * (works[index] ?? 0n) * uptimeSum;
    return { share: terms.epochBudget * (uptime + work), whole };
  });
}

function sum(values: readonly bigint[]): bigint {
  return values.reduce((total, value) => total + value, 0n);
}
