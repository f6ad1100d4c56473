import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createNmeaFrames, longestSentence } from "./nmea-frames.ts";

function framed(body: string, start = "$"): string {
  let checksum = 0;
  for (const byte of Buffer.from(body, "latin1")) checksum ^= byte;
  return `${start}${body}*${checksum.toString(16).toUpperCase().padStart(2, "0")}`;
}

function parse(...chunks: (string | Uint8Array)[]) {
  const frames = createNmeaFrames();
  const found = chunks.flatMap((chunk) =>
    frames.push(typeof chunk === "string" ? Buffer.from(chunk, "latin1") : chunk),
  );
  const { noise = -1, cut = -1, checksum = -1 } = frames.discards();
  return { found, noise, cut, checksum, long: frames.discards()["too-long"], foreign: frames.discards()["not-ascii"] };
}

const none = { noise: 0, cut: 0, checksum: 0, long: 0, foreign: 0 };
const gga = "$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47";

test("a sentence comes out as it stands, without its line end", () => {
  assert.deepEqual(parse(`${gga}\r\n`), { found: [gga], ...none });
});

test("encapsulated sentences, a lone line feed and checksums in lower case are taken", () => {
  const ais = framed("AIVDM,1,1,,A,15M,0", "!");
  const lower = gga.replace("*47", "*4d").replace("GPGGA,123519", "GPGGA,123513");
  assert.deepEqual(parse(`${ais}\n${lower}\r\n`), { found: [ais, lower], ...none });
});

test("a sentence is not given out before its line end has come", () => {
  const frames = createNmeaFrames();
  assert.deepEqual(frames.push(Buffer.from(gga)), []);
  assert.deepEqual(frames.push(Buffer.from("\r")), [gga]);
  assert.deepEqual(frames.push(Buffer.from("\n")), []);
});

test("bytes outside sentences are noise, byte by byte, and empty lines are none", () => {
  assert.deepEqual(parse(`\0\xffab\r\n\r\n${gga}\r\nxyz`), { found: [gga], ...none, noise: 7 });
});

test("a sentence is cut when a line end or a new start comes too early", () => {
  for (const half of ["$GPGGA,1235\r\n", "$GPGGA,1235", "$GPGGA,1*\r\n", "$GPGGA,1*4", gga])
    assert.deepEqual(parse(`${half}${gga}\r\n`), { found: [gga], ...none, cut: 1 }, half);
});

test("a wrong checksum, one that is no number and one with a third digit are refused, and their rest is no noise", () => {
  for (const wrong of ["*46", "*57", "*4G", "*G7", "*477", "*4 7", "*47 and more"])
    assert.deepEqual(
      parse(`${gga.replace("*47", wrong)}\r\n${gga}\r\n`),
      { found: [gga], ...none, checksum: 1 },
      wrong,
    );
});

test("every single character that changes is noticed", () => {
  for (let at = 1; at < gga.length - 3; at++) {
    const other = gga[at] === "7" ? "8" : "7";
    assert.deepEqual(parse(`${gga.slice(0, at)}${other}${gga.slice(at + 1)}\r\n`).found, [], `character ${at}`);
  }
});

test("a byte that is not printable ASCII spoils its sentence and nothing else", () => {
  for (const byte of ["\0", "\x1f", "\x7f", "\x80", "\xff"])
    assert.deepEqual(parse(`${gga.slice(0, 20)}${byte}${gga.slice(20)}\r\n${gga}\r\n`), {
      found: [gga],
      ...none,
      foreign: 1,
    });
});

test("the longest sentence is taken, one character more is too long", () => {
  const body = (length: number) => framed(`PTEST,${"x".repeat(length - 1 - 6 - 3 - 2)}`);
  assert.equal(body(longestSentence).length + 2, longestSentence);
  assert.deepEqual(parse(`${body(longestSentence)}\r\n`), { found: [body(longestSentence)], ...none });
  assert.deepEqual(parse(`${body(longestSentence + 1)}\r\n${gga}\r\n`), { found: [gga], ...none, long: 1 });
});

test("a start without an end is one sentence too long, however much follows, and the next one is found", () => {
  const frames = createNmeaFrames();
  frames.push(Buffer.from("$"));
  for (let round = 0; round < 1000; round++) assert.deepEqual(frames.push(Buffer.alloc(1000, "U")), []);
  assert.deepEqual(frames.push(Buffer.from(`${gga}\r\n`)), [gga]);
  assert.deepEqual(frames.discards(), { noise: 0, cut: 0, "too-long": 1, checksum: 0, "not-ascii": 0 });
});

test("counts that were handed out do not change afterwards", () => {
  const frames = createNmeaFrames();
  const before = frames.discards();
  frames.push(Buffer.from("noise"));
  assert.equal(before.noise, 0);
  assert.equal(frames.discards().noise, 5);
});

/** Bytes that hit the grammar's special characters often. */
const hostileByte = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...Buffer.from("$!*\r\n,0aF7")) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 255 }) },
);
const hostile = fc.array(hostileByte, { maxLength: 200 }).map((bytes) => Uint8Array.from(bytes));
const body = fc
  .array(fc.constantFrom(..."ABCGPNX0123456789.,-"), { minLength: 1, maxLength: 70 })
  .map((characters) => characters.join(""));

test("any bytes: every sentence that follows noise is found, in order, and what comes out is always whole", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(hostile, body), { maxLength: 12 }), hostile, (pieces, tail) => {
      const sent = pieces.map(([, text]) => framed(text));
      const { found } = parse(...pieces.flatMap(([noise, text]) => [noise, `${framed(text)}\r\n`]), tail);
      let next = 0;
      for (const one of found) {
        assert.equal(one, framed(one.slice(1, one.lastIndexOf("*")), one[0]).replace(/..$/, one.slice(-2)));
        assert.ok(one.length <= longestSentence - 2);
        if (one === sent[next]) next += 1;
      }
      assert.equal(next, sent.length);
    }),
    { numRuns: 1500 },
  );
});

test("any bytes: where the chunks are cut changes neither the sentences nor the counts", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          hostile,
          body.map((text) => Buffer.from(`${framed(text)}\r\n`)),
        ),
        { maxLength: 10 },
      ),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 }),
      (parts, sizes) => {
        const all = Buffer.concat(parts);
        const cuts: Uint8Array[] = [];
        for (let from = 0, turn = 0; from < all.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          cuts.push(all.subarray(from, from + size));
          from += size;
        }
        assert.deepEqual(parse(...cuts), parse(all));
      },
    ),
    { numRuns: 1500 },
  );
});
