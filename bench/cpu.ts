/**
 * CPU time and memory of other processes, from /proc (Linux, proc(5)): what a process costs says more than how fast it is on a machine
 * that it shares with its own load.
 */
import { readdirSync, readFileSync } from "node:fs";

/** USER_HZ, which is 100 on every platform that Node runs on. The kernel counts finer and rounds to it only here. */
const ticksPerSecond = 100;
const usPerTick = 1e6 / ticksPerSecond;

/** Fields of /proc/PID/stat from the state on: the name before them may hold anything, but is the last in parentheses. */
function statOf(pid: number): readonly string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

/** Sum of fields by their numbers in proc(5), in us; 0 for a process that is gone. */
function ticks(pid: number, ...fields: readonly number[]): number {
  const stat = statOf(pid);
  return stat ? usPerTick * fields.reduce((sum, field) => sum + Number(stat[field - 3] ?? 0), 0) : 0;
}

/** us of user and system time of a process: all its threads, also those that ended. */
export function cpuOf(pid: number): number {
  return ticks(pid, 14, 15);
}

/** The same of a process with its children, also those that ended: of PostgreSQL, everything. */
export function familyCpuOf(pid: number): number {
  return ticks(pid, 14, 15, 16, 17) + childrenOf(pid).reduce((sum, child) => sum + ticks(child, 14, 15, 16, 17), 0);
}

function childrenOf(pid: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((each) => parentOf(each) === pid);
}

function parentOf(pid: number): number {
  return Number(statOf(pid)?.[1] ?? 0);
}

/** Resident memory, kB. */
export function residentKb(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  if (!match?.[1]) throw new Error(`process ${pid} has no memory`);
  return Number(match[1]);
}

/** Named readings of CPU time, us. */
export type Meter = () => Readonly<Record<string, number>>;

/** What `body` cost, by name. */
export async function spent(meter: Meter, body: () => Promise<void>): Promise<Record<string, number>> {
  const before = meter();
  await body();
  return Object.fromEntries(Object.entries(meter()).map(([name, us]) => [name, us - (before[name] ?? 0)]));
}
