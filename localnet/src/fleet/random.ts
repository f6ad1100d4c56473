/**
 * Seeded chance: xoshiro128** 1.1 (D. Blackman, S. Vigna, "Scrambled Linear Pseudorandom Number Generators", ACM TOMS 47(4), 2021). Its
 * state is drawn from SHA-256 over the seed and what the numbers are for, so that no two purposes share a sequence.
 */
import { createHash } from "node:crypto";

/** Uniform in [0, 1), 32 bits fine. */
export type Chance = () => number;

export type State = readonly [number, number, number, number];

/** Whole numbers from 0 to 2^32 - 1. The state must not be all zero. */
export function xoshiro128(state: State): () => number {
  let [a, b, c, d] = state;
  return () => {
    const drawn = Math.imul(rotated(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotated(d, 11);
    return drawn;
  };
}

function rotated(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

/** 32 bytes that only the same seed and purpose give again. */
export function bytesFor(seed: string, ...purpose: readonly (string | number)[]): Buffer {
  // JSON, so that no seed can look like another seed with a purpose.
  return createHash("sha256")
    .update(JSON.stringify(["cairn-fleet", seed, ...purpose]))
    .digest();
}

export function chanceFor(seed: string, ...purpose: readonly (string | number)[]): Chance {
  const bytes = bytesFor(seed, ...purpose);
  const next = xoshiro128([bytes.readInt32LE(0), bytes.readInt32LE(4), bytes.readInt32LE(8), bytes.readInt32LE(12)]);
  return () => next() / 2 ** 32;
}
