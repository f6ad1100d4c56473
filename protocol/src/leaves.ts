/**
 * The two levels of an epoch's reward tree. A node leaf states one node's epoch; an operator leaf states everything the operator ever
 * earned and commits to its nodes of this epoch, so one claim pays an operator of any number of nodes. Bytes are bound to
 * contracts/src/Leaves.sol by golden vectors. Leaves are hashed twice, so that no inner node can pass for a leaf.
 */
import type { Address, Hex, NodeId } from "./identity.ts";
import { type MerkleTree, merkleTree } from "./merkle.ts";
import { bytesOf, hexWord, keccak, wordOf } from "./typed-data.ts";

/** How strong key and measurements are, by rank. */
export const evidenceLevels = ["software", "secure-element", "tpm-measured"] as const;
export type EvidenceLevel = (typeof evidenceLevels)[number];

export type NodeLeaf = {
  readonly nodeId: NodeId;
  readonly slotsAttested: number;
  readonly slotsExpected: number;
  readonly slotsVoid: number;
  readonly evidenceLevel: EvidenceLevel;
  readonly workUnits: number;
  /** Smallest token units earned in this epoch. */
  readonly amount: bigint;
};

export type OperatorLeaf = {
  readonly operator: Address;
  /** Smallest token units earned in all epochs up to this one. */
  readonly cumulativeAmount: bigint;
  readonly nodesRoot: Hex;
};

const nodeType = keccak(
  Buffer.from(
    "NodeLeaf(bytes20 nodeId,uint32 slotsAttested,uint32 slotsExpected,uint32 slotsVoid,uint8 evidenceLevel,uint64 workUnits,uint256 amount)",
  ),
);
const operatorType = keccak(Buffer.from("OperatorLeaf(address operator,uint256 cumulativeAmount,bytes32 nodesRoot)"));

export function nodeLeafHash(leaf: NodeLeaf): Buffer {
  return twice([
    nodeType,
    hexWord(leaf.nodeId),
    wordOf(leaf.slotsAttested),
    wordOf(leaf.slotsExpected),
    wordOf(leaf.slotsVoid),
    wordOf(evidenceLevels.indexOf(leaf.evidenceLevel)),
    wordOf(leaf.workUnits),
    wordOf(leaf.amount),
  ]);
}

export function operatorLeafHash(leaf: OperatorLeaf): Buffer {
  return twice([operatorType, hexWord(leaf.operator, true), wordOf(leaf.cumulativeAmount), bytesOf(leaf.nodesRoot)]);
}

function twice(words: readonly Buffer[]): Buffer {
  return keccak(keccak(Buffer.concat(words)));
}

/** The lower tree of one operator: its nodes of the epoch by ascending NodeId. */
export function nodesTree(leaves: readonly NodeLeaf[]): MerkleTree {
  return merkleTree(sortedBy(leaves, ({ nodeId }) => nodeId).map(nodeLeafHash));
}

/** The upper tree of an epoch: operators by ascending address. `proofs` holds one proof per operator. */
export function operatorsTree(leaves: readonly OperatorLeaf[]): { root: Hex; proofs: Map<Address, Hex[]> } {
  const sorted = sortedBy(leaves, ({ operator }) => operator);
  const tree = merkleTree(sorted.map(operatorLeafHash));
  return { root: tree.root, proofs: new Map(sorted.map(({ operator }, index) => [operator, tree.proof(index)])) };
}

function sortedBy<T>(items: readonly T[], key: (item: T) => string): T[] {
  return [...items].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
}
