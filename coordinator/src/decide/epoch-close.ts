/** Turns the facts of an epoch into its outcome: the same facts give the same bytes, on every machine, years later. Pure. */
import { createHash } from "node:crypto";
import { type Address, type Hex, hexOf, nodesTree, operatorsTree } from "@cairn/protocol";
import type { EpochFacts, EpochOutcome, NodeOutcome, OperatorOutcome, RewardParameters } from "../model.ts";
import { rewards } from "./rewards.ts";

/** Every site's whole share: the network knows no co-located nodes before location claims are verified. */
const wholeSite = 10_000;

export function closeEpoch(facts: EpochFacts, parameters: RewardParameters): EpochOutcome {
  const counted = new Set(facts.slots.filter(({ voidReason }) => voidReason === null).map(({ slot }) => slot));
  const slotsVoid = facts.slotCount - counted.size;
  const inEpoch = (slots: readonly number[]) => slots.filter((slot) => counted.has(slot)).length;
  const claimants = facts.nodes.map((node) => ({
    nodeId: node.nodeId,
    slotsAttested: inEpoch(node.answered),
    slotsCounted: counted.size,
    evidenceLevel: node.evidenceLevel,
    coLocationBps: wholeSite,
    workUnits: inEpoch(node.worked),
  }));
  const amounts = rewards(claimants, parameters);
  const nodes = facts.nodes.map((node, index): NodeOutcome => {
    const claimant = claimants[index];
    return {
      nodeId: node.nodeId,
      operator: node.operator,
      evidenceLevel: node.evidenceLevel,
      slotsAttested: claimant?.slotsAttested ?? 0,
      slotsExpected: facts.slotCount,
      slotsVoid,
      workUnits: claimant?.workUnits ?? 0,
      amount: amounts.get(node.nodeId) ?? 0n,
    };
  });
  const total = nodes.reduce((sum, { amount }) => sum + amount, 0n);
  const { operators, root } = leavesOf(nodes, facts.earnedBefore);
  return {
    epoch: facts.epoch,
    firstSlot: facts.firstSlot,
    slotCount: facts.slotCount,
    slotsVoid,
    nodes,
    operators: total > 0n ? operators : [],
    total,
    root: total > 0n ? root : null,
    evidence: evidenceDigest(facts),
  };
}

/**
 * The two levels of leaves. Whoever ever earned stands in the upper tree, so that a claim missed in an earlier epoch can be made
 * with this one; operators without a node in this epoch commit to an empty lower tree.
 */
function leavesOf(nodes: readonly NodeOutcome[], earnedBefore: ReadonlyMap<Address, bigint>) {
  const noNodes = `0x${"0".repeat(64)}` as Hex;
  const byOperator = Map.groupBy(nodes, ({ operator }) => operator);
  const addresses = [...new Set([...earnedBefore.keys(), ...byOperator.keys()])].sort();
  const rows = addresses
    .map((operator) => {
      const own = byOperator.get(operator) ?? [];
      const amount = own.reduce((sum, node) => sum + node.amount, 0n);
      const cumulativeAmount = (earnedBefore.get(operator) ?? 0n) + amount;
      return { operator, amount, cumulativeAmount, nodesRoot: own.length > 0 ? nodesTree(own).root : noNodes };
    })
    .filter(({ cumulativeAmount }) => cumulativeAmount > 0n);
  if (rows.length === 0) return { operators: [], root: null };
  const tree = operatorsTree(rows);
  const operators = rows.map((row): OperatorOutcome => ({ ...row, proof: tree.proofs.get(row.operator) ?? [] }));
  return { operators, root: tree.root };
}

/**
 * Canonical bytes of what was seen: one line per slot of the epoch in order (slot, nonce, void reason), then one line per node by
 * ascending NodeId (NodeId, operator, answered slots, worked slots), each line JSON, ended by a newline.
 */
function evidenceDigest(facts: EpochFacts): Hex {
  const opened = new Map(facts.slots.map((row) => [row.slot, row]));
  const hash = createHash("sha256");
  const line = (...fields: unknown[]) => hash.update(`${JSON.stringify(fields)}\n`);
  line("cairn-epoch/1", facts.epoch);
  for (let slot = facts.firstSlot; slot < facts.firstSlot + facts.slotCount; slot++) {
    const row = opened.get(slot);
    line(slot, row?.nonce ?? null, row ? row.voidReason : "never opened");
  }
  const nodes = [...facts.nodes].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  for (const { nodeId, operator, answered, worked } of nodes) line(nodeId, operator, answered, worked);
  return hexOf(hash.digest());
}
