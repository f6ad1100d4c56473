/**
 * Finds NMEA 0183 sentences in a stream of bytes: `$` or `!`, printable ASCII, `*`, two hex digits, end of line (IEC 61162-1,
 * section 7). It resynchronises at the next `$` or `!` after whatever went wrong, checks the checksum (exclusive or of the
 * characters between the start and `*`) and counts what it throws away. Where chunks are cut makes no difference.
 */
import type { Discards } from "../model.ts";

/**
 * Longest sentence taken, characters from the start delimiter to the line end. The standard says 82 (IEC 61162-1 section 7.3);
 * receivers exceed it in high-precision modes and in proprietary sentences, so half as much again is tolerated.
 */
export const longestSentence = 128;

/**
 * Why something was thrown away. `noise`: bytes outside any sentence, line ends not counted. The others count sentences:
 * `cut`: a line end or a new start came before the checksum was complete; `too-long`: above `longestSentence`;
 * `checksum`: what stands behind `*` does not fit; `not-ascii`: a byte that is not printable ASCII. What remains of such a
 * sentence up to its line end is part of it, not noise.
 */
export const frameDiscards = ["noise", "cut", "too-long", "checksum", "not-ascii"] as const;
export type FrameDiscard = (typeof frameDiscards)[number];

export type NmeaFrames = {
  /** Takes bytes, returns the sentences completed by them, from `$` or `!` to the checksum, without line end. */
  push(chunk: Uint8Array): string[];
  /** Counts since creation, every reason named. */
  discards(): Discards;
};

const dollar = 0x24;
const bang = 0x21;
const star = 0x2a;
const carriageReturn = 0x0d;
const lineFeed = 0x0a;

/** Memory: one sentence of at most `longestSentence` bytes and five counters, whatever comes in. Never throws. */
export function createNmeaFrames(): NmeaFrames {
  const counts: Record<FrameDiscard, number> = { noise: 0, cut: 0, "too-long": 0, checksum: 0, "not-ascii": 0 };
  const sentence = Buffer.alloc(longestSentence);
  /** Bytes of the sentence so far; 0: outside any sentence. */
  let length = 0;
  /** Index of `*` in the sentence; 0: not seen yet. */
  let starAt = 0;
  let checksum = 0;
  /** The rest of a sentence already thrown away goes by. */
  let skipping = false;

  const begin = (byte: number) => {
    sentence[0] = byte;
    length = 1;
    starAt = 0;
    checksum = 0;
    skipping = false;
  };
  const refuse = (reason: FrameDiscard) => {
    counts[reason] += 1;
    length = 0;
    skipping = true;
  };
  const finish = (into: string[]) => {
    if (starAt === 0 || length < starAt + 3) counts.cut += 1;
    else into.push(sentence.toString("latin1", 0, length));
    length = 0;
  };

  const take = (byte: number, into: string[]) => {
    if (byte === dollar || byte === bang) {
      if (length > 0) counts.cut += 1;
      begin(byte);
    } else if (byte === carriageReturn || byte === lineFeed) {
      if (length > 0) finish(into);
      skipping = false;
    } else if (length === 0) {
      if (!skipping) counts.noise += 1;
    } else if (byte < 0x20 || byte > 0x7e) {
      refuse("not-ascii");
    } else if (length >= longestSentence - 2) {
      refuse("too-long");
    } else if (starAt > 0) {
      const expected = length - starAt === 1 ? checksum >> 4 : checksum & 0x0f;
      if (length - starAt > 2 || hexValue(byte) !== expected) refuse("checksum");
      else sentence[length++] = byte;
    } else {
      if (byte === star) starAt = length;
      else checksum ^= byte;
      sentence[length++] = byte;
    }
  };

  return {
    push(chunk) {
      const found: string[] = [];
      for (const byte of chunk) take(byte, found);
      return found;
    },
    discards: () => ({ ...counts }),
  };
}

/** 0 to 15, or undefined where the byte is no hex digit; both cases are in use. */
function hexValue(byte: number): number | undefined {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const upper = byte & 0xdf;
  return upper >= 0x41 && upper <= 0x46 ? upper - 0x37 : undefined;
}
