/** Behaviour of every ledger: slots, the facts of an epoch, and outcomes with amounts that add up over epochs. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { type Address, type Hex, hexOf, type NodeId } from "@cairn/protocol";
import type { EpochOutcome, NodeOutcome, OperatorOutcome } from "../../src/model.ts";
import { bootId } from "../devices.ts";
import { operatorAddress, slotsOf, slotTime } from "../founding.ts";
import { batchInput, evidenceInput, slotRow } from "../inputs.ts";
import { enrolled, send } from "./admission.ts";
import { type OpenStore, onStore } from "./opened-store.ts";

export function epochBehaviour(open: OpenStore): void {
  test(
    "slots are given back as they were opened and closed, ascending, from a slot on",
    onStore(open, async ({ ledger }) => {
      const rows = [2, 0, 1].map((slot) => slotRow(slot, { readyAt: slotTime(slot) + 5 }));
      for (const row of rows) await ledger.openSlot(row);
      await ledger.closeSlot(0, slotTime(1), null);
      await ledger.closeSlot(1, slotTime(2) + 7, "the verifier slept");
      assert.deepEqual(await ledger.slots(0), [
        { ...rows[1], closedAt: slotTime(1) },
        { ...rows[2], closedAt: slotTime(2) + 7, voidReason: "the verifier slept" },
        rows[0],
      ]);
      assert.deepEqual(await ledger.slots(2), [rows[0]]);
      assert.deepEqual(await ledger.slots(3), []);
    }),
  );

  test(
    "a slot that is resumed keeps its nonce and takes the new time of readiness",
    onStore(open, async ({ ledger }) => {
      const row = slotRow(4);
      await ledger.openSlot(row);
      await ledger.openSlot({ ...slotRow(4), readyAt: row.opensAt + 20_000 });
      assert.deepEqual(await ledger.slots(0), [{ ...row, readyAt: row.opensAt + 20_000 }]);
    }),
  );

  test(
    "a closed slot stays as it was closed first",
    onStore(open, async ({ ledger }) => {
      const row = slotRow(4);
      await ledger.openSlot(row);
      await ledger.closeSlot(4, slotTime(5), "first");
      await ledger.closeSlot(4, slotTime(6), null);
      await ledger.openSlot(row);
      assert.deepEqual(await ledger.slots(0), [{ ...row, closedAt: slotTime(5), voidReason: "first" }]);
    }),
  );

  test(
    "an epoch is unfinished from its first opened slot to its outcome",
    onStore(open, async ({ ledger }) => {
      assert.deepEqual(await ledger.unfinishedEpochs(), []);
      for (const slot of [13, 0, 1, 6]) await ledger.openSlot(slotRow(slot));
      assert.deepEqual(await ledger.unfinishedEpochs(), [1, 2, 3]);
      await ledger.closeEpoch(outcomeOf({ epoch: 1, operators: [] }), slotTime(6));
      assert.deepEqual(await ledger.unfinishedEpochs(), [2, 3]);
    }),
  );

  test(
    "the facts of an epoch are its opened slots, and every enrolled node with its answered and worked slots",
    onStore(open, async ({ ledger }) => {
      const busy = await enrolled(ledger, "busy", operatorAddress(1));
      const silent = await enrolled(ledger, "silent", operatorAddress(2));
      const boot = bootId();
      const rows = [6, 7, 9, 12].map((slot) => slotRow(slot));
      for (const row of rows) await ledger.openSlot(row);
      for (const slot of [12, 9, 6]) await send(ledger, [evidenceInput(busy.nodeId, boot, { slot })]);
      for (const [index, slot] of [7, 6, 7, 12].entries())
        await send(ledger, [batchInput(busy.nodeId, boot, { seq: index + 1, slot })]);
      const { nodes, earnedBefore, ...facts } = await ledger.epochFacts(2, 6, 6);
      assert.deepEqual(facts, { epoch: 2, firstSlot: 6, slotCount: 6, slots: rows.slice(0, 3) });
      const expected = [
        { ...partOf(busy.enrolment), answered: [6, 9], worked: [6, 7] },
        { ...partOf(silent.enrolment), answered: [], worked: [] },
      ];
      assert.deepEqual(nodes, byNodeId(expected));
      assert.deepEqual(earnedBefore, new Map());
    }),
  );

  test(
    "an outcome is given back as it was stored, with nodes by NodeId and operators by address",
    onStore(open, async ({ ledger }) => {
      const outcome = twoOperators(3);
      await ledger.closeEpoch(outcome, slotTime(18));
      const record = await ledger.epoch(3);
      assert.ok(record);
      const { outcome: stored, ...rest } = record;
      assert.deepEqual(stored, { ...outcome, nodes: byNodeId(outcome.nodes) });
      assert.deepEqual(rest, {
        closedAt: slotTime(18),
        state: "closed",
        transaction: null,
        claims: [
          { operator: operatorAddress(1), amount: 60n, transaction: null },
          { operator: operatorAddress(2), amount: 40n, transaction: null },
        ],
      });
      assert.equal(await ledger.epoch(4), undefined);
    }),
  );

  test(
    "an epoch keeps its first outcome, and nothing is earned twice",
    onStore(open, async ({ ledger }) => {
      const outcome = twoOperators(1);
      await ledger.closeEpoch(outcome, slotTime(6));
      const before = await ledger.epoch(1);
      await ledger.closeEpoch(outcome, slotTime(7));
      await ledger.closeEpoch(outcomeOf({ epoch: 1, operators: [{ operator: operatorAddress(9), amount: 9n }] }), 8);
      assert.deepEqual(await ledger.epoch(1), before);
      const { earnedBefore } = await ledger.epochFacts(2, 6, 6);
      assert.deepEqual(Object.fromEntries(earnedBefore), { [operatorAddress(1)]: 60n, [operatorAddress(2)]: 40n });
      assert.deepEqual([await ledger.nodeEarned(nodeId("a")), await ledger.nodeEarned(nodeId("c"))], [30n, 40n]);
    }),
  );

  test(
    "what operators and nodes earned adds up over epochs, beyond 64 bits without loss",
    onStore(open, async ({ ledger }) => {
      const huge = 2n ** 191n + 1n;
      const [one, two] = [operatorAddress(1), operatorAddress(2)];
      const epochs = [
        outcomeOf({ epoch: 1, operators: [{ operator: one, amount: huge, nodes: ["a"] }] }),
        outcomeOf({
          epoch: 2,
          operators: [
            { operator: one, amount: 0n, cumulativeAmount: huge },
            { operator: two, amount: 2n ** 64n, nodes: ["b"] },
          ],
        }),
        outcomeOf({
          epoch: 3,
          operators: [{ operator: one, amount: huge, cumulativeAmount: 2n * huge, nodes: ["a"] }],
        }),
      ];
      for (const outcome of epochs) await ledger.closeEpoch(outcome, slotTime(6 * outcome.epoch));
      const { earnedBefore } = await ledger.epochFacts(4, 18, 6);
      assert.deepEqual(Object.fromEntries(earnedBefore), { [one]: 2n * huge, [two]: 2n ** 64n });
      assert.equal(await ledger.nodeEarned(nodeId("a")), 2n * huge);
      assert.equal(await ledger.nodeEarned(nodeId("b")), 2n ** 64n);
      assert.equal(await ledger.nodeEarned(nodeId("c")), 0n);
      assert.deepEqual((await ledger.epoch(3))?.outcome.operators[0]?.cumulativeAmount, 2n * huge);
      assert.equal((await ledger.epoch(1))?.outcome.total, huge);
    }),
  );

  test(
    "rewards of a node and epochs come newest first, no more than wanted",
    onStore(open, async ({ ledger }) => {
      for (const epoch of [1, 2, 3])
        await ledger.closeEpoch(
          outcomeOf({ epoch, operators: [{ operator: operatorAddress(1), amount: BigInt(epoch), nodes: ["a", "b"] }] }),
          slotTime(6 * epoch),
        );
      const rewards = await ledger.nodeRewards(nodeId("a"), 2);
      assert.deepEqual(
        rewards.map(({ epoch, nodeId: id, amount, slotsAttested }) => [epoch, id, amount, slotsAttested]),
        [
          [3, nodeId("a"), 2n, 4],
          [2, nodeId("a"), 1n, 4],
        ],
      );
      assert.deepEqual(
        (await ledger.epochs(2)).map(({ outcome }) => outcome.epoch),
        [3, 2],
      );
      assert.deepEqual(await ledger.nodeRewards(nodeId("c"), 5), []);
    }),
  );

  test(
    "an epoch without a root is void from the start and is never settled",
    onStore(open, async ({ ledger }) => {
      await ledger.openSlot(slotRow(0));
      await ledger.closeEpoch(outcomeOf({ epoch: 1, operators: [] }), slotTime(6));
      assert.partialDeepStrictEqual(await ledger.epoch(1), {
        state: "void",
        outcome: { root: null, total: 0n },
        claims: [],
      });
      assert.deepEqual(await ledger.unsettled(), []);
      assert.deepEqual(await ledger.unfinishedEpochs(), []);
    }),
  );
}

type Earner = {
  readonly operator: Address;
  /** Shared among the nodes, the rest of the division to the first. */
  readonly amount: bigint;
  readonly cumulativeAmount?: bigint;
  readonly nodes?: readonly string[];
};

/** An outcome that a ledger has to store as it is; its root and proofs are of no tree. */
export function outcomeOf({ epoch, operators }: { epoch: number; operators: readonly Earner[] }): EpochOutcome {
  const [firstSlot = 0] = slotsOf(epoch);
  const total = operators.reduce((sum, { amount }) => sum + amount, 0n);
  return {
    epoch,
    firstSlot,
    slotCount: 6,
    slotsVoid: 1,
    nodes: operators.flatMap((earner) => (earner.nodes ?? []).map((name, index) => nodeOutcome(name, index, earner))),
    operators: operators.map(
      ({ operator, amount, cumulativeAmount = amount }): OperatorOutcome => ({
        operator,
        amount,
        cumulativeAmount,
        nodesRoot: bytes32(`${epoch} nodes of ${operator}`),
        proof: [bytes32(`${epoch} sibling of ${operator}`)],
      }),
    ),
    total,
    root: total > 0n ? bytes32(`root ${epoch}`) : null,
    evidence: bytes32(`evidence ${epoch}`),
  };
}

/** Operator 1 earns 60 with two nodes, operator 2 earns 40 with one, operator 3 earned in the past. */
export function twoOperators(epoch: number): EpochOutcome {
  return outcomeOf({
    epoch,
    operators: [
      { operator: operatorAddress(1), amount: 60n, nodes: ["b", "a"] },
      { operator: operatorAddress(2), amount: 40n, nodes: ["c"] },
      { operator: operatorAddress(3), amount: 0n, cumulativeAmount: 7n },
    ],
  });
}

function nodeOutcome(name: string, index: number, { operator, amount, nodes = [] }: Earner): NodeOutcome {
  const share = amount / BigInt(nodes.length);
  return {
    nodeId: nodeId(name),
    operator,
    evidenceLevel: "secure-element",
    slotsAttested: 4,
    slotsExpected: 6,
    slotsVoid: 1,
    workUnits: 3,
    amount: index === 0 ? amount - share * BigInt(nodes.length - 1) : share,
  };
}

/** The id of a node that exists in outcomes only. */
export function nodeId(name: string): NodeId {
  return Buffer.from(name).toString("hex").padEnd(40, "0") as NodeId;
}

export function bytes32(text: string): Hex {
  return hexOf(createHash("sha256").update(text).digest());
}

function byNodeId<T extends { nodeId: NodeId }>(rows: readonly T[]): T[] {
  return [...rows].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
}

function partOf({ nodeId: id, operator, evidenceLevel }: { nodeId: NodeId; operator: Address; evidenceLevel: string }) {
  return { nodeId: id, operator, evidenceLevel };
}
