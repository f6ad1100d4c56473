/**
 * The satellites over a place: circular orbits in evenly filled planes, seen from a round Earth. Good enough that elevations and
 * azimuths move as they do in the sky; no almanac of any day. Orbit sizes: IS-GPS-200, GLONASS ICD 5.1, Galileo OS SIS ICD.
 */
import { createDrift, type Random } from "./random.ts";

export type Talker = "GP" | "GL" | "GA";

export type Seen = {
  readonly talker: Talker;
  /** Number as NMEA 0183 prints it: GPS 1-32, GLONASS 65-96, Galileo 1-36. */
  readonly id: number;
  /** Degrees. */
  readonly elevation: number;
  readonly azimuth: number;
  /** Carrier to noise density, dB-Hz; undefined: not tracked. */
  readonly snr: number | undefined;
  readonly used: boolean;
};

export type Dilution = { readonly pdop: number; readonly hdop: number; readonly vdop: number };

/** Blocks a direction: how many dB are lost there; Infinity: nothing comes through. */
export type Shade = (elevation: number, azimuth: number) => number;

type Constellation = {
  readonly talker: Talker;
  readonly firstId: number;
  readonly planes: number;
  readonly perPlane: number;
  /** Metres from the Earth's centre, degrees, seconds. */
  readonly radius: number;
  readonly inclination: number;
  readonly period: number;
  /** Degrees by which a satellite leads the one in the plane before. */
  readonly stagger: number;
};

const constellations: readonly Constellation[] = [
  { talker: "GP", firstId: 1, planes: 6, perPlane: 5, radius: 26_560e3, inclination: 55, period: 43_082, stagger: 24 },
  {
    talker: "GL",
    firstId: 65,
    planes: 3,
    perPlane: 8,
    radius: 25_510e3,
    inclination: 64.8,
    period: 40_544,
    stagger: 15,
  },
  { talker: "GA", firstId: 1, planes: 3, perPlane: 8, radius: 29_600e3, inclination: 56, period: 50_685, stagger: 15 },
];

const earthRadius = 6_371e3;
const earthTurn = (2 * Math.PI) / 86_164;
const lowest = 5;
const trackedFrom = 18;
const usedFrom = 25;
const radians = Math.PI / 180;

export type Sky = {
  /** Satellites above 5 degrees, at most `mostPerTalker` of each constellation (the highest), by constellation and number. */
  at(second: number, shade: Shade): readonly Seen[];
};

export function createSky(
  random: Random,
  latitude: number,
  longitude: number,
  mostPerTalker: Readonly<Record<Talker, number>>,
): Sky {
  const start = random.uniform() * 86_164;
  const fading = new Map<string, () => number>();
  const fade = (key: string) => {
    const known = fading.get(key) ?? createDrift(random, 1.6, 12);
    fading.set(key, known);
    return known();
  };
  return {
    at(second, shade) {
      const all: Seen[] = [];
      for (const one of constellations) {
        const above: Omit<Seen, "snr" | "used">[] = [];
        for (let index = 0; index < one.planes * one.perPlane; index++) {
          const place = look(one, index, start + second, latitude, longitude);
          if (place.elevation >= lowest) above.push({ talker: one.talker, id: one.firstId + index, ...place });
        }
        above.sort((a, b) => b.elevation - a.elevation).splice(mostPerTalker[one.talker]);
        above.sort((a, b) => a.id - b.id);
        for (const satellite of above) {
          const clear = 28 + 20 * Math.sin(satellite.elevation * radians) ** 0.8;
          const heard = Math.round(
            clear - shade(satellite.elevation, satellite.azimuth) + fade(`${one.talker}${satellite.id}`),
          );
          const snr = heard >= trackedFrom ? heard : undefined;
          all.push({ ...satellite, snr, used: snr !== undefined && snr >= usedFrom && satellite.elevation >= 10 });
        }
      }
      return all;
    },
  };
}

/** Elevation and azimuth of one satellite, degrees. */
function look(of: Constellation, index: number, second: number, latitude: number, longitude: number) {
  const plane = Math.floor(index / of.perPlane);
  const node = (plane * 2 * Math.PI) / of.planes - earthTurn * second;
  const along =
    ((index % of.perPlane) * 2 * Math.PI) / of.perPlane +
    plane * of.stagger * radians +
    (2 * Math.PI * second) / of.period;
  const tilt = of.inclination * radians;
  const x = of.radius * (Math.cos(along) * Math.cos(node) - Math.sin(along) * Math.cos(tilt) * Math.sin(node));
  const y = of.radius * (Math.cos(along) * Math.sin(node) + Math.sin(along) * Math.cos(tilt) * Math.cos(node));
  const z = of.radius * Math.sin(along) * Math.sin(tilt);
  const [sinLat, cosLat] = [Math.sin(latitude * radians), Math.cos(latitude * radians)];
  const [sinLon, cosLon] = [Math.sin(longitude * radians), Math.cos(longitude * radians)];
  const east = -sinLon * x + cosLon * y;
  const north = -sinLat * cosLon * x - sinLat * sinLon * y + cosLat * z;
  const up = cosLat * cosLon * x + cosLat * sinLon * y + sinLat * z - earthRadius;
  return {
    elevation: Math.atan2(up, Math.hypot(east, north)) / radians,
    azimuth: (Math.atan2(east, north) / radians + 360) % 360,
  };
}

/** Dilution of precision of the used satellites: the diagonal of the inverse of G transposed times G (one receiver clock). */
export function dilution(seen: readonly Seen[]): Dilution {
  const normal = [0, 1, 2, 3].map(() => [0, 0, 0, 0]);
  for (const { elevation, azimuth, used } of seen) {
    if (!used) continue;
    const flat = Math.cos(elevation * radians);
    const row = [
      flat * Math.sin(azimuth * radians),
      flat * Math.cos(azimuth * radians),
      Math.sin(elevation * radians),
      1,
    ];
    normal.forEach((line, i) => {
      row.forEach((value, j) => {
        line[j] = (line[j] ?? 0) + (row[i] ?? 0) * value;
      });
    });
  }
  const [e = Number.NaN, n = Number.NaN, u = Number.NaN] = inverseDiagonal(normal);
  return { pdop: Math.sqrt(e + n + u), hdop: Math.sqrt(e + n), vdop: Math.sqrt(u) };
}

/** Diagonal of the inverse of a symmetric positive matrix, by Gauss and Jordan; NaN where it has no inverse. */
function inverseDiagonal(matrix: readonly (readonly number[])[]): number[] {
  const size = matrix.length;
  const rows = matrix.map((row, i) => [...row, ...matrix.map((_, j) => (i === j ? 1 : 0))]);
  for (let column = 0; column < size; column++) {
    const pivot = rows[column] ?? [];
    const by = pivot[column] ?? 0;
    for (let j = 0; j < 2 * size; j++) pivot[j] = (pivot[j] ?? 0) / by;
    rows.forEach((row, i) => {
      if (i === column) return;
      const factor = row[column] ?? 0;
      for (let j = 0; j < 2 * size; j++) row[j] = (row[j] ?? 0) - factor * (pivot[j] ?? 0);
    });
  }
  return rows.map((row, i) => row[size + i] ?? Number.NaN);
}
