/** A serial line with faults: sentences in, bytes as they would arrive out, and a list of what was broken on the way. */
import type { Random } from "./random.ts";

/**
 * What a fault does, named by what a reader of the line would call it:
 * `tail-lost`: the end of a sentence and its line end are missing; `head-lost`: its beginning is missing, so the rest is noise;
 * `overrun`: bytes in the middle are missing (a full UART buffer); `bit-flip`: one character differs;
 * `checksum-wrong`: the two digits do not fit; `noise-inside`: bytes that are no text within a sentence;
 * `noise-between`: such bytes between two sentences; `babble`: a start delimiter and then the letter U without end, which is what
 * a wrong baud rate often looks like.
 */
export const faultKinds = [
  "tail-lost",
  "head-lost",
  "overrun",
  "bit-flip",
  "checksum-wrong",
  "noise-inside",
  "noise-between",
  "babble",
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** How a frame parser has to count it. */
export type Reason = "noise" | "cut" | "too-long" | "checksum" | "not-ascii";

/** At `second`, done to the sentence with this index in the burst (for noise-between and babble: behind it). */
export type Fault = { readonly second: number; readonly sentence: number; readonly kind: FaultKind };

export type Truth = {
  readonly faults: Record<FaultKind, number>;
  /** Bytes for noise, sentences for the rest. */
  readonly discards: Record<Reason, number>;
  /** Sentences that arrive whole. */
  whole: number;
};

export function noTruth(): Truth {
  return {
    faults: {
      "tail-lost": 0,
      "head-lost": 0,
      overrun: 0,
      "bit-flip": 0,
      "checksum-wrong": 0,
      "noise-inside": 0,
      "noise-between": 0,
      babble: 0,
    },
    discards: { noise: 0, cut: 0, "too-long": 0, checksum: 0, "not-ascii": 0 },
    whole: 0,
  };
}

/** The bytes of one burst as Latin-1 text, its faults applied and entered into `truth`. */
export function spoil(sentences: readonly string[], faults: readonly Fault[], random: Random, truth: Truth): string {
  let out = "";
  for (const [index, text] of sentences.entries()) {
    const mine = faults.filter((fault) => fault.sentence === index);
    const within = mine.filter(({ kind }) => kind !== "noise-between" && kind !== "babble");
    const behind = mine.filter(({ kind }) => kind === "noise-between" || kind === "babble");
    if (within.length > 1 || (within[0]?.kind === "tail-lost" && behind.length > 0))
      throw new Error(`faults on one sentence hide each other at second ${mine[0]?.second}`);
    out += within[0] ? broken(text, within[0].kind, random, truth) : `${text}\r\n`;
    if (!within[0]) truth.whole += 1;
    for (const { kind } of behind) out += added(kind, random, truth);
  }
  for (const { kind, sentence } of faults) {
    if (sentence >= sentences.length) throw new Error(`there is no sentence ${sentence} to break`);
    truth.faults[kind] += 1;
  }
  return out;
}

function broken(text: string, kind: FaultKind, random: Random, truth: Truth): string {
  const star = text.lastIndexOf("*");
  const at = random.whole(7, star - 12);
  switch (kind) {
    case "tail-lost":
      truth.discards.cut += 1;
      return text.slice(0, at);
    case "head-lost":
      truth.discards.noise += text.length - at;
      return `${text.slice(at)}\r\n`;
    case "overrun":
      truth.discards.checksum += 1;
      return `${different(text, () => `${text.slice(0, at)}${text.slice(at + random.whole(1, 9))}`)}\r\n`;
    case "bit-flip":
      truth.discards.checksum += 1;
      return `${text.slice(0, at)}${flipped(text.charCodeAt(at))}${text.slice(at + 1)}\r\n`;
    case "checksum-wrong": {
      truth.discards.checksum += 1;
      const wrong = (Number.parseInt(text.slice(star + 1), 16) + random.whole(1, 255)) % 256;
      return `${text.slice(0, star)}*${wrong.toString(16).toUpperCase().padStart(2, "0")}\r\n`;
    }
    case "noise-inside":
      truth.discards["not-ascii"] += 1;
      return `${text.slice(0, at)}${rubbish(random, random.whole(1, 6))}${text.slice(at)}\r\n`;
    default:
      throw new Error(`${kind} is not done to a sentence`);
  }
}

function added(kind: FaultKind, random: Random, truth: Truth): string {
  if (kind === "babble") {
    truth.discards["too-long"] += 1;
    return `$${"U".repeat(random.whole(150, 260))}\r\n`;
  }
  const count = random.whole(3, 48);
  truth.discards.noise += count;
  return rubbish(random, count);
}

/** Bytes that begin no sentence and end no line. */
export function rubbish(random: Random, count: number): string {
  let out = "";
  while (out.length < count) {
    const byte = random.pick([0x00, 0x80, 0xf8, 0xff, random.whole(0x01, 0x1f), random.whole(0x7f, 0xfe)]);
    if (byte !== 0x0a && byte !== 0x0d) out += String.fromCharCode(byte);
  }
  return out;
}

/** Tries until the exclusive or of the characters really is another: missing bytes can cancel each other out. */
function different(text: string, attempt: () => string): string {
  const sum = (of: string) => [...of].reduce((all, character) => all ^ character.charCodeAt(0), 0);
  for (let tries = 0; tries < 100; tries++) {
    const result = attempt();
    if (sum(result) !== sum(text)) return result;
  }
  throw new Error("no way to lose bytes that the checksum would see");
}

/** The character with one of its lower bits turned, still printable and of no meaning to the frame. */
function flipped(code: number): string {
  for (const bit of [1, 2, 4, 8, 16]) {
    const other = code ^ bit;
    if (other >= 0x20 && other <= 0x7e && !"$!*".includes(String.fromCharCode(other)))
      return String.fromCharCode(other);
  }
  throw new Error(`nothing printable one bit from ${code}`);
}

export type Chunk = { readonly t: number; readonly b: string };

/**
 * Bursts to chunks as a USB adapter hands them on: 12 to 62 bytes at a time, each when its last bit has come over a line of
 * `baudRate` (ten bits per byte). `at`: when the burst begins, ms; one begins no earlier than the one before has ended.
 */
export function chunked(bursts: readonly { at: number; bytes: string }[], baudRate: number, random: Random): Chunk[] {
  const chunks: Chunk[] = [];
  let free = 0;
  for (const { at, bytes } of bursts) {
    free = Math.max(free, at);
    for (let from = 0; from < bytes.length; ) {
      const piece = bytes.slice(from, from + random.whole(12, 62));
      from += piece.length;
      free += (piece.length * 10_000) / baudRate;
      chunks.push({ t: Math.round(free), b: piece });
    }
  }
  return chunks;
}

/** The file: a header, then a line per chunk. Bytes that an editor would not show are written as escapes. */
export function recordingText(
  header: { device: string; baudRate: number; note: string },
  chunks: readonly Chunk[],
): string {
  const lines = [
    JSON.stringify({ format: "cairn-recording/1", ...header }),
    ...chunks.map((chunk) => JSON.stringify(chunk)),
  ];
  const hidden = /[\u007f-\u00a0\u00ad]/g;
  const asEscape = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return `${lines.join("\n").replace(hidden, asEscape)}\n`;
}
