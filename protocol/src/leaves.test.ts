import assert from "node:assert/strict";
import { test } from "node:test";
import { AbiCoder, concat, id, keccak256 } from "ethers";
import fc from "fast-check";
import type { Address, Hex, NodeId } from "./identity.ts";
import {
  evidenceLevels,
  type NodeLeaf,
  nodeLeafHash,
  nodesTree,
  type OperatorLeaf,
  operatorLeafHash,
  operatorsTree,
} from "./leaves.ts";
import { hexOf } from "./typed-data.ts";

const abi = AbiCoder.defaultAbiCoder();
const twice = (types: string[], values: unknown[]) => keccak256(keccak256(abi.encode(types, values)));
const climb = (leaf: string, proof: readonly string[]) =>
  proof.reduce((hash, sibling) => keccak256(concat(hash < sibling ? [hash, sibling] : [sibling, hash])), leaf);

const hexDigits = (digits: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${digits}}$`));
const uint32 = fc.nat({ max: 2 ** 32 - 1 });
const uint256 = fc.bigInt({ min: 0n, max: 2n ** 256n - 1n });
const nodeLeaves: fc.Arbitrary<NodeLeaf> = fc.record({
  nodeId: hexDigits(40) as fc.Arbitrary<NodeId>,
  slotsAttested: uint32,
  slotsExpected: uint32,
  slotsVoid: uint32,
  evidenceLevel: fc.constantFrom(...evidenceLevels),
  workUnits: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  amount: uint256,
});
const operatorLeaves: fc.Arbitrary<OperatorLeaf> = fc.record({
  operator: hexDigits(40).map((hex): Address => `0x${hex}`),
  cumulativeAmount: uint256,
  nodesRoot: hexDigits(64).map((hex): Hex => `0x${hex}`),
});
const operators = fc.uniqueArray(operatorLeaves, { minLength: 1, maxLength: 30, selector: ({ operator }) => operator });

test("a node leaf is the ABI encoding of its fields under its own type, hashed twice", () => {
  const type = id(
    "NodeLeaf(bytes20 nodeId,uint32 slotsAttested,uint32 slotsExpected,uint32 slotsVoid,uint8 evidenceLevel,uint64 workUnits,uint256 amount)",
  );
  const types = ["bytes32", "bytes20", "uint32", "uint32", "uint32", "uint8", "uint64", "uint256"];
  fc.assert(
    fc.property(nodeLeaves, (leaf) => {
      const { nodeId, slotsAttested, slotsExpected, slotsVoid, evidenceLevel, workUnits, amount } = leaf;
      const rank = ["software", "secure-element", "tpm-measured"].indexOf(evidenceLevel);
      const values = [type, `0x${nodeId}`, slotsAttested, slotsExpected, slotsVoid, rank, workUnits, amount];
      assert.equal(hexOf(nodeLeafHash(leaf)), twice(types, values));
    }),
  );
});

test("an operator leaf is the ABI encoding of its fields under its own type, hashed twice", () => {
  const type = id("OperatorLeaf(address operator,uint256 cumulativeAmount,bytes32 nodesRoot)");
  fc.assert(
    fc.property(operatorLeaves, (leaf) => {
      const { operator, cumulativeAmount, nodesRoot } = leaf;
      const expected = twice(
        ["bytes32", "address", "uint256", "bytes32"],
        [type, operator, cumulativeAmount, nodesRoot],
      );
      assert.equal(hexOf(operatorLeafHash(leaf)), expected);
    }),
  );
});

test("the root of an epoch does not depend on the order in which its leaves are given", () => {
  const shuffled = operators.chain((leaves) =>
    fc.tuple(fc.constant(leaves), fc.shuffledSubarray(leaves, { minLength: leaves.length })),
  );
  fc.assert(
    fc.property(shuffled, ([leaves, others]) => {
      assert.equal(operatorsTree(others).root, operatorsTree(leaves).root);
    }),
  );
  const distinct = fc.uniqueArray(nodeLeaves, { minLength: 1, maxLength: 20, selector: ({ nodeId }) => nodeId });
  fc.assert(
    fc.property(distinct, (leaves) => {
      assert.equal(nodesTree(leaves.toReversed()).root, nodesTree(leaves).root);
    }),
  );
});

test("every operator gets a proof that leads from its own leaf to the epoch's root", () => {
  fc.assert(
    fc.property(operators, (leaves) => {
      const { root, proofs } = operatorsTree(leaves);
      assert.equal(proofs.size, leaves.length);
      for (const leaf of leaves)
        assert.equal(climb(hexOf(operatorLeafHash(leaf)), proofs.get(leaf.operator) ?? []), root);
    }),
  );
});

test("giving the trees their leaves does not change the order of the caller's list", () => {
  fc.assert(
    fc.property(operators, (leaves) => {
      const before = [...leaves];
      operatorsTree(leaves);
      assert.deepEqual(leaves, before);
    }),
    { numRuns: 20 },
  );
});

test("no inner node passes for a leaf: what hashes to it once does not hash to it twice", () => {
  fc.assert(
    fc.property(operators, (leaves) => {
      if (leaves.length < 2) return;
      const { root, proofs } = operatorsTree(leaves);
      const leaf = leaves[0] as OperatorLeaf;
      const [sibling = "", ...rest] = proofs.get(leaf.operator) ?? [];
      const own = hexOf(operatorLeafHash(leaf));
      const content = concat(own < sibling ? [own, sibling] : [sibling, own]);
      assert.equal(climb(keccak256(content), rest), root, "hashed once, the pair is the inner node");
      assert.notEqual(climb(keccak256(keccak256(content)), rest), root);
    }),
  );
});

test("no node leaf can be shown as an operator leaf, nor the other way round", () => {
  const zero = { nodeId: "0".repeat(40) as NodeId, slotsAttested: 0, slotsExpected: 0, slotsVoid: 0 };
  const node = nodeLeafHash({ ...zero, evidenceLevel: "software", workUnits: 0, amount: 0n });
  const operator = operatorLeafHash({
    operator: `0x${"0".repeat(40)}`,
    cumulativeAmount: 0n,
    nodesRoot: `0x${"0".repeat(64)}`,
  });
  assert.notDeepEqual(node, operator);
});

test("an amount that is no uint256 is an error, not another amount", () => {
  const leaf = { operator: `0x${"1".repeat(40)}` as Address, nodesRoot: `0x${"2".repeat(64)}` as Hex };
  for (const cumulativeAmount of [-1n, 2n ** 256n])
    assert.throws(() => operatorLeafHash({ ...leaf, cumulativeAmount }), RangeError);
});
