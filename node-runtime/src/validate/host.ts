/**
 * Texts of the Linux kernel to readings about this machine. What is missing, cut or impossible gives no reading; nothing throws.
 * Formats: proc(5), and Documentation/ABI/testing/sysfs-class-thermal of the kernel.
 */
import { limits, type Reading, type Unit } from "@cairn/protocol";

/** One look at the machine, as wire/host.ts takes it (the two types are one by structure: a stage imports no other). */
export type HostTexts = {
  /** /proc/stat, /proc/meminfo, /proc/loadavg and /proc/uptime. */
  readonly stat?: string;
  readonly meminfo?: string;
  readonly loadavg?: string;
  readonly uptime?: string;
  /** Root file system in blocks of `blockSize` bytes; `available` is what ordinary users may still take. */
  readonly disk?: {
    readonly blockSize: number;
    readonly blocks: number;
    readonly free: number;
    readonly available: number;
  };
  /** Temperatures in thousandths of a degree Celsius, as text, with whatever name the firmware gave the place. */
  readonly zones: readonly { readonly type: string; readonly temp: string }[];
};

/** Outside of this no chip of ours is alive, degrees Celsius. A Jetson says -256 for a sensor that is off. */
const coldest = -55;
const hottest = 150;

/** Zones that say a constant or an estimate instead of measuring (Jetson TX2 and Nano). */
const notMeasured = new Set(["pmic-die", "thermal-fan-est"]);

const temperaturePrefix = "host.temperature.";

/**
 * All readings of one sample, measured at `atMs` (unix ms). Utilisation is that of the time between `previous` and `sample`, so
 * the first sample has none. Series: host.cpu.utilisation "/", host.memory.used and .available "B", host.disk.used and .free "B",
 * host.load.one "count" (mean number of processes that run or wait, one minute), host.uptime "s", host.temperature.<zone> "Cel".
 */
export function hostReadings(previous: HostTexts | undefined, sample: HostTexts, atMs: number): Reading[] {
  const readings: Reading[] = [];
  const add = (series: string, unit: Unit, value: number | undefined) => {
    if (value !== undefined && Number.isFinite(value))
      readings.push({ series, unit, at: atMs, value, quality: "good" });
  };
  add("host.cpu.utilisation", "/", utilisation(previous?.stat, sample.stat));
  const total = memory(sample.meminfo, "MemTotal");
  const available = memory(sample.meminfo, "MemAvailable");
  if (total !== undefined && available !== undefined && available <= total) {
    add("host.memory.used", "B", total - available);
    add("host.memory.available", "B", available);
  }
  if (sample.disk && sample.disk.blocks > 0 && sample.disk.free <= sample.disk.blocks) {
    add("host.disk.used", "B", (sample.disk.blocks - sample.disk.free) * sample.disk.blockSize);
    add("host.disk.free", "B", sample.disk.available * sample.disk.blockSize);
  }
  add("host.load.one", "count", firstNumber(sample.loadavg));
  add("host.uptime", "s", firstNumber(sample.uptime));
  for (const { name, celsius } of temperatures(sample.zones)) add(`${temperaturePrefix}${name}`, "Cel", celsius);
  return readings;
}

/** Share of the time in which the processors were not idle, 0 to 1, rounded to 1e-4. */
function utilisation(before: string | undefined, after: string | undefined): number | undefined {
  const [from, to] = [jiffies(before), jiffies(after)];
  if (!from || !to || to.total <= from.total) return undefined;
  const idle = (to.idle - from.idle) / (to.total - from.total);
  return Math.round(Math.min(1, Math.max(0, 1 - idle)) * 10_000) / 10_000;
}

/** The line of all processors: user nice system idle iowait irq softirq steal; guest times are part of user (proc(5)). */
function jiffies(stat: string | undefined): { readonly idle: number; readonly total: number } | undefined {
  const line = stat === undefined ? null : /^cpu +((?:\d+ ){3,}\d+)/m.exec(stat);
  if (!line?.[1]) return undefined;
  const times = line[1].split(" ").slice(0, 8).map(Number);
  return { idle: (times[3] ?? 0) + (times[4] ?? 0), total: times.reduce((sum, time) => sum + time, 0) };
}

/** Bytes; the file's "kB" are KiB. */
function memory(meminfo: string | undefined, name: "MemTotal" | "MemAvailable"): number | undefined {
  const found = meminfo === undefined ? null : new RegExp(`^${name}: +(\\d{1,12}) kB$`, "m").exec(meminfo);
  return found ? Number(found[1]) * 1024 : undefined;
}

function firstNumber(text: string | undefined): number | undefined {
  const found = text === undefined ? null : /^(\d{1,12}(?:\.\d+)?)\s/.exec(text);
  return found ? Number(found[1]) : undefined;
}

/** Temperatures that can be true, under names of which no two are the same. */
function temperatures(zones: HostTexts["zones"]): { readonly name: string; readonly celsius: number }[] {
  const taken = new Set<string>();
  const found: { name: string; celsius: number }[] = [];
  for (const { type, temp } of zones) {
    const plain = seriesSegment(type);
    if (notMeasured.has(plain)) continue;
    // The name is taken before the value is judged: a sensor that is off must not lend its name to the next one.
    let name = plain;
    for (let copy = 2; taken.has(name); copy++) name = `${plain.slice(0, nameLimit - 4)}-${copy}`;
    taken.add(name);
    const celsius = /^-?\d{1,9}\s*$/.test(temp) ? Number(temp) / 1000 : Number.NaN;
    if (celsius >= coldest && celsius <= hottest) found.push({ name, celsius });
  }
  return found;
}

const nameLimit = limits.seriesName - temperaturePrefix.length;

/** Any name to one part of a series name: lower case, digits, "_" and "-", beginning with a letter or digit, short enough. */
function seriesSegment(name: string): string {
  const plain = name
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, "-")
    .replace(/^[-_]+|-+$/g, "")
    .slice(0, nameLimit);
  return plain === "" ? "zone" : plain;
}
