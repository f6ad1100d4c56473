/**
 * What the kernel says about this machine: texts of /proc and /sys as they stand, and statfs of the root file system. Nothing is
 * interpreted here (validate/host.ts does that). A file that is missing or fails to read is simply absent from the sample: on a
 * Jetson a thermal zone answers EAGAIN while its part of the chip is switched off.
 */
import { open, readdir, statfs } from "node:fs/promises";
import { join } from "node:path";

/** Most that is read of one file, bytes: /proc/stat of a machine with 256 cores has 50,000, and its first line is enough. */
const fileLimit = 65_536;
/** Most entries looked at in one directory of /sys. */
const entryLimit = 64;
/** Temperature inputs of one hwmon device. */
const inputLimit = 16;

/** A temperature as the kernel writes it: thousandths of a degree Celsius, as text. */
export type HostZone = { readonly type: string; readonly temp: string };

/** One look at the machine. Every part may be missing. */
export type HostSample = {
  readonly stat?: string;
  readonly meminfo?: string;
  readonly loadavg?: string;
  readonly uptime?: string;
  /** Root file system, in blocks of `blockSize` bytes; `available` is what is left to ordinary users. */
  readonly disk?: {
    readonly blockSize: number;
    readonly blocks: number;
    readonly free: number;
    readonly available: number;
  };
  /** Thermal zones in the kernel's order; where there are none, the temperature inputs of /sys/class/hwmon. */
  readonly zones: readonly HostZone[];
};

/** Looks once. `root`: prefix of all paths, another than "/" in tests. Never throws; bounded in size and count. */
export async function readHost(root = "/"): Promise<HostSample> {
  const [stat, meminfo, loadavg, uptime, disk, thermal] = await Promise.all([
    readText(join(root, "proc/stat")),
    readText(join(root, "proc/meminfo")),
    readText(join(root, "proc/loadavg")),
    readText(join(root, "proc/uptime")),
    readDisk(root),
    readThermalZones(join(root, "sys/class/thermal")),
  ]);
  const zones = thermal ?? (await readHwmon(join(root, "sys/class/hwmon")));
  return {
    ...(stat === undefined ? {} : { stat }),
    ...(meminfo === undefined ? {} : { meminfo }),
    ...(loadavg === undefined ? {} : { loadavg }),
    ...(uptime === undefined ? {} : { uptime }),
    ...(disk === undefined ? {} : { disk }),
    zones,
  };
}

async function readDisk(path: string): Promise<HostSample["disk"]> {
  try {
    const { bsize, blocks, bfree, bavail } = await statfs(path);
    return { blockSize: bsize, blocks, free: bfree, available: bavail };
  } catch {
    return undefined;
  }
}

/** undefined: the machine has no thermal zones at all, so hwmon is asked; zones that all fail are an empty list. */
async function readThermalZones(directory: string): Promise<HostZone[] | undefined> {
  const names = await entries(directory, /^thermal_zone\d+$/);
  if (names.length === 0) return undefined;
  const zones = await Promise.all(
    names.map(async (name) => {
      const [type, temp] = await Promise.all([
        readText(join(directory, name, "type")),
        readText(join(directory, name, "temp")),
      ]);
      return temp === undefined ? [] : [{ type: type?.trim() || name, temp }];
    }),
  );
  return zones.flat();
}

async function readHwmon(directory: string): Promise<HostZone[]> {
  const zones: HostZone[] = [];
  for (const device of await entries(directory, /^hwmon\d+$/)) {
    const name = (await readText(join(directory, device, "name")))?.trim() || device;
    const inputs = await entries(join(directory, device), /^temp\d+_input$/);
    for (const input of inputs.slice(0, inputLimit)) {
      const label = (await readText(join(directory, device, input.replace("_input", "_label"))))?.trim();
      const temp = await readText(join(directory, device, input));
      if (temp !== undefined) zones.push({ type: `${name}-${label || input.replace("_input", "")}`, temp });
    }
  }
  return zones;
}

/** Entries of a directory that fit, by their number and not as text, so that zone10 stands behind zone9. */
async function entries(directory: string, pattern: RegExp): Promise<string[]> {
  try {
    const names = (await readdir(directory)).filter((name) => pattern.test(name));
    return names.sort((a, b) => a.localeCompare(b, "en", { numeric: true })).slice(0, entryLimit);
  } catch {
    return [];
  }
}

/** The first `fileLimit` bytes as text. Files of /proc and /sys state no size, so they are read until they end. */
async function readText(path: string): Promise<string | undefined> {
  try {
    const file = await open(path, "r");
    try {
      const buffer = Buffer.alloc(fileLimit);
      let length = 0;
      while (length < fileLimit) {
        const { bytesRead } = await file.read(buffer, length, fileLimit - length);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      return buffer.toString("utf8", 0, length);
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}
