/** Programs that tests start beside themselves: on free loopback ports, in a folder of their own, ended with the test. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export function temporaryFolder(name: string): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), `cairn-${name}-`));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Below those that systems give to outgoing connections (Linux: 32768 and up), which may take one while its program is not there. */
const [lowest, highest] = [10_000, 32_767];

/** Ports that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = randomInt(lowest, highest + 1);
    if (await isFree(port)) ports.add(port);
  }
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

export type Program = {
  start(): Promise<void>;
  /** Ends it with a signal and waits until it is gone. */
  end(signal?: NodeJS.Signals): Promise<void>;
  /** Sends it a signal that it survives, for example SIGSTOP. */
  signal(signal: NodeJS.Signals): void;
  pid(): number | undefined;
  /** What it wrote so far. */
  output(): string;
};

/** How a program is started. `ports`: it has started when all of them take connections. */
export type ProgramPlan = {
  readonly command: string;
  readonly args: readonly string[];
  readonly host?: string;
  readonly ports: readonly number[];
};

export function program({ command, args, host = "127.0.0.1", ports }: ProgramPlan): Program {
  let child: ChildProcess | undefined;
  let output = "";
  const kill = () => child?.kill("SIGKILL");
  return {
    async start() {
      const started = spawn(command, [...args], { stdio: ["ignore", "pipe", "pipe"] });
      child = started;
      process.once("exit", kill);
      for (const stream of [started.stdout, started.stderr])
        stream.on("data", (chunk: Buffer) => {
          output = (output + chunk.toString()).slice(-20_000);
        });
      for (const port of ports)
        await untilListening(host, port, () => `${command} (exit code ${started.exitCode}): ${output}`);
    },
    async end(signal = "SIGTERM") {
      process.off("exit", kill);
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, "exit");
      child.kill(signal);
      await exited;
    },
    signal(signal) {
      child?.kill(signal);
    },
    pid: () => child?.pid,
    output: () => output,
  };
}

async function untilListening(host: string, port: number, otherwise: () => string): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!(await listens(host, port))) {
    if (performance.now() > deadline) throw new Error(`nobody listens on ${host}:${port}: ${otherwise()}`);
    await sleep(20);
  }
}

function listens(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
