/** The recordings of hardware/recordings through all that reads them: what is thrown away, and what the readings say. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { encodeBatch, limits, type Reading, unitNames } from "@cairn/protocol";
import { createGnss } from "../src/validate/nmea.ts";
import { createNmeaFrames, frameDiscards } from "../src/validate/nmea-frames.ts";
import { parseRecording } from "../src/validate/recording.ts";
import { readRecordingFile } from "../src/wire/replay.ts";

const folder = join(import.meta.dirname, "../../hardware/recordings");
const readme = readFileSync(join(folder, "README.md"), "utf8");
const files = ["city-drive.jsonl", "harbour-mast.jsonl"] as const;

/** Numbers of a row of the README's tables, without what stands around them. */
function row(name: string): number[] {
  const text = new RegExp(`^\\| \`${name}\` \\|([^\\n]*)\\|$`, "m").exec(readme)?.[1] ?? "";
  return (text.match(/(?<=^|\|)\s*\d+\s*(?=\||$)/g) ?? []).map(Number);
}

async function play(file: string) {
  const recording = parseRecording(await readRecordingFile(join(folder, file)));
  assert.ok(recording.ok);
  const frames = createNmeaFrames();
  const gnss = createGnss();
  const readings: Reading[] = [];
  let [bytes, sentences, longest] = [0, 0, 0];
  for (const chunk of recording.value.chunks) {
    bytes += chunk.bytes.length;
    for (const sentence of frames.push(chunk.bytes)) {
      sentences += 1;
      longest = Math.max(longest, sentence.length + 2);
      readings.push(...gnss.push(sentence, chunk.atMs));
    }
  }
  const series = (name: string) => readings.filter((reading) => reading.series === name);
  return { frames: frames.discards(), gnss: gnss.discards(), readings, series, bytes, sentences, longest };
}

const played = await Promise.all(files.map(play));
const [city, harbour] = played as [Awaited<ReturnType<typeof play>>, Awaited<ReturnType<typeof play>>];

/** Metres between two places a few kilometres apart at most. */
function metres(from: readonly [number, number], to: readonly [number, number]): number {
  const east = (to[1] - from[1]) * 111_320 * Math.cos((from[0] * Math.PI) / 180);
  return Math.hypot((to[0] - from[0]) * 111_300, east);
}

function track({ series }: typeof city): { at: number; place: readonly [number, number] }[] {
  const longitudes = new Map(series("gnss.longitude").map(({ at, value }) => [at, value]));
  return series("gnss.latitude").map(({ at, value }) => ({ at, place: [value, longitudes.get(at) ?? 0] as const }));
}

test("what the parsers throw away is what the README states, reason by reason", () => {
  for (const reason of frameDiscards)
    assert.deepEqual(
      played.map(({ frames }) => frames[reason]),
      row(reason),
      reason,
    );
  for (const reason of ["unsupported", "malformed", "out-of-range"])
    assert.deepEqual(
      played.map(({ gnss }) => gnss[reason]),
      row(reason),
      reason,
    );
  for (const [index, file] of files.entries())
    assert.deepEqual([played[index]?.bytes, played[index]?.sentences], row(file), file);
});

test("sentences keep to the 82 characters of the standard", () => {
  for (const { longest } of played) assert.ok(longest <= 82, `${longest}`);
});

test("every second gives one set of readings, each series at most once", () => {
  assert.equal(city.series("gnss.fix").length, 600);
  assert.equal(harbour.series("gnss.fix").length, 597, "three seconds of the restart are silent");
  for (const { readings } of played) {
    assert.equal(new Set(readings.map(({ series, at }) => `${series} ${at}`)).size, readings.length);
    for (const { unit, quality } of readings) assert.ok(unitNames.includes(unit) && quality === "good");
  }
});

test("the car's speed fits the way between its positions, and no step is a leap", () => {
  const speeds = new Map(city.series("gnss.speed").map(({ at, value }) => [at, value]));
  const places = track(city);
  let [driven, told] = [0, 0];
  for (const [index, { at, place }] of places.entries()) {
    const before = places[index - 1];
    if (!before || at - before.at > 1200) continue;
    const step = metres(before.place, place);
    assert.ok(step < 18, `${step} m within a second at ${at} ms`);
    driven += step;
    told += speeds.get(at) ?? step;
  }
  assert.ok(driven > 3000 && Math.abs(driven - told) / driven < 0.05, `${driven} m by position, ${told} m by speed`);
});

test("the tunnel is a loss of fix of about forty seconds that comes back flat, then whole", () => {
  const fixes = city.series("gnss.fix");
  const without = fixes.filter(({ value }) => value === 0);
  assert.ok(without.length >= 35 && without.length <= 50, `${without.length} seconds`);
  const next = fixes.slice(fixes.findLastIndex(({ value }) => value === 0) + 1).map(({ value }) => value);
  assert.deepEqual(next.slice(0, 4), [2, 2, 2, 3]);
  assert.ok(city.series("gnss.satellites.visible").some(({ value }) => value === 0));
});

test("the mast stands still but for drift and four reflections", () => {
  const places = track(harbour);
  const middle = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
  const home = [middle(places.map(({ place }) => place[0])), middle(places.map(({ place }) => place[1]))] as const;
  const away = places.map(({ place }) => metres(home, place));
  assert.ok(middle(away) < 2.5, `${middle(away)} m in the middle`);
  const far = away.filter((distance) => distance > 5).length;
  assert.ok(far >= 8 && far <= 35, `${far} seconds further than 5 m`);
  assert.ok(Math.max(...away) < 15);
  for (const { value } of harbour.series("gnss.speed")) assert.ok(value < 0.3);
  assert.deepEqual(harbour.series("gnss.course"), []);
});

test("readings of a recording can be signed and sent as batches", () => {
  const nodeId = "0".repeat(40) as Parameters<typeof encodeBatch>[1];
  const boot = "0".repeat(32) as Parameters<typeof encodeBatch>[0]["boot"];
  const readings = city.readings.slice(0, limits.batchReadings);
  const message = encodeBatch({ boot, bootCount: 1, sequence: 1, dropped: [], readings }, nodeId, () =>
    Buffer.alloc(64),
  );
  assert.ok(message.length < 10_000, `${message.length} bytes for ${readings.length} readings`);
});
