import assert from "node:assert/strict";
import { test } from "node:test";
import type { Reading } from "@cairn/protocol";
import fc from "fast-check";
import { createGnss } from "./nmea.ts";

function framed(body: string): string {
  let checksum = 0;
  for (const byte of Buffer.from(body, "latin1")) checksum ^= byte;
  return `$${body}*${checksum.toString(16).toUpperCase().padStart(2, "0")}`;
}

const gga = (time: string, rest = "4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,") =>
  framed(`GNGGA,${time},${rest}`);
const rmc = (time: string, rest = "A,4807.038,N,01131.000,E,022.4,084.4,230394,,,A") => framed(`GNRMC,${time},${rest}`);
const gsa = (mode: number, ids: readonly string[], system: string) =>
  framed(`GNGSA,A,${mode},${Array.from({ length: 12 }, (_, i) => ids[i] ?? "").join(",")},1.5,0.9,1.2${system}`);
const gsv = (talker: string, count: number, signal: string) => framed(`${talker}GSV,1,1,${count}${signal}`);

/** Pushes a burst per second; returns the sets of readings in the order in which they left, with the time at which they did. */
function run(bursts: readonly (readonly string[])[], gnss = createGnss()) {
  const sets: { leftAt: number; readings: Reading[] }[] = [];
  for (const [second, sentences] of bursts.entries())
    for (const [index, sentence] of sentences.entries()) {
      const leftAt = second * 1000 + index * 50;
      const left = gnss.push(sentence, leftAt);
      for (const at of new Set(left.map((reading) => reading.at)))
        sets.push({ leftAt, readings: left.filter((reading) => reading.at === at) });
    }
  return { gnss, sets };
}

function values(readings: readonly Reading[]): Record<string, number> {
  return Object.fromEntries(readings.map(({ series, value }) => [series.replace("gnss.", ""), value]));
}

const voidRmc = "V,,,,,,,230394,,,N";
const voidGga = ",,,,0,00,99.99,,,,,,";

/** The readings of one burst, flushed by the beginning of the next, which has no fix. */
function only(...sentences: string[]) {
  const { gnss, sets } = run([sentences, [gga("235959", voidGga)]]);
  return { gnss, readings: sets[0]?.readings ?? [], values: values(sets[0]?.readings ?? []) };
}

test("a fix gives one set of readings in SI units, all measured when its first sentence arrived", () => {
  const { readings, gnss } = only(
    rmc("123519.00"),
    gga("123519"),
    gsa(3, ["04", "05", "09"], ",1"),
    gsv("GP", 11, ",1"),
  );
  assert.deepEqual(
    readings.map(({ series, unit, value, at, quality }) => [series, unit, value, at, quality]),
    [
      ["gnss.fix", "count", 3, 0, "good"],
      ["gnss.satellites.used", "count", 8, 0, "good"],
      ["gnss.satellites.visible", "count", 11, 0, "good"],
      ["gnss.latitude", "lat", 48.1173, 0, "good"],
      ["gnss.longitude", "lon", 11.51666667, 0, "good"],
      ["gnss.altitude", "m", 545.4, 0, "good"],
      ["gnss.speed", "m/s", 11.524, 0, "good"],
      ["gnss.course", "deg", 84.4, 0, "good"],
      ["gnss.hdop", "count", 0.9, 0, "good"],
    ],
  );
  assert.deepEqual(gnss.position(), { latitude: 48.1173, longitude: 11.51666667, altitude: 545.4, atMs: 0 });
});

test("speed is in metres per second: 1 knot is 1852 metres in an hour", () => {
  const ok = only(rmc("123519", "A,4807.038,N,01131.000,E,100.0,,230394,,,A"));
  assert.equal(ok.values.speed, Number(((100 * 1852) / 3600).toFixed(3)));
  assert.equal(ok.values.course, undefined, "no course while it is not stated");
});

test("once a burst's last sentence is known, readings leave with it; a lost one delays them and loses nothing", () => {
  const burst = (time: string) => [rmc(time), gga(time), gsa(3, ["04"], ",1"), gsv("GP", 4, ",1"), gsv("GL", 3, ",1")];
  const lossy = burst("000002").slice(0, 4);
  const { sets } = run([burst("000000"), burst("000001"), lossy, burst("000003"), burst("000004"), burst("000005")]);
  assert.deepEqual(
    sets.map(({ leftAt, readings }) => [leftAt, readings[0]?.at]),
    [
      [1000, 0],
      [1200, 1000],
      [3000, 2000],
      [3150, 3000],
      [4200, 4000],
      [5200, 5000],
    ],
  );
});

test("each fix gives each series once, whatever the order of the sentences", () => {
  const kinds = (time: string) => [rmc(time), gga(time), gsa(3, ["04"], ",1"), gsa(3, ["70"], ",2"), gsv("GP", 4, "")];
  fc.assert(
    fc.property(
      fc.array(fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 }), { minLength: 2, maxLength: 12 }),
      (orders) => {
        const bursts = orders.map((order, second) => {
          const all = kinds(`0000${String(second).padStart(2, "0")}`);
          return order.map((index) => all[index] ?? "");
        });
        const sets = run([...bursts, [gga("235959")]]).sets.slice(0, orders.length);
        assert.deepEqual(
          sets.map(({ readings }) => readings[0]?.at),
          // A burst begins with its first sentence that has a time.
          orders.map((order, second) => second * 1000 + 50 * Math.min(order.indexOf(0), order.indexOf(1))),
        );
        for (const { readings } of sets)
          assert.equal(new Set(readings.map(({ series }) => series)).size, readings.length);
      },
    ),
  );
});

test("without a fix only the fix itself and the satellites are told, and the last position stays with its time", () => {
  const { gnss, sets } = run([
    [rmc("000000"), gga("000000"), gsv("GP", 9, "")],
    [rmc("000001", voidRmc), gga("000001", voidGga), gsv("GP", 7, "")],
    [rmc("", voidRmc), gga("", voidGga), gsv("GP", 0, "")],
    [rmc("", voidRmc), gga("", voidGga), gsv("GP", 0, "")],
    [gga("000004")],
  ]);
  assert.deepEqual(
    sets.slice(1).map(({ readings }) => values(readings)),
    [
      { fix: 0, "satellites.used": 0, "satellites.visible": 7 },
      { fix: 0, "satellites.used": 0, "satellites.visible": 0 },
      { fix: 0, "satellites.used": 0, "satellites.visible": 0 },
    ],
  );
  assert.equal(gnss.position()?.atMs, 0);
  assert.deepEqual(gnss.discards(), { unsupported: 0, malformed: 0, "out-of-range": 0 });
});

test("a flat fix is 2, and a receiver without GSA is told by its altitude", () => {
  assert.equal(only(gga("000000"), gsa(2, ["04", "05", "09"], "")).values.fix, 2);
  assert.equal(only(gga("000000"), gsa(3, ["04", "05", "09", "12"], "")).values.fix, 3);
  assert.equal(only(gga("000000")).values.fix, 3);
  assert.equal(only(rmc("000000")).values.fix, 2);
});

test("RMC alone gives position and motion; GGA alone gives position and height", () => {
  assert.deepEqual(Object.keys(only(rmc("000000")).values), ["fix", "latitude", "longitude", "speed", "course"]);
  assert.deepEqual(Object.keys(only(gga("000000")).values), [
    "fix",
    "satellites.used",
    "latitude",
    "longitude",
    "altitude",
    "hdop",
  ]);
});

test("satellites in use are counted over all constellations, where GGA stops at 12", () => {
  const gps = Array.from({ length: 10 }, (_, index) => String(index + 1).padStart(2, "0"));
  const other = gps.slice(0, 7);
  assert.equal(only(gga("000000"), gsa(3, gps, ",1"), gsa(3, other, ",3")).values["satellites.used"], 17);
  assert.equal(only(gga("000000"), gsa(3, gps, ""), gsa(3, ["70", "71"], "")).values["satellites.used"], 12);
  assert.equal(only(gga("000000"), gsa(3, ["01"], ",1")).values["satellites.used"], 8, "GGA may know more");
});

test("a GSA or GSV lost on the line does not make satellites vanish, but silence for long does", () => {
  const full = (time: string) => [
    gga(time),
    gsa(3, ["01", "02", "03", "04", "05", "06"], ",1"),
    gsa(3, ["01", "02", "03", "04", "05"], ",3"),
    gsv("GP", 9, ",1"),
    gsv("GA", 7, ",7"),
  ];
  const bursts = [full("000000"), full("000001").filter((_, index) => index !== 2 && index !== 4)];
  for (let second = 2; second < 20; second++) bursts.push([gga(`0000${String(second).padStart(2, "0")}`)]);
  const { sets } = run(bursts);
  const counts = sets.map(({ readings }) => {
    const { "satellites.used": used, "satellites.visible": visible } = values(readings);
    return [used, visible];
  });
  assert.deepEqual(counts.slice(0, 3), [
    [11, 16],
    [11, 16],
    [11, 16],
  ]);
  assert.deepEqual(counts.at(-1), [8, undefined]);
});

test("one satellite heard on two signals is in view once", () => {
  const { values } = only(gga("000000"), gsv("GP", 9, ",1"), gsv("GP", 5, ",8"), gsv("GL", 6, ",1"));
  assert.equal(values["satellites.visible"], 15);
});

test("dead reckoning and a receiver's own warning are uncertain; simulated and typed-in positions are bad and no position", () => {
  const quality = (result: ReturnType<typeof only>) => result.readings.find(({ unit }) => unit === "lat")?.quality;
  const place = "4807.038,N,01131.000,E";
  assert.equal(quality(only(gga("000000", `${place},6,08,0.9,545.4,M,46.9,M,,`))), "uncertain");
  assert.equal(quality(only(gga("000000"), rmc("000000", `V,${place},022.4,084.4,230394,,,A`))), "uncertain");
  for (const mode of [7, 8]) {
    const simulated = only(gga("000000", `${place},${mode},08,0.9,545.4,M,46.9,M,,`));
    assert.equal(quality(simulated), "bad");
    assert.equal(simulated.gnss.position(), undefined);
  }
});

test("southern and western places are negative", () => {
  const { values } = only(gga("000000", "3351.000,S,15112.500,W,1,08,0.9,-3.5,M,46.9,M,,"));
  assert.deepEqual([values.latitude, values.longitude, values.altitude], [-33.85, -151.20833333, -3.5]);
});

test("what no receiver can measure is counted and not told", () => {
  const { gnss, values } = only(
    gga("000000", "9100.000,N,18100.000,E,1,08,0.9,99999.0,M,46.9,M,,"),
    rmc("000000", "A,9100.000,N,18100.000,E,9999.9,361.0,230394,,,A"),
  );
  assert.deepEqual(Object.keys(values), ["fix", "satellites.used", "hdop"]);
  assert.equal(gnss.discards()["out-of-range"], 5);
  assert.equal(gnss.position(), undefined);
});

test("a course of 360 degrees is 0, an unknown dilution is no reading and no fault", () => {
  const { values, gnss } = only(
    gga("000000", "4807.038,N,01131.000,E,1,08,99.9,545.4,M,46.9,M,,"),
    rmc("000000", "A,4807.038,N,01131.000,E,022.4,360.0,230394,,,A"),
  );
  assert.equal(values.course, 0);
  assert.equal(values.hdop, undefined);
  assert.equal(gnss.discards()["out-of-range"], 0);
});

test("sentences that the library would misread or throw on are malformed", () => {
  const rest = "E,1,08,0.9,545.4,M,46.9,M,,";
  const wrong = [
    framed(`GNGGA,000000,0120.500,,01131.000,${rest}`),
    framed(`GNGGA,000000,4807.038,E,01131.000,${rest}`),
    framed(`GNGGA,000000,4861.038,N,01131.000,${rest}`),
    framed(`GNGGA,000000,48-7.038,N,01131.000,${rest}`),
    framed(`GNGGA,000000,807.038,N,01131.000,${rest}`),
    framed("GNGGA,000000,4807.038,N,01131.000,E,9,08,0.9,545.4,M,46.9,M,,"),
    framed("GNGGA,000000,4807.038,N,01131.000,E,1,0x,0.9,545.4,M,46.9,M,,"),
    framed("GNGGA,000000,4807.038,N,01131.000,E,1,08,0.9,545.4,F,46.9,M,,"),
    framed("GNGGA,000000,4807.038,N,01131.000,E,1,08,0.9"),
    framed("GNRMC,000000,X,4807.038,N,01131.000,E,022.4,084.4,230394,,,A"),
    framed("GNRMC,000000,A,4807.038,N,01131.000,E,022.4,084.4,230394,,,Z"),
    framed("GNGSA,A,4,,,,,,,,,,,,,1.5,0.9,1.2"),
    framed("GNGSA,A,3,a,,,,,,,,,,,,1.5,0.9,1.2"),
    framed("GPGSV,1,1,"),
    framed("GPGSV,1,1,04,01,02,03"),
    `${gga("000000").slice(0, -2)}00`,
    gga("000000").slice(0, -3),
  ];
  const { gnss, sets } = run([wrong]);
  assert.deepEqual(gnss.discards(), { unsupported: 0, malformed: wrong.length, "out-of-range": 0 });
  assert.deepEqual(sets, []);
});

test("other sentences are counted as unsupported, also those named like parts of an object", () => {
  const others = [
    framed("GPTXT,01,01,02,ANTENNA OK"),
    framed("GPVTG,054.7,T,034.4,M,005.5,N,010.2,K"),
    framed("PMAST,ANT,OK"),
    framed("GPtoString,1"),
    framed("GPconstructor,1"),
    "!AIVDM,1,1,,A,15M,0*3A",
    "$*00",
    "",
    "$GPGGA",
  ];
  const { gnss } = run([others]);
  assert.deepEqual(gnss.discards(), { unsupported: others.length, malformed: 0, "out-of-range": 0 });
});

test("any sentence of a known type with any fields: nothing throws and every reading can be sent", () => {
  const field = fc.oneof(
    fc.constantFrom(
      "",
      "0",
      "1",
      "A",
      "N",
      "E",
      "M",
      "4807.038",
      "01131.000",
      "-1",
      "1e9",
      "99999999999999999999",
      "NaN",
    ),
    fc.string({ unit: "binary-ascii", maxLength: 8 }),
  );
  const any = fc
    .tuple(fc.constantFrom("GGA", "RMC", "GSA", "GSV"), fc.array(field, { maxLength: 20 }))
    .map(([type, fields]) => framed(`GP${type},${fields.join(",")}`));
  const likely = fc
    .tuple(
      fc.constantFrom(gga("000001"), gga("000002"), rmc("000001"), rmc("000002"), gsa(3, ["1"], ""), gsv("GP", 5, "")),
      fc.nat(),
      field,
    )
    .map(([sentence, at, value]) => {
      const fields = sentence.slice(1, -3).split(",");
      fields[1 + (at % (fields.length - 1))] = value;
      return framed(fields.join(","));
    });
  fc.assert(
    fc.property(fc.array(fc.oneof(any, likely), { maxLength: 40 }), (sentences) => {
      const gnss = createGnss();
      for (const [at, sentence] of sentences.entries())
        for (const reading of gnss.push(sentence, at)) {
          assert.ok(Number.isFinite(reading.value), sentence);
          assert.match(reading.series, /^gnss(\.[a-z]+){1,2}$/);
        }
    }),
    { numRuns: 2000 },
  );
});
