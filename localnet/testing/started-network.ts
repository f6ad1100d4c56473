/** Starts the local network as a user does, through the launch script, and looks at the processes it leaves. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export const root = dirname(dirname(import.meta.dirname));

export type StartedNetwork = {
  readonly child: ChildProcess;
  /** What it printed so far. */
  readonly printed: { readonly stdout: string; readonly stderr: string };
  readonly ended: Promise<number | NodeJS.Signals>;
};

/** `npm start -- ARGS` without npm, which would only add its banner. */
export function startNetwork(...args: readonly string[]): StartedNetwork {
  const child = spawn(process.execPath, ["scripts/launch.mjs", "--build", "localnet/src/main.ts", ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const printed = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    printed.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    printed.stderr += text;
  });
  const ended = new Promise<number | NodeJS.Signals>((done) => {
    child.once("close", (code, signal) => done(code ?? signal ?? 1));
  });
  return { child, printed, ended };
}

/** As many ports that nobody listens at. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

/** Flags for a network of its own on this machine. */
export async function ownPorts(): Promise<readonly string[]> {
  const [chain, mqtt, web] = await freePorts(3);
  return ["--chain-port", `${chain}`, "--mqtt-port", `${mqtt}`, "--web-port", `${web}`];
}

export type Running = { readonly pid: number; readonly command: string };

/** Processes whose command line names the data folder; this one and the launcher count only when they do so themselves. */
export function processesOf(data: string): readonly Running[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const command = readFileSync(join("/proc", pid, "cmdline"), "utf8")
          .replaceAll("\0", " ")
          .trim();
        return command.includes(data) ? [{ pid: Number(pid), command }] : [];
      } catch {
        return [];
      }
    });
}

/** The running parts by name, as the launcher recorded them. */
export function recordedParts(data: string): ReadonlyMap<string, number> {
  const file = join(data, "run.json");
  if (!existsSync(file)) return new Map();
  const { processes } = JSON.parse(readFileSync(file, "utf8")) as { processes: { name: string; pid: number }[] };
  return new Map(processes.map(({ name, pid }) => [name, pid]));
}

/** Waits until the condition holds; throws with `what` after the time. */
export async function until(condition: () => boolean, withinMs: number, what: string): Promise<void> {
  for (const deadline = performance.now() + withinMs; !condition(); await sleep(50))
    if (performance.now() > deadline) throw new Error(`waited ${withinMs / 1_000} s in vain for ${what}`);
}
