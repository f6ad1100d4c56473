import assert from "node:assert/strict";
import { test } from "node:test";
import { limits, type Reading } from "@cairn/protocol";
import fc from "fast-check";
import { type HostTexts, hostReadings } from "./host.ts";

const seriesName = /^[a-z][a-z0-9]*(\.[a-z0-9][a-z0-9_-]*){1,7}$/;
const nothing: HostTexts = { zones: [] };

function value(readings: readonly Reading[], series: string): number | undefined {
  return readings.find((reading) => reading.series === series)?.value;
}

function zones(...list: [type: string, temp: string][]): HostTexts {
  return { zones: list.map(([type, temp]) => ({ type, temp })) };
}

function cpu(...times: number[]): HostTexts {
  return { stat: `cpu  ${times.join(" ")}\ncpu0 1 2 3 4 5 6 7 8 9 10\n`, zones: [] };
}

test("utilisation is the share of time that was not idle between two samples", () => {
  const readings = hostReadings(cpu(100, 0, 50, 800, 50, 0, 0, 0, 0, 0), cpu(160, 0, 70, 900, 70, 0, 0, 0, 0, 0), 5);
  assert.deepEqual(readings, [{ series: "host.cpu.utilisation", unit: "/", at: 5, value: 0.4, quality: "good" }]);
});

test("utilisation needs two samples of one boot, and iowait that runs backwards does not leave 0 to 1", () => {
  assert.deepEqual(hostReadings(undefined, cpu(1, 2, 3, 4, 5, 6, 7, 8, 0, 0), 0), []);
  assert.deepEqual(hostReadings(cpu(1, 2, 3, 4, 5, 6, 7, 8), cpu(1, 2, 3, 4, 5, 6, 7, 8), 0), []);
  assert.deepEqual(hostReadings(cpu(100, 2, 3, 4, 5, 6, 7, 8), cpu(1, 2, 3, 4, 5, 6, 7, 8), 0), []);
  assert.equal(hostReadings(cpu(100, 0, 0, 100, 50), cpu(110, 0, 0, 100, 40 + 5), 0)[0]?.value, 1);
});

test("guest time is part of user time and not counted twice", () => {
  const [reading] = hostReadings(cpu(0, 0, 0, 0, 0, 0, 0, 0, 0, 0), cpu(50, 0, 0, 50, 0, 0, 0, 0, 50, 0), 0);
  assert.equal(reading?.value, 0.5);
});

test("memory, disk, load and uptime come in bytes, counts and seconds", () => {
  const readings = hostReadings(
    undefined,
    {
      meminfo: "MemTotal:        8000000 kB\nMemFree:          500000 kB\nMemAvailable:    6000000 kB\n",
      loadavg: "0.47 0.21 0.12 2/106 7582\n",
      uptime: "1385.47 2610.19\n",
      disk: { blockSize: 4096, blocks: 1000, free: 400, available: 350 },
      zones: [],
    },
    7,
  );
  assert.deepEqual(
    readings.map(({ series, unit, value }) => [series, unit, value]),
    [
      ["host.memory.used", "B", 2_048_000_000],
      ["host.memory.available", "B", 6_144_000_000],
      ["host.disk.used", "B", 600 * 4096],
      ["host.disk.free", "B", 350 * 4096],
      ["host.load.one", "count", 0.47],
      ["host.uptime", "s", 1385.47],
    ],
  );
});

test("a Jetson's zones are told by their own names; the GPU that is off and the constant of the power chip are not", () => {
  const readings = hostReadings(
    undefined,
    zones(
      ["CPU-therm", "45500\n"],
      ["GPU-therm", "-256000\n"],
      ["PMIC-Die", "50000\n"],
      ["tj-thermal", "46062\n"],
      ["thermal-fan-est", "45900\n"],
      ["x86_pkg_temp", "-5000\n"],
    ),
    0,
  );
  assert.deepEqual(
    readings.map(({ series, unit, value }) => [series, unit, value]),
    [
      ["host.temperature.cpu-therm", "Cel", 45.5],
      ["host.temperature.tj-thermal", "Cel", 46.062],
      ["host.temperature.x86_pkg_temp", "Cel", -5],
    ],
  );
});

test("zones of one name stay apart, also while one of them is off", () => {
  const both = hostReadings(undefined, zones(["acpitz", "30000"], ["acpitz", "40000"], ["ACPITZ", "50000"]), 0);
  assert.deepEqual(
    both.map(({ series, value }) => [series, value]),
    [
      ["host.temperature.acpitz", 30],
      ["host.temperature.acpitz-2", 40],
      ["host.temperature.acpitz-3", 50],
    ],
  );
  const second = hostReadings(undefined, zones(["acpitz", "-274000"], ["acpitz", "40000"]), 0);
  assert.equal(value(second, "host.temperature.acpitz-2"), 40);
  assert.equal(second.length, 1);
});

test("impossible and unreadable temperatures are no readings", () => {
  for (const temp of ["-256000", "-55001", "150001", "999999999", "", "\n", "n/a", "45.5", "0x1F", "1e3"])
    assert.deepEqual(hostReadings(undefined, zones(["cpu", temp]), 0), [], temp);
  for (const temp of ["-55000", "0", "150000\n"])
    assert.equal(hostReadings(undefined, zones(["cpu", temp]), 0).length, 1, temp);
});

test("texts that are missing, cut or of another shape give no readings", () => {
  const odd = [
    "",
    "\n",
    "cpu",
    "cpu  1 2\n",
    "cpu a b c d\n",
    "MemTotal: x kB",
    "MemTotal: 5 kB\nMemAvailable: 9 kB\n",
  ];
  for (const text of odd)
    assert.deepEqual(
      hostReadings(cpu(1, 1, 1, 1), { stat: text, meminfo: text, loadavg: text, uptime: text, zones: [] }, 0),
      [],
      text,
    );
  const disk = { blockSize: 4096, blocks: 0, free: 0, available: 0 };
  assert.deepEqual(hostReadings(undefined, { disk, zones: [] }, 0), [], "a file system without blocks");
  assert.deepEqual(hostReadings(nothing, nothing, 0), []);
});

test("whatever a zone is called, its series can be sent and no two are the same", () => {
  const name = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 90 }),
    fc.constantFrom("cpu", "CPU", "-cpu", "", "a".repeat(80)),
  );
  fc.assert(
    fc.property(fc.array(name, { maxLength: 64 }), (names) => {
      const readings = hostReadings(undefined, { zones: names.map((type) => ({ type, temp: "20000" })) }, 1);
      assert.equal(
        new Set(readings.map(({ series }) => series)).size,
        names.filter((one) => !/^(pmic-die)$/i.test(one)).length,
      );
      for (const { series } of readings) {
        assert.match(series, seriesName);
        assert.ok(series.length <= limits.seriesName, series);
      }
    }),
  );
});

test("any texts: nothing throws", () => {
  const text = fc.option(fc.string(), { nil: "" });
  fc.assert(
    fc.property(text, text, text, text, (a, b, c, d) => {
      for (const reading of hostReadings(cpu(1, 2, 3, 4), { stat: a, meminfo: b, loadavg: c, uptime: d, zones: [] }, 0))
        assert.ok(Number.isFinite(reading.value));
    }),
  );
});
