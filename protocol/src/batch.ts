/**
 * A batch: many readings under one ES256 signature (architecture, section 4). Readings stand in columns per series, because
 * cellular links pay by the byte. The message is one line of detached JWS, then the payload, zstd-compressed where that saves bytes.
 * Boot and sequence stand in the signed header: a batch whose payload cannot be read can still be named, and so answered.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import Type, { type Static } from "typebox";
import type { Signer } from "./es256.ts";
import { type BootId, isBootId, isNodeId, type NodeId } from "./identity.ts";
import { encodeDetached, type ParsedJws, parseDetached, type Signed } from "./jws.ts";
import { limits } from "./limits.ts";
import { accept, type Result, reject } from "./result.ts";
import { checker, parseJson } from "./schema.ts";
import { type Unit, unitNames } from "./units.ts";

export const qualities = ["good", "uncertain", "bad"] as const;
export type Quality = (typeof qualities)[number];

/** One measured value. `at`: unix milliseconds of the measurement by the node's clock. */
export type Reading = {
  readonly series: string;
  readonly unit: Unit;
  readonly at: number;
  readonly value: number;
  readonly quality: Quality;
};

/**
 * Why sealed batches of a node will never come, closed list. `store-full`, `store-damaged`: the node lost their readings. `refused`: the
 * coordinator refused them for good and the node set them aside. `already-freed`: the node freed them on a receipt that the ledger does
 * not know any more.
 */
export const dropReasons = ["store-full", "store-damaged", "refused", "already-freed"] as const;
export type DropReason = (typeof dropReasons)[number];

/** A gap is said, not guessed: sealed batches first..last of this boot will never come; they held `readings` readings. */
export type Dropped = {
  readonly first: number;
  readonly last: number;
  readonly readings: number;
  readonly reason: DropReason;
};

export type Batch = {
  /** The boot in which the batch was sealed, and that boot's counter. */
  readonly boot: BootId;
  readonly bootCount: number;
  /** 1, 2, 3 ... within the boot. */
  readonly sequence: number;
  readonly dropped: readonly Dropped[];
  readonly readings: readonly Reading[];
};

const Name = Type.String({ pattern: "^[a-z][a-z0-9]*(\\.[a-z0-9][a-z0-9_-]*){1,7}$", maxLength: limits.seriesName });
const Time = Type.Integer({ minimum: 0, maximum: 253_402_300_799_999 });
const Count = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });

const Column = Type.Object(
  {
    s: Name,
    u: Type.Enum([...unitNames]),
    /** Base time, unix ms; then the offset of each reading from it, ms. */
    t: Time,
    d: Type.Array(Type.Integer({ minimum: 0, maximum: 2_592_000_000 }), {
      minItems: 1,
      maxItems: limits.batchReadings,
    }),
    v: Type.Array(Type.Number(), { minItems: 1, maxItems: limits.batchReadings }),
    /** Quality per reading as index of `qualities`; left out when all are good. */
    q: Type.Optional(
      Type.Array(Type.Integer({ minimum: 0, maximum: 2 }), { minItems: 1, maxItems: limits.batchReadings }),
    ),
  },
  { additionalProperties: false },
);

export const BatchPayload = Type.Object(
  {
    n: Count,
    dropped: Type.Optional(
      Type.Array(
        Type.Object(
          {
            first: Count,
            last: Count,
            readings: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
            reason: Type.Enum([...dropReasons]),
          },
          { additionalProperties: false },
        ),
        { maxItems: 64 },
      ),
    ),
    series: Type.Array(Column, { maxItems: limits.batchSeries }),
  },
  { additionalProperties: false },
);
export type BatchPayload = Static<typeof BatchPayload>;

/** What a batch says once its signature holds: the payload, with the boot and the sequence of its header. */
export type SignedBatch = BatchPayload & { readonly boot: BootId; readonly seq: number };

/** A batch of the largest size has some 2,400 members. */
const checkPayload = checker("batch", BatchPayload, 10_000);

const plain = "cairn-batch+json";
const compressed = "cairn-batch+json+zstd";

/** Signs and packs a batch into one MQTT payload. Readings may come in any order; within a series the earliest is the base. */
export function encodeBatch(batch: Batch, nodeId: NodeId, signer: Signer): Buffer {
  const json = Buffer.from(JSON.stringify(toColumns(batch)));
  const packed = zstdCompressSync(json, { params: { [constants.ZSTD_c_compressionLevel]: 3 } });
  const [cty, payload] = packed.length < json.length ? [compressed, packed] : [plain, json];
  return encodeDetached({ kid: nodeId, cty, boot: batch.boot, seq: batch.sequence }, payload, signer);
}

function toColumns(batch: Batch): BatchPayload {
  const bySeries = new Map<string, Reading[]>();
  for (const reading of batch.readings) {
    const key = `${reading.series} ${reading.unit}`;
    const column = bySeries.get(key);
    if (column) column.push(reading);
    else bySeries.set(key, [reading]);
  }
  const series: BatchPayload["series"] = [];
  for (const column of bySeries.values()) {
    const first = column[0];
    if (!first) continue;
    const base = column.reduce((least, { at }) => Math.min(least, at), first.at);
    series.push({
      s: first.series,
      u: first.unit,
      t: base,
      d: column.map(({ at }) => at - base),
      v: column.map(({ value }) => value),
      ...(column.every(({ quality }) => quality === "good")
        ? {}
        : { q: column.map(({ quality }) => qualities.indexOf(quality)) }),
    });
  }
  return {
    n: batch.bootCount,
    ...(batch.dropped.length > 0 ? { dropped: batch.dropped.map((gap) => ({ ...gap })) } : {}),
    series,
  };
}

export type BatchEnvelope = Signed & {
  readonly nodeId: NodeId;
  readonly boot: BootId;
  readonly sequence: number;
  readonly compressed: boolean;
  readonly payload: Buffer;
};

/** First half of reading a batch: who claims to have signed which bytes, as which batch. Nothing of the payload is touched before the signature holds. */
export function parseBatchEnvelope(message: Buffer): Result<BatchEnvelope> {
  if (message.length > limits.messageBytes) return reject("payload-too-large", `${message.length} bytes`);
  const parsed = parseDetached(message);
  if (!parsed.ok) return parsed;
  const { kid, cty, boot, seq } = parsed.value.header;
  if (typeof kid !== "string" || !isNodeId(kid)) return reject("envelope-malformed", "kid is not a NodeId");
  if (cty !== plain && cty !== compressed) return reject("envelope-malformed", "cty is not that of a batch");
  if (typeof boot !== "string" || !isBootId(boot)) return reject("envelope-malformed", "boot is not a boot id");
  if (!isSequence(seq)) return reject("envelope-malformed", "seq is not a whole number from 1 on");
  return accept({
    ...signedPart(parsed.value),
    nodeId: kid,
    boot,
    sequence: seq,
    compressed: cty === compressed,
    payload: parsed.value.payload,
  });
}

function isSequence(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

function signedPart({ signingInput, signature }: ParsedJws): Signed {
  return { signingInput, signature };
}

/** Second half, after the signature was verified: unpacks, checks the shape. Columns stay columns; `readingsOf` walks them. */
export function parseBatchPayload(envelope: BatchEnvelope): Result<SignedBatch> {
  let json: Uint8Array = envelope.payload;
  if (envelope.compressed) {
    try {
      json = zstdDecompressSync(envelope.payload, { maxOutputLength: limits.inflatedBytes });
    } catch (cause) {
      return (cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE"
        ? reject("payload-too-large", `unpacks to more than ${limits.inflatedBytes} bytes`)
        : reject("payload-malformed", "not complete zstd");
    }
  }
  const value = parseJson(json, "batch");
  if (!value.ok) return value;
  const payload = checkPayload(value.value);
  if (!payload.ok) return payload;
  let readings = 0;
  for (const column of payload.value.series) {
    if (column.v.length !== column.d.length || (column.q && column.q.length !== column.d.length))
      return reject("schema-mismatch", `batch: columns of ${column.s} differ in length`);
    readings += column.v.length;
  }
  if (readings > limits.batchReadings) return reject("schema-mismatch", `batch: ${readings} readings in one batch`);
  for (const gap of payload.value.dropped ?? [])
    if (gap.last < gap.first) return reject("schema-mismatch", "batch: a dropped range ends before it begins");
  return accept({ ...payload.value, boot: envelope.boot, seq: envelope.sequence });
}

/** The readings of a batch, one by one, in the order of its columns. */
export function* readingsOf(payload: BatchPayload): Generator<Reading> {
  for (const column of payload.series)
    for (const [index, value] of column.v.entries())
      yield {
        series: column.s,
        unit: column.u as Unit,
        at: column.t + (column.d[index] ?? 0),
        value,
        quality: qualities[column.q?.[index] ?? 0] ?? "bad",
      };
}
