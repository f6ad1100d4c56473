import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { readHost } from "./host.ts";

const trees: string[] = [];
after(() => {
  for (const tree of trees) rmSync(tree, { recursive: true });
});

/** A tree of files; `null` makes a directory in a file's place, which is how a read can fail without a device. */
function tree(files: Record<string, string | null>): string {
  const root = mkdtempSync(join(tmpdir(), "cairn-host-"));
  trees.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    if (text === null) mkdirSync(join(root, path));
    else writeFileSync(join(root, path), text);
  }
  return root;
}

test("the real machine says something of each kind", async () => {
  const { stat, meminfo, loadavg, uptime, disk } = await readHost();
  assert.match(stat ?? "", /^cpu /);
  assert.match(meminfo ?? "", /^MemTotal: +\d+ kB$/m);
  assert.match(loadavg ?? "", /^[\d.]+ /);
  assert.match(uptime ?? "", /^[\d.]+ /);
  assert.ok(disk && disk.blocks > 0 && disk.blockSize > 0 && disk.available <= disk.free && disk.free <= disk.blocks);
});

test("a Jetson's thermal zones come in the kernel's order, and one that fails to read is absent", async () => {
  const zone = (number: number, type: string, temp: string | null) => ({
    [`sys/class/thermal/thermal_zone${number}/type`]: `${type}\n`,
    [`sys/class/thermal/thermal_zone${number}/temp`]: temp,
  });
  const root = tree({
    ...zone(0, "CPU-therm", "45500\n"),
    ...zone(1, "gpu-thermal", null),
    ...zone(2, "tj-thermal", "46062\n"),
    ...zone(10, "soc2-thermal", "44000\n"),
    "sys/class/thermal/thermal_zone9/temp": "41000\n",
    "sys/class/thermal/cooling_device0/type": "pwm-fan\n",
    "sys/class/hwmon/hwmon0/name": "nvme\n",
    "sys/class/hwmon/hwmon0/temp1_input": "30000\n",
  });
  assert.deepEqual((await readHost(root)).zones, [
    { type: "CPU-therm", temp: "45500\n" },
    { type: "tj-thermal", temp: "46062\n" },
    { type: "thermal_zone9", temp: "41000\n" },
    { type: "soc2-thermal", temp: "44000\n" },
  ]);
});

test("where there are no thermal zones, the hwmon inputs are taken", async () => {
  const root = tree({
    "sys/class/hwmon/hwmon0/name": "k10temp\n",
    "sys/class/hwmon/hwmon0/temp1_input": "51000\n",
    "sys/class/hwmon/hwmon0/temp1_label": "Tctl\n",
    "sys/class/hwmon/hwmon1/name": "nvme\n",
    "sys/class/hwmon/hwmon1/temp1_input": null,
    "sys/class/hwmon/hwmon1/temp2_input": "38000\n",
  });
  assert.deepEqual((await readHost(root)).zones, [
    { type: "k10temp-Tctl", temp: "51000\n" },
    { type: "nvme-temp2", temp: "38000\n" },
  ]);
});

test("an empty tree and one that does not exist give an empty sample", async () => {
  const empty = await readHost(tree({}));
  assert.deepEqual(Object.keys(empty).sort(), ["disk", "zones"]);
  assert.deepEqual(await readHost("/nowhere/at/all"), { zones: [] });
});

test("neither a huge file nor a huge directory is read whole", async () => {
  const files: Record<string, string> = { "proc/stat": "x".repeat(1_000_000) };
  for (let zone = 0; zone < 100; zone++) files[`sys/class/thermal/thermal_zone${zone}/temp`] = "1\n";
  const sample = await readHost(tree(files));
  assert.equal(sample.stat?.length, 65_536);
  assert.equal(sample.zones.length, 64);
});
