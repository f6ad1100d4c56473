/**
 * Makes the recordings of this folder: `node hardware/recordings/make.ts` writes them, byte for byte the same every time, and
 * prints what is broken in each (README.md states the same numbers; tests hold the three together).
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { drive, type Moment } from "./drive.ts";
import { chunked, type Fault, type FaultKind, noTruth, recordingText, rubbish, spoil, type Truth } from "./line.ts";
import { createDrift, createRandom, type Random } from "./random.ts";
import { burstOf, type Epoch, type Fix, sentence } from "./sentences.ts";
import { createSky, dilution, type Seen, type Shade } from "./sky.ts";

export type Made = { readonly file: string; readonly text: string; readonly truth: Truth };

const baudRate = 9600;
const seconds = 600;

export function makeRecordings(): Made[] {
  return [cityDrive(), harbourMast()];
}

function cityDrive(): Made {
  const random = createRandom(20_260_512);
  const home = { latitude: 53.0752, longitude: 8.8069, altitude: 6.5 };
  const start = Date.UTC(2026, 4, 12, 7, 41, 12);
  const moments = drive(random, seconds, 8);
  const sky = createSky(random, home.latitude, home.longitude, { GP: 11, GL: 8, GA: 8 });
  const error = positionError(random, 1.7, 40);
  const intoTunnel = moments.findIndex(({ tunnel }) => tunnel);
  const outOfTunnel = moments.findLastIndex(({ tunnel }) => tunnel) + 1;
  if (intoTunnel < 0 || outOfTunnel > seconds - 60) throw new Error("the drive does not pass the tunnel in time");

  const burst = (second: number): string[] => {
    const moment = moments[second];
    if (!moment) throw new Error(`nothing was driven at second ${second}`);
    const seen = sky.at(second, moment.tunnel ? () => Number.POSITIVE_INFINITY : streets(moment.course));
    const wander = error();
    const blind = second >= intoTunnel && second < outOfTunnel + 3;
    const flat = second >= outOfTunnel + 3 && second < outOfTunnel + 6;
    // A receiver goes on listing satellites that it no longer hears for some seconds, then gives them up.
    const listed = second >= intoTunnel + 8 && second < outOfTunnel ? [] : seen;
    const fix = blind ? undefined : fixOf(home, add(moment, wander), moment, seen, flat ? 2 : 3, random);
    return burstOf({ utc: start + second * 1000, seen: listed, fix }, false);
  };

  const faults = scatter(
    random,
    {
      "tail-lost": 9,
      "head-lost": 6,
      overrun: 5,
      "bit-flip": 6,
      "checksum-wrong": 5,
      "noise-inside": 6,
      "noise-between": 8,
    },
    5,
    seconds - 2,
  );
  return record({
    file: "city-drive.jsonl",
    device: "made: GNSS receiver, GPS + GLONASS + Galileo, 1 Hz, in a car",
    note: "Made by hardware/recordings/make.ts, not recorded outdoors. Ten minutes through streets that do not exist; see README.md.",
    burst,
    faults,
    random,
    between: () => "",
  });
}

function harbourMast(): Made {
  const random = createRandom(20_260_513);
  const mast = { latitude: 54.1532, longitude: 12.0987, altitude: 18.2 };
  const start = Date.UTC(2026, 4, 13, 4, 55, 40);
  const sky = createSky(random, mast.latitude, mast.longitude, { GP: 8, GL: 8, GA: 8 });
  const [slow, fast] = [positionError(random, 1.3, 300), positionError(random, 0.5, 20)];
  /** Reflections from a ship's side: seconds, metres east, north and up. */
  const jumps = [
    { from: 71, to: 77, by: { east: 6.2, north: -3.1, up: 4.0 } },
    { from: 163, to: 166, by: { east: -9.4, north: 2.2, up: -6.5 } },
    { from: 338, to: 352, by: { east: 4.1, north: 5.0, up: 3.2 } },
    { from: 541, to: 545, by: { east: -5.5, north: -7.7, up: 8.1 } },
  ];
  const restart = 420;
  const still: Moment = { east: 0, north: 0, up: 0, speed: 0, course: 0, tunnel: false };

  const burst = (second: number): string[] => {
    const since = second - restart;
    const wander = add(slow(), fast());
    const jump = jumps.find(({ from, to }) => second >= from && second < to)?.by ?? still;
    const seen = sky.at(second, (elevation, azimuth) => (azimuth > 78 && azimuth < 104 && elevation < 50 ? 11 : 0));
    if (since === 0 || since === 1) return [];
    if (since === 2)
      return [
        sentence("GPTXT,01,01,02,MAST RECEIVER REV B BOOT 7"),
        sentence("GPTXT,03,01,02,SYSTEMS GPS GLONASS GALILEO"),
        sentence("GPTXT,03,02,02,ANTENNA SUPPLY 3.3 V"),
        sentence("GPTXT,03,03,02,SETTINGS LOST: DEFAULTS"),
        sentence("PMAST,BOOT,BROWNOUT,7"),
      ];
    const booting = since > 2 && since < 27;
    const lost = booting || (second >= 180 && second < 188) || (second >= 505 && second < 510);
    const heard: readonly Seen[] = booting && since < 9 ? [] : seen;
    const speed = Math.abs(random.normal(0.03));
    const fix = lost
      ? undefined
      : fixOf(mast, add(wander, jump), { ...still, speed }, seen, since >= 27 && since < 30 ? 2 : 3, random);
    const epoch: Epoch = { utc: booting && since < 8 ? undefined : start + second * 1000, seen: heard, fix };
    const status = second % 60 === 30 ? [sentence("PMAST,ANT,OK,18.2")] : [];
    return [...burstOf(epoch, second >= restart), ...status];
  };

  const scattered = scatter(
    random,
    {
      "tail-lost": 3,
      "head-lost": 2,
      overrun: 2,
      "bit-flip": 3,
      "checksum-wrong": 3,
      "noise-inside": 2,
      "noise-between": 3,
    },
    5,
    240,
  );
  /** Three seconds of a welding set on the quay, on top of what is scattered. */
  const welding: Fault[] = [252, 253, 254].flatMap((second) => [
    { second, sentence: 0, kind: "noise-inside" },
    { second, sentence: 1, kind: "noise-between" },
    { second, sentence: 3, kind: "tail-lost" },
    { second, sentence: 5, kind: "babble" },
    { second, sentence: 6, kind: "overrun" },
    { second, sentence: 6, kind: "noise-between" },
    { second, sentence: 8, kind: "bit-flip" },
  ]);
  return record({
    file: "harbour-mast.jsonl",
    device: "made: GNSS receiver, GPS + GLONASS + Galileo, 1 Hz, on a mast",
    note: "Made by hardware/recordings/make.ts, not recorded outdoors. Ten minutes of standing still on a quay that does not exist; see README.md.",
    burst,
    faults: [...scattered, ...welding],
    random,
    // A receiver that boots talks at another speed for a moment.
    between: (second) => (second === restart + 1 ? rubbish(random, 90) : ""),
  });
}

type Script = {
  readonly file: string;
  readonly device: string;
  readonly note: string;
  /** Sentences of a second; called once for each, in order. */
  readonly burst: (second: number) => readonly string[];
  readonly faults: readonly Fault[];
  readonly random: Random;
  /** Noise on the idle line in front of a second's burst. */
  readonly between: (second: number) => string;
};

function record({ file, device, note, burst, faults, random, between }: Script): Made {
  const truth = noTruth();
  const bursts: { at: number; bytes: string }[] = [];
  for (let second = 0; second < seconds; second++) {
    const noise = between(second);
    truth.discards.noise += noise.length;
    const own = faults.filter((fault) => fault.second === second);
    const bytes = noise + spoil(burst(second), own, random, truth);
    bursts.push({ at: second * 1000 + 70 + random.whole(0, 40), bytes });
  }
  const chunks = chunked(bursts, baudRate, random);
  return { file, text: recordingText({ device, baudRate, note }, chunks), truth };
}

/** Faults at seconds of their own, spread over the time from `first` to `last`; each hits one of the first eight sentences. */
function scatter(random: Random, counts: Partial<Record<FaultKind, number>>, first: number, last: number): Fault[] {
  const taken = new Set<number>();
  const faults: Fault[] = [];
  for (const [kind, count] of Object.entries(counts) as [FaultKind, number][])
    for (let index = 0; index < count; index++) {
      let second = random.whole(first, last);
      while (taken.has(second)) second = random.whole(first, last);
      taken.add(second);
      faults.push({ second, sentence: random.whole(0, 7), kind });
    }
  return faults;
}

type Offset = { readonly east: number; readonly north: number; readonly up: number };

function add(a: Offset, b: Offset): Offset {
  return { east: a.east + b.east, north: a.north + b.north, up: a.up + b.up };
}

/** Correlated error of a position, metres: heights are about half as good again. */
function positionError(random: Random, deviation: number, seconds: number): () => Offset {
  const [east, north, up] = [deviation, deviation, 1.6 * deviation].map((one) => createDrift(random, one, seconds));
  return () => ({ east: east?.() ?? 0, north: north?.() ?? 0, up: up?.() ?? 0 });
}

/** Houses on both sides: what stands low and across the street is dimmed. */
function streets(course: number): Shade {
  return (elevation, azimuth) => {
    const across = Math.abs(Math.sin(((azimuth - course) * Math.PI) / 180));
    return elevation < 42 ? 14 * across * (1 - elevation / 60) : 0;
  };
}

/** The fix that a receiver states: the true place plus `offset`, on an ellipsoid that is flat for the few kilometres it takes. */
function fixOf(
  home: { readonly latitude: number; readonly longitude: number; readonly altitude: number },
  offset: Offset,
  motion: { readonly speed: number; readonly course: number },
  seen: readonly Seen[],
  dimensions: 2 | 3,
  random: Random,
): Fix {
  const latitude = home.latitude + (offset.north + random.normal(0.12)) / 111_295;
  const parallel =
    111_412.84 * Math.cos((home.latitude * Math.PI) / 180) - 93.5 * Math.cos((home.latitude * Math.PI) / 60);
  const speed = Math.max(0, motion.speed + random.normal(0.04));
  const dops = dilution(seen);
  if (!(dops.pdop < 20)) throw new Error("a fix out of too few satellites");
  return {
    dimensions,
    latitude,
    longitude: home.longitude + (offset.east + random.normal(0.12)) / parallel,
    altitude: home.altitude + offset.up,
    speed,
    course: speed < 0.4 ? undefined : (motion.course + random.normal(1.5 / speed) + 360) % 360,
    dilution: dops,
  };
}

if (import.meta.main) {
  for (const { file, text, truth } of makeRecordings()) {
    writeFileSync(join(import.meta.dirname, file), text);
    console.log(`${file}: ${text.length} characters, ${JSON.stringify(truth)}`);
  }
}
