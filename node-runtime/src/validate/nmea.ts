/**
 * NMEA 0183 sentences of a satellite receiver to readings. The library `gps` parses GGA, RMC, GSA and GSV; what it would let
 * pass is checked here first: it takes a coordinate without hemisphere for one with three digits of degrees, reads "12x" as 12
 * and throws on some values, all with a right checksum.
 *
 * A receiver sends a burst of sentences per fix. The readings of a fix leave together, once: as soon as the sentence that ended
 * the burst before is seen again, or when the next burst begins (its time of day differs, or a sentence repeats). All carry the
 * arrival of the burst's first sentence as their time. The receiver's own clock is not used: it is missing before the first fix,
 * GGA has no date, receivers with an old firmware are off by 1024 weeks, and a replay would measure in the past.
 */
import type { Reading, Unit } from "@cairn/protocol";
import { type GGA, GPS, type GSA, type GSV, type RMC } from "gps";
import type { Discards } from "../model.ts";

/** Degrees WGS 84, metres above mean sea level, unix ms of arrival. */
export type Position = {
  readonly latitude: number;
  readonly longitude: number;
  readonly altitude?: number;
  readonly atMs: number;
};

export type Gnss = {
  /** One sentence, `$` to checksum. Readings of a whole fix, or none yet. Never throws. */
  push(sentence: string, atMs: number): Reading[];
  /** The last position that a fix gave, however old; one of a simulator or typed in by hand is none. */
  position(): Position | undefined;
  /**
   * Counts since creation: `unsupported` sentences of other types, `malformed` sentences, `out-of-range` values that no receiver
   * on this planet can measure.
   */
  discards(): Discards;
};

type Quality = Reading["quality"];

/** What the sentences of one burst said. */
type Burst = {
  readonly atMs: number;
  /** Time of day as GGA and RMC give it; empty before the receiver knows it. */
  readonly time: string;
  gga?: GGA;
  rmc?: RMC;
  /** How often each kind of sentence came: two constellations may send GSA under one talker without saying which is which. */
  readonly seen: Map<string, number>;
  emitted: boolean;
};

const sentencesPerBurst = 64;

/** How long GSA and GSV of a constellation are believed, ms: one may be lost on the line, and some receivers send them seldom. */
const believedForMs = 15_000;

const time = String.raw`(?<time>\d{6}(?:\.\d+)?)?`;
const number = String.raw`(?:[-+]?(?:\d+\.?\d*|\.\d+))?`;
/** Degrees and minutes come with their hemisphere or not at all. */
const latitude = String.raw`(?:\d\d[0-5]\d(?:\.\d+)?,[NS]|,[NS]?)`;
const longitude = String.raw`(?:\d\d\d[0-5]\d(?:\.\d+)?,[EW]|,[EW]?)`;

/** Form of the fields that are used (IEC 61162-1 section 8.3), from the first one on. */
const forms: Readonly<Record<string, RegExp>> = {
  GGA: new RegExp(`^${time},${latitude},${longitude},\\d,${number},${number},${number},`),
  RMC: new RegExp(`^${time},[AV],${latitude},${longitude},${number},${number},`),
  GSA: new RegExp(String.raw`^[AM]?,[123],(?:\d{0,3},){12}${number},${number},`),
  GSV: /^\d,\d,\d{1,2}[,*]/,
};

/** Memory: one burst, and a count per constellation and signal; at most 64 of either. */
export function createGnss(): Gnss {
  const counts = { unsupported: 0, malformed: 0, "out-of-range": 0 };
  const satellites = createSatellites();
  let burst: Burst | undefined;
  /** The sentence that ended the burst before, and the latest sentence of this one. */
  let ender = "";
  let latest = "";
  let position: Position | undefined;

  const emit = (done: Burst): Reading[] => {
    if (done.emitted || (!done.gga && !done.rmc)) return [];
    done.emitted = true;
    const fix = solve(done, satellites.dimensions(done.atMs));
    const readings: Reading[] = [];
    const add = (
      series: string,
      unit: Unit,
      value: number | null,
      min: number,
      max: number,
      quality: Quality = "good",
    ) => {
      if (value === null) return undefined;
      if (!(value >= min && value <= max)) {
        counts["out-of-range"] += 1;
        return undefined;
      }
      readings.push({ series: `gnss.${series}`, unit, at: done.atMs, value, quality });
      return value;
    };
    add("fix", "count", fix.dimensions, 0, 3);
    const told = done.gga?.satellites ?? null;
    const counted = fix.dimensions === 0 ? null : satellites.used(done.atMs);
    const used = told !== null && counted !== null ? Math.max(told, counted) : (told ?? counted);
    add("satellites.used", "count", used, 0, 150);
    add("satellites.visible", "count", satellites.visible(done.atMs), 0, 300);
    if (fix.dimensions === 0) return readings;
    const { quality } = fix;
    const lat = add("latitude", "lat", rounded(fix.latitude, 8), -90, 90, quality);
    const lon = add("longitude", "lon", rounded(fix.longitude, 8), -180, 180, quality);
    const alt = add("altitude", "m", rounded(fix.altitude, 3), -1000, 50_000, quality);
    add("speed", "m/s", rounded(fix.speed, 3), 0, 600, quality);
    add("course", "deg", fix.course === 360 ? 0 : fix.course, 0, 360, quality);
    add("hdop", "count", fix.hdop, 0.1, unknownDilution, quality);
    if (lat !== undefined && lon !== undefined && quality !== "bad")
      position = { latitude: lat, longitude: lon, ...(alt === undefined ? {} : { altitude: alt }), atMs: done.atMs };
    return readings;
  };

  /** The burst that a timed sentence belongs to; `readings` are those of the burst before, where a new one begins. */
  const burstFor = (time: string, repeated: boolean, atMs: number): { readings: Reading[]; burst: Burst } => {
    if (burst && !repeated && burst.time === time) return { readings: [], burst };
    const readings = burst ? emit(burst) : [];
    if (burst) ender = latest;
    burst = { atMs, time, seen: new Map(), emitted: false };
    return { readings, burst };
  };

  /** Notes a sentence as the latest of its burst and says which one of its kind it is: 1, 2, ... */
  const note = (kind: string, { seen }: Burst): number => {
    const times = (seen.get(kind) ?? 0) + 1;
    if (seen.has(kind) || seen.size < sentencesPerBurst) seen.set(kind, times);
    latest = `${kind} ${times}`;
    return times;
  };

  return {
    push(sentence, atMs) {
      const parsed = parse(sentence);
      if (typeof parsed === "string") {
        counts[parsed] += 1;
        return [];
      }
      const { data, talker, time } = parsed;
      const readings: Reading[] = [];
      if (data.type === "GGA" || data.type === "RMC") {
        const repeated = data.type === "GGA" ? burst?.gga !== undefined : burst?.rmc !== undefined;
        const found = burstFor(time, repeated, atMs);
        readings.push(...found.readings);
        if (data.type === "GGA") found.burst.gga = data;
        else found.burst.rmc = data;
      }
      // What comes before the first sentence with a time belongs to a burst whose beginning was missed.
      if (!burst) return readings;
      const times = note(kindOf(talker, data), burst);
      if (data.type === "GSA") satellites.takeUsed(`${kindOf(talker, data)} ${times}`, data, atMs);
      if (data.type === "GSV") satellites.takeVisible(talker, data, atMs);
      if (latest === ender) readings.push(...emit(burst));
      return readings;
    },
    position: () => position,
    discards: () => ({ ...counts }),
  };
}

/** What tells a sentence from the others of its burst. The satellites in view come in several; only the last of them ends anything. */
function kindOf(talker: string, data: Parsed["data"]): string {
  if (data.type === "GSV")
    return `${talker}GSV ${data.signalId ?? ""} ${data.msgNumber === data.msgsTotal ? "last" : ""}`;
  return data.type === "GSA" ? `${talker}GSA ${data.systemId ?? ""}` : data.type;
}

/** What GSA and GSV said of late, each constellation for itself. */
function createSatellites() {
  const inUse = new Map<string, { readonly data: GSA; readonly atMs: number }>();
  const inView = new Map<string, { readonly talker: string; readonly count: number; readonly atMs: number }>();
  const put = <V>(map: Map<string, V>, key: string, value: V) => {
    if (map.has(key) || map.size < sentencesPerBurst) map.set(key, value);
  };
  const believed = <V extends { readonly atMs: number }>(map: Map<string, V>, atMs: number): V[] => {
    for (const [key, value] of map) if (atMs - value.atMs > believedForMs) map.delete(key);
    return [...map.values()];
  };
  return {
    takeUsed: (key: string, data: GSA, atMs: number) => put(inUse, key, { data, atMs }),
    takeVisible: (talker: string, { signalId, satsInView }: GSV, atMs: number) =>
      put(inView, `${talker} ${signalId ?? ""}`, { talker, count: satsInView ?? 0, atMs }),
    /** Satellites in the solution, null: not said. GGA says it too, but many receivers stop at 12 there. */
    used(atMs: number): number | null {
      const ids = believed(inUse, atMs).flatMap(({ data }) => data.satellites.map((id) => `${data.systemId} ${id}`));
      return inUse.size === 0 ? null : new Set(ids).size;
    },
    /** Satellites above the horizon; one that is heard on two signals is listed twice and counted once. null: not said. */
    visible(atMs: number): number | null {
      const most = new Map<string, number>();
      for (const { talker, count } of believed(inView, atMs)) most.set(talker, Math.max(most.get(talker) ?? 0, count));
      return most.size === 0 ? null : [...most.values()].reduce((sum, count) => sum + count, 0);
    },
    /** The latest GSA's word on the kind of fix; undefined: none of late. */
    dimensions(atMs: number): 2 | 3 | undefined {
      const fixes = believed(inUse, atMs).filter(({ data }) => data.fix !== null);
      const latest = fixes.reduce(
        (last, one) => (one.atMs >= last.atMs ? one : last),
        fixes[0] ?? { atMs, data: null },
      );
      return latest.data === null ? undefined : latest.data.fix === "3D" ? 3 : 2;
    },
  };
}

type Parsed = { readonly data: GGA | RMC | GSA | GSV; readonly talker: string; readonly time: string };

/** Checks the form, then lets the library read. Of its result no time is used: it takes the day from this machine's clock. */
function parse(sentence: string): Parsed | "unsupported" | "malformed" {
  const [head = "", talker = "", type = ""] = /^\$([A-Z]{2})([A-Z]{3}),/.exec(sentence) ?? [];
  const form = forms[type];
  if (!form) return "unsupported";
  const fields = form.exec(sentence.slice(head.length));
  if (!fields) return "malformed";
  try {
    const data = GPS.Parse(sentence);
    if (data === false || !data.valid) return "malformed";
    if (data.type !== "GGA" && data.type !== "RMC" && data.type !== "GSA" && data.type !== "GSV") return "unsupported";
    // Some receivers give GGA and RMC with different numbers of decimals.
    return { data, talker, time: fields.groups?.time === undefined ? "" : String(Number(fields.groups.time)) };
  } catch {
    return "malformed";
  }
}

type Solution = {
  readonly dimensions: 0 | 2 | 3;
  readonly quality: Quality;
  readonly latitude: number | null;
  readonly longitude: number | null;
  readonly altitude: number | null;
  /** m/s. */
  readonly speed: number | null;
  /** Degrees from true north. */
  readonly course: number | null;
  readonly hdop: number | null;
};

/** One fix out of the sentences of a burst. GGA decides whether there is one; without it RMC does. */
function solve({ gga, rmc }: Burst, told: 2 | 3 | undefined): Solution {
  const latitude = gga?.lat ?? rmc?.lat ?? null;
  const longitude = gga?.lon ?? rmc?.lon ?? null;
  const altitude = gga?.alt ?? null;
  const fixed = (gga ? gga.quality !== null : rmc?.status === "active") && latitude !== null && longitude !== null;
  const moving = rmc?.status === "active" ? rmc : undefined;
  return {
    dimensions: fixed ? (told ?? (altitude === null ? 2 : 3)) : 0,
    quality: qualityOf(gga, rmc),
    latitude,
    longitude,
    altitude,
    // The library turns knots into km/h.
    speed: moving?.speed == null ? null : moving.speed / 3.6,
    course: moving?.track ?? null,
    hdop: gga?.hdop == null || gga.hdop >= unknownDilution ? null : gga.hdop,
  };
}

/** Dead reckoning and a receiver that warns about its own fix are uncertain; positions typed in or simulated are bad. */
function qualityOf(gga: GGA | undefined, rmc: RMC | undefined): Quality {
  const told = [gga?.quality, rmc?.faa];
  if (told.some((mode) => mode === "manual" || mode === "simulated" || mode === "manual input")) return "bad";
  return told.includes("estimated") || rmc?.status === "void" ? "uncertain" : "good";
}

/** Receivers write 99.9 or 99.99 where they know no dilution of precision. */
const unknownDilution = 99;

/** Digits beyond what a sentence can resolve (1e-5 minute is 2 cm) would only cost bytes on the way. */
function rounded(value: number | null, digits: number): number | null {
  return value === null ? null : Number(value.toFixed(digits));
}
