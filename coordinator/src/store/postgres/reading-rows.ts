/**
 * Rows of `reading` in PostgreSQL's binary COPY format (https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"):
 * a signature, rows of counted fields with their lengths, big-endian, and a trailer.
 */
import type { NewBatch } from "./group.ts";

/** The order of the fields. */
export const copyReadings = "copy reading (at, id, value, channel, day, quality) from stdin with (format binary)";

/** Ids of a batch's readings: more than a batch may hold. */
export const idsPerBatch = 512;

/** A batch with the id it got, and the ids of its series' channels. */
export type StoredBatch = NewBatch & { readonly id: number; readonly channels: readonly number[] };

export type ReadingRow = {
  readonly at: number;
  readonly id: number;
  readonly value: number;
  readonly channel: number;
  readonly day: number;
  readonly quality: number;
};

const signature = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
const trailer = Buffer.from([0xff, 0xff]);
const fieldLengths = [8, 8, 8, 4, 4, 2];
/** A row with its count and its lengths, all values zero. */
const emptyRow = Buffer.concat([
  int16(fieldLengths.length),
  ...fieldLengths.flatMap((length) => [Buffer.from([0, 0, 0, length]), Buffer.alloc(length)]),
]);
const placeOf = { at: 6, id: 18, value: 30, channel: 42, day: 50, quality: 58 };

/** Throws RangeError for a value that no column holds. */
export function encodeReadings(batches: readonly StoredBatch[]): Buffer {
  const rows = batches.reduce((sum, { series }) => sum + series.reduce((count, { v }) => count + v.length, 0), 0);
  const bytes = Buffer.allocUnsafe(signature.length + rows * emptyRow.length + trailer.length);
  let place = signature.copy(bytes);
  forEachReading(batches, (at, id, value, channel, day, quality) => {
    emptyRow.copy(bytes, place);
    writeInt64(bytes, at, place + placeOf.at);
    writeInt64(bytes, id, place + placeOf.id);
    bytes.writeDoubleBE(value, place + placeOf.value);
    bytes.writeInt32BE(channel, place + placeOf.channel);
    bytes.writeInt32BE(day, place + placeOf.day);
    bytes.writeInt16BE(quality, place + placeOf.quality);
    place += emptyRow.length;
  });
  trailer.copy(bytes, place);
  return bytes;
}

/** The same rows for a statement. Throws RangeError for a value that no column holds. */
export function listReadings(batches: readonly StoredBatch[]): readonly ReadingRow[] {
  const rows: ReadingRow[] = [];
  forEachReading(batches, (at, id, value, channel, day, quality) =>
    rows.push({ at, id, value, channel, day, quality }),
  );
  return rows;
}

type Visit = (at: number, id: number, value: number, channel: number, day: number, quality: number) => void;

function forEachReading(batches: readonly StoredBatch[], visit: Visit): void {
  for (const { id: batch, channels, day, series } of batches) {
    let id = batch * idsPerBatch;
    for (const [column, { t, d, v, q }] of series.entries())
      for (const [index, value] of v.entries()) {
        const at = t + (d[index] ?? 0);
        const quality = q?.[index] ?? 0;
        if (!Number.isSafeInteger(at) || !Number.isFinite(value) || !Number.isInteger(quality))
          throw new RangeError(`no reading: ${value} at ${at}, quality ${quality}`);
        visit(at, id++, value, channels[column] ?? 0, day, quality);
      }
  }
}

function writeInt64(bytes: Buffer, value: number, place: number): void {
  const high = Math.floor(value / 2 ** 32);
  bytes.writeInt32BE(high, place);
  bytes.writeUInt32BE(value - high * 2 ** 32, place + 4);
}

function int16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}
