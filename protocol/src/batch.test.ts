import assert from "node:assert/strict";
import { test } from "node:test";
import { constants, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { accepted, newDevice, refusalOf } from "../testing/parties.ts";
import {
  type Batch,
  type BatchEnvelope,
  dropReasons,
  encodeBatch,
  parseBatchEnvelope,
  parseBatchPayload,
  qualities,
  type Reading,
  readingsOf,
} from "./batch.ts";
import { verifyEs256 } from "./es256.ts";
import type { BootId } from "./identity.ts";
import { encodeDetached } from "./jws.ts";
import { limits } from "./limits.ts";
import { unitNames } from "./units.ts";

const { nodeId, publicKey, sign } = newDevice();
/** Without a pattern in it, as boot ids are: one with a pattern would compress. */
const boot = "9f3c1e07b5a84d62c0e1f7a9348bd25e" as BootId;
const month = 2_592_000_000;

const reading = (change: Partial<Reading> = {}): Reading => ({
  series: "gnss.speed",
  unit: "m/s",
  at: 1_790_000_000_000,
  value: 1.5,
  quality: "good",
  ...change,
});
const batch = (change: Partial<Batch> = {}): Batch => ({
  boot,
  bootCount: 7,
  sequence: 12,
  dropped: [],
  readings: [reading()],
  ...change,
});
const header = { kid: nodeId, cty: "cairn-batch+json", boot, seq: 12 };
const payload = { n: 7, series: [{ s: "a.b", u: "V", t: 5, d: [0, 2], v: [1, 2] }] };
const column = payload.series[0];

/** Reads a payload as if its signature had been verified. */
function judge(content: unknown, compressed = false) {
  const json = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
  const signed = { signingInput: Buffer.alloc(0), signature: Buffer.alloc(64) };
  return parseBatchPayload({ nodeId, boot, sequence: 12, compressed, payload: json, ...signed });
}

function opened(message: Buffer): BatchEnvelope {
  const envelope = accepted(parseBatchEnvelope(message));
  assert.ok(verifyEs256(publicKey, envelope.signingInput, envelope.signature));
  return envelope;
}

/** Readings in the order in which columns give them back: series by series, each in its own order. */
function bySeries(readings: readonly Reading[]): Reading[] {
  return [...Map.groupBy(readings, ({ series, unit }) => `${series} ${unit}`).values()].flat();
}

const names = fc.stringMatching(/^[a-z][a-z0-9]{0,8}(\.[a-z0-9][a-z0-9_-]{0,6}){1,7}$/);
const values = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
const batches: fc.Arbitrary<Batch> = fc
  .record({
    start: fc.integer({ min: 0, max: 253_402_300_799_999 - month }),
    series: fc.array(fc.record({ series: names, unit: fc.constantFrom(...unitNames) }), {
      minLength: 1,
      maxLength: 128,
    }),
    samples: fc.array(
      fc.record({
        pick: fc.nat(),
        after: fc.integer({ min: 0, max: month }),
        value: values,
        quality: fc.constantFrom(...qualities),
      }),
      { maxLength: limits.batchReadings },
    ),
    bootCount: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    sequence: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    gaps: fc.array(
      fc.record({
        first: fc.integer({ min: 1, max: 2 ** 40 }),
        more: fc.nat(),
        readings: fc.nat(),
        reason: fc.constantFrom(...dropReasons),
      }),
      { maxLength: 64 },
    ),
  })
  .map(({ start, series, samples, bootCount, sequence, gaps }) => ({
    boot,
    bootCount,
    sequence,
    dropped: gaps.map(({ first, more, readings, reason }) => ({ first, last: first + more, readings, reason })),
    readings: samples.map(({ pick, after, value, quality }) => ({
      ...(series[pick % series.length] ?? { series: "a.b", unit: "V" }),
      at: start + after,
      value,
      quality,
    })),
  }));

test("every batch of readings comes back as it went in, series by series", () => {
  fc.assert(
    fc.property(batches, (sent) => {
      const envelope = opened(encodeBatch(sent, nodeId, sign));
      assert.equal(envelope.nodeId, nodeId);
      assert.deepEqual([envelope.boot, envelope.sequence], [sent.boot, sent.sequence]);
      const received = accepted(parseBatchPayload(envelope));
      assert.deepEqual([...readingsOf(received)], bySeries(sent.readings));
      assert.deepEqual(received.dropped ?? [], sent.dropped);
      assert.deepEqual([received.boot, received.n, received.seq], [sent.boot, sent.bootCount, sent.sequence]);
    }),
    { numRuns: 200 },
  );
});

test("a payload is compressed exactly when that makes it smaller, and the header says so", () => {
  const seen = new Set<boolean>();
  fc.assert(
    fc.property(fc.oneof(batches, fc.constant(batch()), fc.constant(batch({ readings: [] }))), (sent) => {
      const envelope = opened(encodeBatch(sent, nodeId, sign));
      const { boot: _boot, seq: _seq, ...written } = accepted(parseBatchPayload(envelope));
      const json = Buffer.from(JSON.stringify(written));
      const packed = zstdCompressSync(json, { params: { [constants.ZSTD_c_compressionLevel]: 3 } });
      assert.equal(envelope.compressed, packed.length < json.length);
      assert.equal(envelope.payload.length, Math.min(packed.length, json.length));
      seen.add(envelope.compressed);
    }),
    { numRuns: 100 },
  );
  assert.deepEqual([...seen].sort(), [false, true]);
});

test("a batch that compression would not shrink can be read with the eye: one line of signature, then JSON", () => {
  const text = encodeBatch(batch({ readings: [] }), nodeId, sign).toString();
  assert.equal(text.slice(text.indexOf("\n") + 1), '{"n":7,"series":[]}');
});

test("boot and sequence stand in the signed header: a batch is named although its payload cannot be read", () => {
  for (const broken of [Buffer.from("{"), Buffer.from('{"n":0}'), Buffer.alloc(0)]) {
    const envelope = opened(encodeDetached(header, broken, sign));
    assert.deepEqual([envelope.boot, envelope.sequence], [boot, 12]);
    assert.equal(parseBatchPayload(envelope).ok, false);
  }
});

test("readings of one series and unit stand in one column; another unit begins another", () => {
  const readings = [
    reading(),
    reading({ series: "gnss.alt", unit: "m", value: 34 }),
    reading({ at: 1_790_000_000_250 }),
  ];
  const sent = batch({ readings: [...readings, reading({ unit: "Hz" })] });
  assert.deepEqual(accepted(parseBatchPayload(opened(encodeBatch(sent, nodeId, sign)))).series, [
    { s: "gnss.speed", u: "m/s", t: 1_790_000_000_000, d: [0, 250], v: [1.5, 1.5] },
    { s: "gnss.alt", u: "m", t: 1_790_000_000_000, d: [0], v: [34] },
    { s: "gnss.speed", u: "Hz", t: 1_790_000_000_000, d: [0], v: [1.5] },
  ]);
});

test("the earliest reading of a series is its base time, whatever the order they come in", () => {
  const times = [1_005, 1_000, 1_020];
  const sent = batch({ readings: times.map((at) => reading({ at })) });
  const { series } = accepted(parseBatchPayload(opened(encodeBatch(sent, nodeId, sign))));
  assert.deepEqual(
    series.map(({ t, d }) => ({ t, d })),
    [{ t: 1_000, d: [5, 0, 20] }],
  );
});

test("qualities travel only when one of them is not good", () => {
  const qualityOf = (...given: Reading["quality"][]) => {
    const sent = batch({ readings: given.map((quality) => reading({ quality })) });
    return accepted(parseBatchPayload(opened(encodeBatch(sent, nodeId, sign)))).series[0]?.q;
  };
  assert.equal(qualityOf("good", "good"), undefined);
  assert.deepEqual(qualityOf("good", "bad", "uncertain"), [0, 2, 1]);
});

test("the signature covers the payload's exact bytes: no byte of it can change, not even white space", () => {
  const message = encodeBatch(batch(), nodeId, sign);
  const start = message.indexOf("\n") + 1;
  for (let at = start; at < message.length; at++) {
    const bent = Buffer.from(message);
    bent[at] = (bent[at] ?? 0) ^ 0x20;
    const { signingInput, signature } = accepted(parseBatchEnvelope(bent));
    assert.equal(verifyEs256(publicKey, signingInput, signature), false);
  }
  const respaced = Buffer.concat([message.subarray(0, start), Buffer.from(" "), message.subarray(start)]);
  const { signingInput, signature } = accepted(parseBatchEnvelope(respaced));
  assert.equal(verifyEs256(publicKey, signingInput, signature), false);
});

test("a header that names another node does not make the batch that node's", () => {
  const victim = newDevice();
  const envelope = accepted(parseBatchEnvelope(encodeBatch(batch(), victim.nodeId, sign)));
  assert.equal(envelope.nodeId, victim.nodeId);
  assert.equal(verifyEs256(victim.publicKey, envelope.signingInput, envelope.signature), false);
});

test("a header without node id, boot or sequence, or with the content type of something else, is refused", () => {
  const refused = (change: Record<string, unknown>, field: RegExp) => {
    const { code, detail } = refusalOf(
      parseBatchEnvelope(encodeDetached({ ...header, ...change }, Buffer.from("{}"), sign)),
    );
    assert.equal(code, "envelope-malformed");
    assert.match(detail, field, JSON.stringify(change));
  };
  assert.ok(parseBatchEnvelope(encodeDetached(header, Buffer.from("{}"), sign)).ok);
  for (const kid of [undefined, null, 1, "", nodeId.toUpperCase(), `${nodeId}0`, [nodeId]]) refused({ kid }, /kid/);
  for (const cty of [undefined, "", "json", "cairn-batch+JSON", "cairn-batch+json+gzip", 1]) refused({ cty }, /cty/);
  for (const id of [undefined, null, 1, "", boot.toUpperCase(), `${boot}0`, `${boot}\n`, [boot]])
    refused({ boot: id }, /boot/);
  for (const seq of [undefined, null, 0, -1, 1.5, Number.MAX_SAFE_INTEGER + 1, "12", [12]]) refused({ seq }, /seq/);
});

test("a message of more than 131072 bytes is refused before anything is read of it", () => {
  assert.equal(refusalOf(parseBatchEnvelope(Buffer.alloc(131_072))).code, "envelope-malformed");
  assert.equal(refusalOf(parseBatchEnvelope(Buffer.alloc(131_073))).code, "payload-too-large");
});

test("the largest batch that the counts allow fits into one message", () => {
  const name = (index: number) => `s${index}.${"x".repeat(59)}`.slice(0, limits.seriesName);
  const noise = (index: number) => (Math.sin(index + 1) * 1e300) / 3;
  const largest = batch({
    bootCount: Number.MAX_SAFE_INTEGER,
    sequence: Number.MAX_SAFE_INTEGER,
    dropped: Array.from({ length: 64 }, (_, index) => ({
      first: Number.MAX_SAFE_INTEGER - index,
      last: Number.MAX_SAFE_INTEGER - index,
      readings: Number.MAX_SAFE_INTEGER - index,
      reason: "store-damaged",
    })),
    readings: Array.from({ length: limits.batchReadings }, (_, index) =>
      reading({
        series: name(index % limits.batchSeries),
        at: 1_790_000_000_000 + ((index * 7_919_777) % month),
        value: noise(index),
        quality: "bad",
      }),
    ),
  });
  const envelope = opened(encodeBatch(largest, nodeId, sign));
  assert.equal([...readingsOf(accepted(parseBatchPayload(envelope)))].length, limits.batchReadings);
  const json = JSON.stringify(accepted(parseBatchPayload(envelope)));
  assert.ok(json.length < limits.messageBytes, `${json.length} bytes unpacked`);
});

test("a small message that unpacks to more than 1048576 bytes is refused without unpacking it", () => {
  const bomb = zstdCompressSync(Buffer.alloc(64 * 1024 * 1024, " "));
  assert.ok(bomb.length < limits.messageBytes);
  const before = process.memoryUsage().rss;
  assert.equal(refusalOf(judge(bomb, true)).code, "payload-too-large");
  assert.ok(process.memoryUsage().rss - before < 32 * 1024 * 1024);
  const padded = (bytes: number) => {
    const json = JSON.stringify(payload);
    return zstdCompressSync(Buffer.from(json + " ".repeat(bytes - json.length)));
  };
  assert.ok(judge(padded(1_048_576), true).ok);
  assert.equal(refusalOf(judge(padded(1_048_577), true)).code, "payload-too-large");
});

test("what is not complete zstd, not UTF-8 or not complete JSON is a malformed payload", () => {
  const json = Buffer.from(JSON.stringify(payload));
  const packed = zstdCompressSync(json);
  assert.ok(judge(packed, true).ok);
  for (const broken of [Buffer.alloc(0), json, packed.subarray(0, -1), packed.subarray(1), Buffer.from("garbage")])
    assert.equal(refusalOf(judge(broken, true)).code, "payload-malformed");
  const latin = Buffer.from(JSON.stringify({ ...payload, series: "ü" }), "latin1");
  for (const broken of [Buffer.alloc(0), json.subarray(0, -1), Buffer.concat([json, json]), latin, packed])
    assert.equal(refusalOf(judge(broken)).code, "payload-malformed");
});

test("columns of different lengths are refused", () => {
  for (const change of [{ v: [1] }, { d: [0] }, { q: [0] }, { q: [0, 0, 0] }, { v: [1, 2, 3] }]) {
    const { code, detail } = refusalOf(judge({ ...payload, series: [{ ...column, ...change }] }));
    assert.equal(code, "schema-mismatch");
    assert.match(detail, /columns of a\.b differ in length/);
  }
  assert.ok(judge({ ...payload, series: [{ ...column, q: [0, 2] }] }).ok);
});

test("values that are no finite numbers cannot pass, neither encoded nor written by hand", () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const envelope = opened(encodeBatch(batch({ readings: [reading({ value })] }), nodeId, sign));
    assert.equal(refusalOf(parseBatchPayload(envelope)).code, "schema-mismatch");
  }
  const written = (value: string) => Buffer.from(JSON.stringify(payload).replace('"v":[1,2]', `"v":[1,${value}]`));
  assert.ok(judge(written("1e308")).ok);
  for (const value of ["1e400", "-1e400", "null", '"1"', "true", "[1]"])
    assert.equal(refusalOf(judge(written(value))).code, "schema-mismatch", value);
  for (const value of ["NaN", "Infinity", "0x10", "1.", "+1", "01"])
    assert.equal(refusalOf(judge(written(value))).code, "payload-malformed", value);
});

test("every count of a batch has its limit", () => {
  const columns = (count: number, size: number) =>
    Array.from({ length: count }, (_, index) => ({
      s: `a.b${index}`,
      u: "V",
      t: 0,
      d: Array(size).fill(0),
      v: Array(size).fill(1),
    }));
  const gap = { first: 1, last: 2, readings: 0, reason: "store-full" };
  const name = (length: number) => `a.${"b".repeat(length - 2)}`;
  const fits: object[] = [
    { series: [] },
    { series: columns(1, 500) },
    { series: columns(128, 1) },
    { series: columns(2, 250) },
    { dropped: Array(64).fill(gap) },
    { series: [{ ...column, s: name(64) }] },
    { series: [{ ...column, d: [0, month] }] },
    { series: [{ ...column, t: 253_402_300_799_999 }] },
  ];
  for (const change of fits) assert.ok(judge({ ...payload, ...change }).ok, JSON.stringify(change).slice(0, 80));
  const exceeds: object[] = [
    { series: columns(1, 501) },
    { series: columns(129, 1) },
    { series: columns(2, 251) },
    { series: columns(1, 0) },
    { dropped: Array(65).fill(gap) },
    { dropped: [{ ...gap, last: 0 }] },
    { dropped: [{ ...gap, first: 3 }] },
    { dropped: [{ ...gap, readings: -1 }] },
    { dropped: [{ ...gap, reason: "tired" }] },
    { dropped: [{ ...gap, more: 1 }] },
    { series: [{ ...column, s: name(65) }] },
    { series: [{ ...column, d: [0, month + 1] }] },
    { series: [{ ...column, d: [0, -1] }] },
    { series: [{ ...column, d: [0, 0.5] }] },
    { series: [{ ...column, t: 253_402_300_800_000 }] },
    { series: [{ ...column, t: -1 }] },
    { series: [{ ...column, q: [0, 3] }] },
    { series: [{ ...column, u: "volt" }] },
    { series: [{ ...column, u: "toString" }] },
    { series: [{ ...column, more: 1 }] },
    { n: 0 },
    { n: 1.5 },
    { n: Number.MAX_SAFE_INTEGER + 1 },
    { seq: 12 },
    { boot },
    { nodeId },
  ];
  for (const change of exceeds)
    assert.equal(
      refusalOf(judge({ ...payload, ...change })).code,
      "schema-mismatch",
      JSON.stringify(change).slice(0, 80),
    );
});

test("a series name is two to eight dotted words in lower case", () => {
  for (const s of ["a.b", "gnss.fix.h-acc_1", "host.cpu0.0", "a.b.c.d.e.f.g.h"])
    assert.ok(judge({ ...payload, series: [{ ...column, s }] }).ok, s);
  for (const s of [
    "",
    "a",
    "a.",
    ".a",
    "a..b",
    "A.b",
    "1.a",
    "a.-b",
    "a.b.c.d.e.f.g.h.i",
    "a.b ",
    "a.b\n",
    "a.ü",
    "a/b",
  ])
    assert.equal(refusalOf(judge({ ...payload, series: [{ ...column, s }] })).code, "schema-mismatch", s);
});

test("every field that a batch must hold is missed when it is not there", () => {
  for (const field of Object.keys(payload)) {
    const { code, detail } = refusalOf(judge(without(payload, field)));
    assert.equal(code, "schema-mismatch");
    assert.match(detail, new RegExp(`\\b${field}\\b`));
  }
  for (const field of Object.keys(column ?? {}))
    assert.match(
      refusalOf(judge({ ...payload, series: [without(column, field)] })).detail,
      new RegExp(`\\b${field}\\b`),
    );
});

test("a payload of hundreds of thousands of wrong members is refused in a moment: nobody looks for the first of them", () => {
  for (const member of ["0", "{}", '"x"', "[]"]) {
    const json = Buffer.from(`{"n":1,"series":[${Array(250_000).fill(member).join(",")}]}`);
    assert.ok(json.length < limits.inflatedBytes);
    const { code, detail } = refusalOf(judge(json));
    assert.equal(code, "schema-mismatch");
    assert.match(detail, /too many members/);
  }
  const crowded = { ...payload, series: Array(129).fill(column) };
  assert.match(refusalOf(judge(crowded)).detail, /\/series must not have more than 128 items/);
});

function without(value: object | undefined, field: string): object {
  return Object.fromEntries(Object.entries(value ?? {}).filter(([key]) => key !== field));
}
