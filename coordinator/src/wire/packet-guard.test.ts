import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createPacketGuard } from "./packet-guard.ts";

const limit = 200;

test("packets up to the limit pass, the first one above it is told with its announced size", () => {
  assert.equal(excess([packet(0), packet(limit), packet(1)]), 0);
  assert.equal(excess([packet(5), packet(limit + 1), packet(limit + 2)]), limit + 1);
});

test("what is too large is told when its length is read, before any of its bytes", () => {
  const guard = createPacketGuard(limit);
  assert.equal(guard.excess(packet(3)), 0);
  assert.equal(guard.excess(header(10_000_000).subarray(0, 4)), 0);
  assert.equal(guard.excess(header(10_000_000).subarray(4)), 10_000_000);
});

test("bytes inside a packet are never taken for the head of another", () => {
  const treacherous = Buffer.concat([header(150), Buffer.alloc(150, header(10_000_000))]);
  assert.equal(excess([treacherous, packet(2)]), 0);
});

test("a length takes four bytes at most, so that the fifth begins something else", () => {
  // MQTT 3.1.1 section 2.2.3: 0xff 0xff 0xff 0x7f is the largest length.
  assert.equal(createPacketGuard(limit).excess(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f])), 268_435_455);
  assert.equal(createPacketGuard(limit).excess(Buffer.from([0x30, 0x81, 0x80, 0x80, 0x80, 0x7f])), 0);
});

const anyChunks = (bytes: Uint8Array) =>
  fc
    .array(fc.nat({ max: Math.max(0, bytes.length) }), { maxLength: 12 })
    .map((cuts) => [0, ...cuts.sort((a, b) => a - b), bytes.length])
    .map((cuts) => cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end)));

test("any stream of packets gives the same answer in any chunks", () => {
  const anyLength = fc.oneof(
    { weight: 8, arbitrary: fc.nat({ max: limit }) },
    fc.integer({ min: limit + 1, max: 90_000 }),
  );
  const anyStream = fc.array(anyLength, { maxLength: 8 }).chain((lengths) => {
    const bytes = Buffer.concat(lengths.map(packet));
    return fc.tuple(fc.constant(lengths), anyChunks(bytes));
  });
  fc.assert(
    fc.property(anyStream, ([lengths, chunks]) => {
      assert.equal(excess(chunks), lengths.find((length) => length > limit) ?? 0);
    }),
    { numRuns: 500 },
  );
});

test("any bytes at all give the same answer in any chunks", () => {
  const anyBytes = fc.uint8Array({ maxLength: 600 }).chain((bytes) => fc.tuple(fc.constant(bytes), anyChunks(bytes)));
  fc.assert(
    fc.property(anyBytes, ([bytes, chunks]) => {
      assert.equal(excess(chunks), excess([bytes]));
      assert.equal(excess([...bytes].map((byte) => Uint8Array.of(byte))), excess([bytes]));
    }),
    { numRuns: 500 },
  );
});

/** The first answer other than 0 of a fresh guard. */
function excess(chunks: readonly Uint8Array[]): number {
  const guard = createPacketGuard(limit);
  for (const chunk of chunks) {
    const told = guard.excess(chunk);
    if (told > 0) return told;
  }
  return 0;
}

function packet(length: number): Buffer {
  return Buffer.concat([header(length), Buffer.alloc(length, 0xff)]);
}

/** The fixed header of a publish packet: type, then the remaining length. */
function header(length: number): Buffer {
  const bytes = [0x30];
  let rest = length;
  do {
    const digit = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? digit + 128 : digit);
  } while (rest > 0);
  return Buffer.from(bytes);
}
