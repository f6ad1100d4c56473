import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, keccak256 } from "ethers";
import fc from "fast-check";
import { merkleTree } from "./merkle.ts";
import { hexOf } from "./typed-data.ts";

const hashes = fc.uint8Array({ minLength: 32, maxLength: 32 });
const someLeaves = fc.array(hashes, { minLength: 1, maxLength: 70 });

/** What a contract does with a proof (OpenZeppelin's MerkleProof.processProof), over another keccak than ours. */
function climb(leaf: string, proof: readonly string[]): string {
  return proof.reduce((hash, sibling) => keccak256(concat(hash < sibling ? [hash, sibling] : [sibling, hash])), leaf);
}

/** Every hash above the leaves, level by level, by the definition. */
function nodesAbove(level: readonly string[]): string[] {
  if (level.length === 1) return [];
  const above: string[] = [];
  for (let index = 0; index < level.length; index += 2) {
    const sibling = level[index + 1];
    above.push(climb(level[index] ?? "", sibling === undefined ? [] : [sibling]));
  }
  return [...above, ...nodesAbove(above)];
}

test("the proof of every leaf leads to the root, as a contract climbs it", () => {
  fc.assert(
    fc.property(someLeaves, (leaves) => {
      const tree = merkleTree(leaves);
      for (const [index, leaf] of leaves.entries()) assert.equal(climb(hexOf(leaf), tree.proof(index)), tree.root);
    }),
  );
});

test("the root is the one that the definition gives: sorted pairs, and a node without a sibling moves up as it is", () => {
  fc.assert(
    fc.property(someLeaves, (leaves) => {
      const level = leaves.map(hexOf);
      assert.equal(merkleTree(leaves).root, nodesAbove(level).at(-1) ?? level[0]);
    }),
  );
});

test("a tree of one leaf is that leaf, with an empty proof", () => {
  const leaf = Buffer.alloc(32, 5);
  assert.equal(merkleTree([leaf]).root, hexOf(leaf));
  assert.deepEqual(merkleTree([leaf]).proof(0), []);
});

test("a proof is no longer than the tree is high", () => {
  for (const count of [1, 2, 3, 4, 5, 8, 9, 64, 65]) {
    const tree = merkleTree(Array.from({ length: count }, (_, index) => Buffer.alloc(32, index)));
    for (let index = 0; index < count; index++)
      assert.ok(tree.proof(index).length <= Math.ceil(Math.log2(count)), `${index} of ${count}`);
    assert.equal(tree.proof(0).length, Math.ceil(Math.log2(count)));
  }
});

test("a leaf that is not in the tree has no proof: neither a changed one nor another's proof leads to the root", () => {
  fc.assert(
    fc.property(fc.uniqueArray(hashes, { minLength: 2, maxLength: 40, selector: hexOf }), fc.nat(), (leaves, pick) => {
      const tree = merkleTree(leaves);
      const index = pick % leaves.length;
      const leaf = Buffer.from(leaves[index] ?? []);
      leaf[pick % 32] = (leaf[pick % 32] ?? 0) ^ 1;
      assert.notEqual(climb(hexOf(leaf), tree.proof(index)), tree.root);
      const stranger = (index + 1) % leaves.length;
      if ((index ^ 1) !== stranger)
        assert.notEqual(climb(hexOf(leaves[index] ?? leaf), tree.proof(stranger)), tree.root);
    }),
  );
});

test("one changed leaf changes the root", () => {
  fc.assert(
    fc.property(someLeaves, fc.nat(), (leaves, pick) => {
      const changed = leaves.map((leaf) => Buffer.from(leaf));
      const at = changed[pick % changed.length];
      if (at) at[pick % 32] = (at[pick % 32] ?? 0) ^ 0x80;
      assert.notEqual(merkleTree(changed).root, merkleTree(leaves).root);
    }),
  );
});

test("a tree of no leaves has no root, and a leaf that is not there has no proof", () => {
  assert.throws(() => merkleTree([]), RangeError);
  const tree = merkleTree([Buffer.alloc(32), Buffer.alloc(32, 1)]);
  for (const index of [-1, 2, 0.5, Number.NaN]) assert.throws(() => tree.proof(index), RangeError);
});
