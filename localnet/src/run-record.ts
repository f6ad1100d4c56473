/**
 * run.json in the data folder: which launcher runs here and which processes it started. It keeps a second launcher out, and lets the
 * next one end what a killed one left. Who a process id belongs to is read from Linux's /proc; where there is none, nothing is
 * taken for a leftover.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { LocalnetFault } from "./fault.ts";

/** A process id alone may be another process's by now; with its start time (clock ticks since boot) it is not. */
export type ProcessMark = { readonly pid: number; readonly startTicks: number };
export type RunningPart = { readonly name: string; readonly pid: number };
export type RunRecord = { readonly launcher: ProcessMark; readonly processes: readonly RunningPart[] };

export type ProcessFacts = ProcessMark & { readonly group: number; readonly command: string };

/** What is known of the processes of this machine. */
export type ProcessTable = {
  find(pid: number): ProcessFacts | undefined;
  all(): readonly ProcessFacts[];
  signal(pid: number, signal: NodeJS.Signals): void;
};

const procFolder = "/proc";
const leftoverGraceMs = 4_000;

function findProcess(pid: number): ProcessFacts | undefined {
  try {
    const stat = readFileSync(join(procFolder, String(pid), "stat"), "utf8");
    const command = readFileSync(join(procFolder, String(pid), "cmdline"), "utf8")
      .replaceAll("\0", " ")
      .trim();
    return parseStat(pid, stat, command);
  } catch {
    return undefined;
  }
}

export const thisMachine: ProcessTable = {
  find: findProcess,
  all: () =>
    existsSync(procFolder)
      ? readdirSync(procFolder)
          .filter((name) => /^\d+$/.test(name))
          .flatMap((name) => findProcess(Number(name)) ?? [])
      : [],
  signal(pid, signal) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended in the meantime.
    }
  },
};

/** proc_pid_stat(5): the second field holds the program's name in parentheses, which may itself hold any character. */
export function parseStat(pid: number, stat: string, command: string): ProcessFacts | undefined {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, group, startTicks] = [fields[0], Number(fields[2]), Number(fields[19])];
  return state === "Z" ? undefined : { pid, group, startTicks, command };
}

const recordFile = (data: string) => join(data, "run.json");

export function readRecord(data: string): RunRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(recordFile(data), "utf8")) as RunRecord;
    return Number.isInteger(record.launcher.pid) && Array.isArray(record.processes) ? record : undefined;
  } catch {
    return undefined;
  }
}

/** Replaced in one step, so that a reader never sees half of it. */
export function writeRecord(data: string, record: RunRecord): void {
  const draft = `${recordFile(data)}.new`;
  writeFileSync(draft, `${JSON.stringify(record, null, 2)}\n`);
  renameSync(draft, recordFile(data));
}

export function removeRecord(data: string): void {
  rmSync(recordFile(data), { force: true });
}

/**
 * Takes the folder for this launcher. Throws LocalnetFault `folder-in-use` while another one is alive. Ends what a killed launcher
 * left; `ended` says how many processes that were.
 */
export async function takeFolder(
  data: string,
  table: ProcessTable,
  self: number,
): Promise<{ readonly launcher: ProcessMark; readonly ended: number }> {
  mkdirSync(data, { recursive: true });
  const launcher = { pid: self, startTicks: table.find(self)?.startTicks ?? 0 };
  const first = `${JSON.stringify({ launcher, processes: [] } satisfies RunRecord)}\n`;
  try {
    writeFileSync(recordFile(data), first, { flag: "wx" });
    return { launcher, ended: 0 };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
  }
  const earlier = readRecord(data);
  if (earlier && earlier.launcher.pid !== self && isAlive(earlier.launcher, table))
    throw new LocalnetFault(
      "folder-in-use",
      `the network in ${data} is running already, started by process ${earlier.launcher.pid}`,
      `stop that one (kill ${earlier.launcher.pid}), or run a second network with --data DIR`,
    );
  const ended = earlier ? await endLeftovers(data, earlier, table) : 0;
  writeRecord(data, { launcher, processes: [] });
  return { launcher, ended };
}

function isAlive(mark: ProcessMark, table: ProcessTable): boolean {
  return table.find(mark.pid)?.startTicks === mark.startTicks;
}

/** Ours are the processes in a group that the record names whose command line names this very data folder. */
export function leftoversOf(data: string, record: RunRecord, table: ProcessTable): readonly ProcessFacts[] {
  const groups = new Set(record.processes.map(({ pid }) => pid));
  return table.all().filter(({ group, command }) => groups.has(group) && command.includes(data));
}

async function endLeftovers(data: string, record: RunRecord, table: ProcessTable): Promise<number> {
  const found = leftoversOf(data, record, table);
  for (const { pid } of found) table.signal(pid, "SIGTERM");
  const alive = () => found.filter((process) => isAlive(process, table));
  for (let waited = 0; waited < leftoverGraceMs && alive().length > 0; waited += 100) await sleep(100);
  for (const { pid } of alive()) table.signal(pid, "SIGKILL");
  while (alive().length > 0) await sleep(50);
  return found.length;
}
