/** The last look at readings before the edge store: what the wire would refuse must not wait there for days first. */
import { limits, qualities, type Reading, units } from "@cairn/protocol";

/** Same as the batch schema's `s`. */
const seriesName = /^[a-z][a-z0-9]*(\.[a-z0-9][a-z0-9_-]*){1,7}$/;
const latestMs = 253_402_300_799_999;

export const readingDiscards = ["series-name", "unit", "time", "value", "quality"] as const;
export type ReadingDiscard = (typeof readingDiscards)[number];

/** Why a reading cannot go on the wire; undefined when it can. */
export function faultOf({ series, unit, at, value, quality }: Reading): ReadingDiscard | undefined {
  if (series.length > limits.seriesName || !seriesName.test(series)) return "series-name";
  if (!Object.hasOwn(units, unit)) return "unit";
  if (!Number.isInteger(at) || at < 0 || at > latestMs) return "time";
  if (!Number.isFinite(value)) return "value";
  if (!qualities.includes(quality)) return "quality";
  return undefined;
}

/** Splits readings into those that can go on and counts of the others by reason; `counts` is raised. */
export function fitReadings(readings: readonly Reading[], counts: Record<ReadingDiscard, number>): readonly Reading[] {
  return readings.filter((reading) => {
    const fault = faultOf(reading);
    if (fault) counts[fault]++;
    return fault === undefined;
  });
}
