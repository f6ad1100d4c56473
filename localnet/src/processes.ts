/** Runs one part of the network as a process: its log, its restarts, its end. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { LocalnetFault } from "./fault.ts";
import { houseRoot } from "./house.ts";

export type Program = {
  /** Names the part in lines, and its log. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Beside the launcher's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** How the program is told to stop; every program stops by itself when its standard input closes. */
  readonly stopBy: "signal" | "closed-input";
};

export type Supervision = {
  /** Folder of the logs. */
  readonly logs: string;
  /** 0 to 1, for the jitter of restarts. */
  readonly random: () => number;
  /** Monotonic, in ms. */
  readonly clock: () => number;
  readonly say: (line: string) => void;
  /** The process ids changed. */
  readonly changed: () => void;
  /** The program ends at once each time: it is not started again. */
  readonly givenUp: (fault: LocalnetFault) => void;
};

export type Supervised = {
  readonly name: string;
  readonly logFile: string;
  /** The process, which leads a group of its own; undefined while there is none. */
  pid(): number | undefined;
  /** Asks the process to end; resolves when it has. It is not started again. */
  stop(): Promise<void>;
  /** Ends the process and all it started, now. */
  kill(): void;
};

/** A process that lived shorter died "at once". */
const atOnceMs = 5_000;
const mostAtOnce = 4;
const firstDelayMs = 500;
const longestDelayMs = 10_000;
const logCapBytes = 5_000_000;

/**
 * What follows an unexpected end: the wait before the next start, doubled for each death at once in a row and never above a
 * ceiling, with jitter; or to give up.
 */
export function afterDeath(
  atOnceBefore: number,
  livedMs: number,
  random: number,
): { readonly atOnce: number; readonly delayMs: number } | "give up" {
  const atOnce = livedMs < atOnceMs ? atOnceBefore + 1 : 0;
  if (atOnce >= mostAtOnce) return "give up";
  const delayMs = Math.min(firstDelayMs * 2 ** atOnce, longestDelayMs);
  return { atOnce, delayMs: Math.round(delayMs * (0.5 + random / 2)) };
}

/** The end of a log, for a reader who is told that something broke. */
export function lastLines(file: string, count: number): string {
  if (!existsSync(file)) return "";
  return readFileSync(file, "utf8").trimEnd().split("\n").slice(-count).join("\n");
}

/** Starts the program and keeps it running until it is stopped. */
export function supervise(program: Program, supervision: Supervision): Supervised {
  const { name } = program;
  const logFile = join(supervision.logs, `${name}.log`);
  let child: ChildProcess | undefined;
  let restart: NodeJS.Timeout | undefined;
  let stopping = false;
  let atOnce = 0;
  let ended: Promise<void> = Promise.resolve();

  const start = () => {
    const startedAt = supervision.clock();
    const process = launch(program, logFile);
    child = process;
    ended = new Promise((done) => {
      const down = (how: string) => {
        if (child !== process) return;
        child = undefined;
        process.stdin?.destroy();
        done();
        supervision.changed();
        if (!stopping) died(how, supervision.clock() - startedAt);
      };
      process.once("error", (cause) => down(`cannot be started: ${cause.message}`));
      process.once("exit", (code, signal) => down(signal ? `was ended by ${signal}` : `ended with code ${code}`));
    });
    supervision.changed();
  };

  const died = (how: string, livedMs: number) => {
    const next = afterDeath(atOnce, livedMs, supervision.random());
    if (next === "give up") {
      supervision.givenUp(
        new LocalnetFault(
          "part-broken",
          `${name} ${how}, ${mostAtOnce} times in a row right after its start. Its last lines:\n${lastLines(logFile, 10)}`,
          `the whole log is ${logFile}`,
        ),
      );
      return;
    }
    atOnce = next.atOnce;
    supervision.say(`${name} ${how} and is started again in ${(next.delayMs / 1_000).toFixed(1)} s (log: ${logFile})`);
    restart = setTimeout(start, next.delayMs);
  };

  start();
  return {
    name,
    logFile,
    pid: () => child?.pid,
    stop() {
      stopping = true;
      clearTimeout(restart);
      if (program.stopBy === "signal") child?.kill("SIGTERM");
      child?.stdin?.end();
      return ended;
    },
    kill() {
      stopping = true;
      clearTimeout(restart);
      if (child?.pid !== undefined) killGroup(child.pid);
    },
  };
}

/** A group of its own keeps the terminal's Ctrl-C away from the process: the launcher alone decides the order of stopping. */
function launch({ command, args, env }: Program, logFile: string): ChildProcess {
  rotate(logFile);
  const log = openSync(logFile, "a");
  try {
    const child = spawn(command, args, {
      cwd: houseRoot,
      detached: true,
      stdio: ["pipe", log, log],
      env: { ...process.env, ...env },
    });
    // A pipe to a process that just ended reports EPIPE; the end itself is seen by "exit".
    child.stdin?.on("error", () => {});
    return child;
  } finally {
    closeSync(log);
  }
}

function rotate(logFile: string): void {
  mkdirSync(dirname(logFile), { recursive: true });
  if (existsSync(logFile) && statSync(logFile).size > logCapBytes) renameSync(logFile, `${logFile}.1`);
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It ended in the meantime.
  }
}

/** When each group of processes is told to stop at the latest, and when what is left is killed; ms from the begin of stopping. */
export const stopPlan = { nextGroupMs: 1_700, killMs: 4_000 } as const;

/**
 * Stops the groups in turn: each once the one before has ended, or has had its time. What is left at the end of the plan is killed;
 * resolves to the names of those, after everything has ended.
 */
export async function stopInTurn(groups: readonly (readonly Supervised[])[]): Promise<readonly string[]> {
  const startedAt = performance.now();
  const ends: Promise<void>[] = [];
  for (const [index, group] of groups.entries()) {
    const ended = Promise.all(group.map((each) => each.stop())).then(() => undefined);
    ends.push(ended);
    const latest = Math.min((index + 1) * stopPlan.nextGroupMs, stopPlan.killMs);
    await within(ended, latest - (performance.now() - startedAt));
  }
  const all = Promise.all(ends).then(() => undefined);
  await within(all, stopPlan.killMs - (performance.now() - startedAt));
  const stragglers = groups.flat().filter((each) => each.pid() !== undefined);
  for (const straggler of stragglers) straggler.kill();
  await all;
  return stragglers.map(({ name }) => name);
}

/** The promise's value, or undefined when it takes longer. */
export async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const overdue = new Promise<undefined>((done) => {
    timer = setTimeout(() => done(undefined), Math.max(ms, 0));
  });
  return Promise.race([promise, overdue]).finally(() => clearTimeout(timer));
}
