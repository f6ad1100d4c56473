/**
 * Readings of one series in columns, oldest first, as a plot takes them. What was fetched and what came live overlap, so
 * readings are merged by their time; what was never stored stays a gap.
 */
import type { ReadingsView, SeriesView } from "@cairn/protocol";

export type Columns = Pick<ReadingsView, "unit" | "times" | "values" | "qualities"> & {
  /**
   * Time of the last reading that was fetched, unix ms. Later ones came live, which may be only the newest of each batch, so
   * the distance between those says nothing about what was stored.
   */
  readonly storedTo: number;
};

const qualityIndex: Readonly<Record<string, number>> = { good: 0, uncertain: 1, bad: 2 };

/** Both sides in one; at the same time the newer side wins. Both must be ordered by time. */
export function mergeColumns(older: Columns, newer: Columns): Columns {
  const storedTo = Math.max(older.storedTo, newer.storedTo);
  const merged: Columns = { unit: newer.unit, times: [], values: [], qualities: [], storedTo };
  let left = 0;
  let right = 0;
  const take = (from: Columns, index: number): void => {
    merged.times.push(from.times[index] ?? 0);
    merged.values.push(from.values[index] ?? 0);
    merged.qualities.push(from.qualities[index] ?? 0);
  };
  while (left < older.times.length || right < newer.times.length) {
    const leftTime = older.times[left] ?? Number.POSITIVE_INFINITY;
    const rightTime = newer.times[right] ?? Number.POSITIVE_INFINITY;
    if (leftTime < rightTime) take(older, left);
    else take(newer, right);
    if (leftTime <= rightTime) left += 1;
    if (rightTime <= leftTime) right += 1;
  }
  return merged;
}

/** Readings as they were fetched. */
export function storedColumns({ unit, times, values, qualities }: ReadingsView): Columns {
  return { unit, times, values, qualities, storedTo: times.at(-1) ?? 0 };
}

/** Live readings of one series (any number, any order). */
export function liveColumns(readings: readonly SeriesView[]): Columns {
  const ordered = [...readings].sort((one, other) => one.at - other.at);
  return {
    unit: ordered[0]?.unit ?? "",
    times: ordered.map(({ at }) => at),
    values: ordered.map(({ value }) => value),
    qualities: ordered.map(({ quality }) => qualityIndex[quality] ?? 1),
    storedTo: 0,
  };
}

/** Without what is older than `from` (unix ms); the last one before it stays, so that the line enters from the left edge. */
export function trimmedColumns(columns: Columns, from: number): Columns {
  const first = columns.times.findIndex((time) => time >= from);
  const keep = first === -1 ? columns.times.length - 1 : first - 1;
  if (keep <= 0) return columns;
  return {
    ...columns,
    times: columns.times.slice(keep),
    values: columns.values.slice(keep),
    qualities: columns.qualities.slice(keep),
  };
}

/** What a plot draws: null in `line` breaks the line. `bad` holds spans [from, to] in which the node called its values bad. */
export type Drawing = {
  readonly times: readonly number[];
  readonly line: readonly (number | null)[];
  readonly bad: readonly (readonly [from: number, to: number])[];
};

/**
 * Breaks the line where readings are missing: where two neighbours lie further apart than three times the usual (median)
 * distance, and between live ones only where nothing came for longer than `livePatienceMs`. Bad values are not drawn as if
 * they were measured.
 */
export function drawingOf(columns: Columns, livePatienceMs: number): Drawing {
  const { times, values, qualities, storedTo } = columns;
  const longestStored = 3 * usualDistance(times);
  const longestLive = Math.max(longestStored, livePatienceMs);
  const drawing = { times: [] as number[], line: [] as (number | null)[], bad: [] as [number, number][] };
  let badSince: number | null = null;
  for (const [index, time] of times.entries()) {
    const previous = times[index - 1];
    if (previous !== undefined && time - previous > (time > storedTo ? longestLive : longestStored)) {
      if (badSince !== null) drawing.bad.push([badSince, previous]);
      badSince = null;
      drawing.times.push((previous + time) / 2);
      drawing.line.push(null);
    }
    const bad = qualities[index] === 2;
    if (bad && badSince === null) badSince = time;
    if (!bad && badSince !== null) {
      drawing.bad.push([badSince, time]);
      badSince = null;
    }
    drawing.times.push(time);
    drawing.line.push(bad ? null : (values[index] ?? null));
  }
  const last = times.at(-1);
  if (badSince !== null && last !== undefined) drawing.bad.push([badSince, last]);
  return drawing;
}

function usualDistance(times: readonly number[]): number {
  const distances = times.slice(1).map((time, index) => time - (times[index] ?? time));
  distances.sort((one, other) => one - other);
  return distances[Math.floor(distances.length / 2)] ?? Number.POSITIVE_INFINITY;
}
