/**
 * Merkle trees as OpenZeppelin's MerkleProof checks them: pairs are sorted before hashing, a node without a sibling moves up as it is.
 * Levels are flat buffers of 32-byte hashes.
 */
import type { Hex } from "./identity.ts";
import { hexOf, keccak } from "./typed-data.ts";

const size = 32;

export type MerkleTree = { readonly root: Hex; proof(index: number): Hex[] };

/** A tree over leaf hashes in the given order. Throws RangeError for no leaves: an empty tree has no root. */
export function merkleTree(leaves: readonly Uint8Array[]): MerkleTree {
  if (leaves.length === 0) throw new RangeError("a Merkle tree needs at least one leaf");
  const levels: Buffer[] = [Buffer.concat(leaves)];
  for (let level = levels[0] as Buffer; level.length > size; level = levels.at(-1) as Buffer)
    levels.push(parents(level));
  return {
    root: hexOf(levels.at(-1) as Buffer),
    proof(index) {
      if (!Number.isInteger(index) || index < 0 || index >= leaves.length) throw new RangeError(`no leaf ${index}`);
      const path: Hex[] = [];
      let at = index;
      for (const level of levels.slice(0, -1)) {
        const sibling = level.subarray((at ^ 1) * size, (at ^ 1) * size + size);
        if (sibling.length === size) path.push(hexOf(sibling));
        at >>= 1;
      }
      return path;
    },
  };
}

function parents(level: Buffer): Buffer {
  const count = level.length / size;
  const above = Buffer.alloc(Math.ceil(count / 2) * size);
  for (let index = 0; index < count; index += 2) {
    const left = level.subarray(index * size, index * size + size);
    const right = level.subarray(index * size + size, index * size + 2 * size);
    (right.length === 0 ? left : hashPair(left, right)).copy(above, (index / 2) * size);
  }
  return above;
}

function hashPair(a: Buffer, b: Buffer): Buffer {
  return keccak(Buffer.compare(a, b) <= 0 ? Buffer.concat([a, b]) : Buffer.concat([b, a]));
}
