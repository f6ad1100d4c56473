import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { type Address, bytesOf, type Hex, hexOf, keccak, nodeLeafHash, operatorLeafHash } from "@cairn/protocol";
import fc from "fast-check";
import { founding, operatorAddress, slotTime } from "../../testing/founding.ts";
import { nodeId } from "../../testing/ledger/epochs.ts";
import type { EpochFacts, EpochOutcome, NodeFacts, OperatorOutcome, SlotRow } from "../model.ts";
import { closeEpoch } from "./epoch-close.ts";

const { parameters } = founding;
const [one, two, three] = [operatorAddress(1), operatorAddress(2), operatorAddress(3)];

/** Epoch 2, slots 6 to 11: slot 8 is void, slot 11 was never opened. */
const facts: EpochFacts = {
  epoch: 2,
  firstSlot: 6,
  slotCount: 6,
  slots: [6, 7, 8, 9, 10].map((slot) => slotOf(slot, slot === 8 ? "the verifier slept" : null)),
  nodes: [
    factsOf("a", one, [6, 7, 8, 9, 10], [6, 7, 8]),
    factsOf("b", one, [6, 7], [6]),
    factsOf("c", two, [6, 7, 9], [6, 7, 9, 10], "tpm-measured"),
    factsOf("d", three, [8], [8, 11]),
  ],
  earnedBefore: new Map([
    [two, 5n],
    [operatorAddress(9), 7n],
  ]),
};

/** Of the facts above. A change here is a change of the protocol: epochs that are closed already would come out otherwise. */
const golden = {
  amounts: ["309523809523809523809", "154761904761904761905", "535714285714285714286", "0"],
  cumulative: ["464285714285714285714", "535714285714285714291", "7"],
  nodesRoots: [
    "0x64453c34102b8c749c4f0126e4d806c33649f1529f1e481572c4bd9f68b7366f",
    "0x3bd68dccbcf9637e8105d52e4028dcee6191ce14a35667c01a747b1dfb3c22f4",
    "0x0000000000000000000000000000000000000000000000000000000000000000",
  ],
  total: "1000000000000000000000",
  root: "0xd6925b721baa836e4976a7bbf0c342f156719522d32ce0357a581eb17c4a2790",
  evidence: "0xd509e89d74f9a3f24b46cca29789008842588a18cff1387cf1c4e019670ab118",
};

describe("an outcome", () => {
  const outcome = closeEpoch(facts, parameters);

  test("counts only the slots of the epoch that are not void, for answers and for work", () => {
    assert.equal(outcome.slotsVoid, 2);
    const counted = outcome.nodes.map(({ slotsAttested, slotsExpected, slotsVoid, workUnits }) => [
      slotsAttested,
      slotsExpected,
      slotsVoid,
      workUnits,
    ]);
    assert.deepEqual(counted, [
      [4, 6, 2, 2],
      [2, 6, 2, 1],
      [3, 6, 2, 4],
      [0, 6, 2, 0],
    ]);
  });

  test("mints what its nodes earn, and its operators earn what their nodes do", () => {
    const sum = (amounts: readonly { amount: bigint }[]) => amounts.reduce((total, { amount }) => total + amount, 0n);
    assert.equal(outcome.total, parameters.epochBudget);
    assert.equal(sum(outcome.nodes), outcome.total);
    assert.equal(sum(outcome.operators), outcome.total);
    for (const { operator, amount } of outcome.operators)
      assert.equal(amount, sum(outcome.nodes.filter((node) => node.operator === operator)));
  });

  test("adds what an operator earned before, and keeps operators in the tree that earn nothing now", () => {
    const before = (operator: Address) => facts.earnedBefore.get(operator) ?? 0n;
    assert.deepEqual(
      outcome.operators.map(({ operator }) => operator),
      [one, two, operatorAddress(9)],
    );
    for (const { operator, amount, cumulativeAmount } of outcome.operators)
      assert.equal(cumulativeAmount, before(operator) + amount);
    const past = outcome.operators.at(-1);
    assert.deepEqual([past?.amount, past?.cumulativeAmount, past?.nodesRoot], [0n, 7n, `0x${"0".repeat(64)}`]);
  });

  test("proves every operator's leaf against its root", () => {
    assert.ok(outcome.operators.length > 2);
    for (const operator of outcome.operators) assert.equal(rootFrom(operator), outcome.root);
  });

  test("commits each operator to its nodes: two leaves of operator 1, one of operator 2", () => {
    const [first, second] = outcome.operators;
    const [a, b, c] = outcome.nodes.map(nodeLeafHash) as [Buffer, Buffer, Buffer];
    assert.equal(first?.nodesRoot, hexOf(hashPair(a, b)));
    assert.equal(second?.nodesRoot, hexOf(c));
  });

  test("has evidence whose bytes anyone can write down from what was seen", () => {
    const lines = [
      ["cairn-epoch/1", 2],
      ...[6, 7, 8, 9, 10].map((slot) => [slot, nonceOf(slot), slot === 8 ? "the verifier slept" : null]),
      [11, null, "never opened"],
      ...facts.nodes.map((node) => [node.nodeId, node.operator, node.answered, node.worked]),
    ];
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    assert.equal(outcome.evidence, hexOf(createHash("sha256").update(text).digest()));
  });

  test("is to the byte the one that was written down when the rule was made", () => {
    assert.deepEqual(plain(outcome), golden);
  });
});

test("the order in which facts are listed changes no byte of root, evidence, amounts and proofs", () => {
  const expected = sortedNodes(closeEpoch(facts, parameters));
  const anyOrder = fc.shuffledSubarray([...facts.nodes], { minLength: facts.nodes.length });
  const anySlots = fc.shuffledSubarray([...facts.slots], { minLength: facts.slots.length });
  const anyEarned = fc.shuffledSubarray([...facts.earnedBefore], { minLength: facts.earnedBefore.size });
  fc.assert(
    fc.property(anyOrder, anySlots, anyEarned, (nodes, slots, earned) => {
      const shuffled = { ...facts, nodes, slots, earnedBefore: new Map(earned) };
      assert.deepEqual(sortedNodes(closeEpoch(shuffled, parameters)), expected);
    }),
  );
});

const changes: Readonly<Record<string, Partial<EpochFacts>>> = {
  "a nonce": { slots: facts.slots.with(0, { ...slotOf(6, null), nonce: nonceOf(60) }) },
  "a slot's reason to be void": { slots: facts.slots.with(2, slotOf(8, "another reason")) },
  "a slot that counts": { slots: facts.slots.with(1, slotOf(7, "void")) },
  "an answered slot": { nodes: facts.nodes.with(1, factsOf("b", one, [6, 7, 9], [6])) },
  "a worked slot": { nodes: facts.nodes.with(1, factsOf("b", one, [6, 7], [6, 7])) },
  "an operator": { nodes: facts.nodes.with(1, factsOf("b", two, [6, 7], [6])) },
  "the epoch's number": { epoch: 3 },
};
for (const [what, change] of Object.entries(changes))
  test(`evidence is another when ${what} is another`, () => {
    const { evidence } = closeEpoch(facts, parameters);
    assert.notEqual(closeEpoch({ ...facts, ...change }, parameters).evidence, evidence);
  });

describe("an epoch in which nothing was earned", () => {
  const nobody = facts.nodes.map((node) => ({ ...node, answered: [], worked: [] }));
  const voids: Readonly<Record<string, Partial<EpochFacts>>> = {
    "every slot is void": { slots: facts.slots.map((row) => ({ ...row, voidReason: "sick" })) },
    "no slot was ever opened": { slots: [] },
    "no node answered or worked": { nodes: nobody },
    "no node is enrolled": { nodes: [] },
  };
  for (const [what, change] of Object.entries(voids))
    test(`mints nothing and has no root, because ${what}`, () => {
      const outcome = closeEpoch({ ...facts, ...change }, parameters);
      assert.deepEqual([outcome.total, outcome.root, outcome.operators], [0n, null, []]);
      assert.match(outcome.evidence, /^0x[0-9a-f]{64}$/);
      for (const { amount } of outcome.nodes) assert.equal(amount, 0n);
    });
});

test("an epoch of 20,000 operators with a node each closes in less than eight seconds, with every proof right", () => {
  const nodes = Array.from({ length: 20_000 }, (_, index) =>
    factsOf(`${index}`, operatorAddress(index + 1), [6, 7, 9], index % 2 ? [6] : [7, 9]),
  );
  const startedAt = performance.now();
  const outcome = closeEpoch({ ...facts, nodes, earnedBefore: new Map() }, parameters);
  assert.ok(performance.now() - startedAt < 8_000);
  assert.equal(outcome.operators.length, 20_000);
  for (const operator of [0, 1, 12_499, 19_999].map((index) => outcome.operators[index]))
    assert.equal(operator && rootFrom(operator), outcome.root);
});

function factsOf(
  name: string,
  operator: Address,
  answered: number[],
  worked: number[],
  evidenceLevel: NodeFacts["evidenceLevel"] = "software",
): NodeFacts {
  return { nodeId: nodeId(name), operator, evidenceLevel, answered, worked };
}

function slotOf(slot: number, voidReason: string | null): SlotRow {
  const [opensAt, closesAt] = [slotTime(slot), slotTime(slot + 1)];
  return { epoch: 2, slot, nonce: nonceOf(slot), opensAt, closesAt, readyAt: opensAt, closedAt: closesAt, voidReason };
}

function nonceOf(slot: number): Hex {
  return `0x${slot.toString(16).padStart(64, "0")}`;
}

/** The root that an operator's leaf and proof lead to, as the contract computes it. */
function rootFrom({ proof, ...leaf }: OperatorOutcome): Hex {
  return hexOf(proof.reduce<Buffer>((hash, sibling) => hashPair(hash, bytesOf(sibling)), operatorLeafHash(leaf)));
}

function hashPair(a: Buffer, b: Buffer): Buffer {
  return keccak(Buffer.compare(a, b) <= 0 ? Buffer.concat([a, b]) : Buffer.concat([b, a]));
}

function sortedNodes(outcome: EpochOutcome): EpochOutcome {
  return { ...outcome, nodes: [...outcome.nodes].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1)) };
}

/** What has to stay the same for ever, in words of JSON. */
function plain({ nodes, operators, total, root, evidence }: EpochOutcome) {
  return {
    amounts: nodes.map(({ amount }) => amount.toString()),
    cumulative: operators.map(({ cumulativeAmount }) => cumulativeAmount.toString()),
    nodesRoots: operators.map(({ nodesRoot }) => nodesRoot),
    total: total.toString(),
    root,
    evidence,
  };
}
