/** Programs that tests start beside themselves: on free loopback ports, in a folder of their own, ended with the test. */
import { type ChildProcess, spawn } from "node:child_process";
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

/** Ports that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === "object" && address ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export type Program = {
  start(): Promise<void>;
  /** Ends it with a signal and waits until it is gone. */
  end(signal?: NodeJS.Signals): Promise<void>;
  /** What it wrote so far. */
  output(): string;
};

/** `ports`: it has started when all of them take connections. */
export function program(command: string, args: readonly string[], ports: readonly number[]): Program {
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
        await untilListening(port, () => `${command} (exit code ${started.exitCode}): ${output}`);
    },
    async end(signal = "SIGTERM") {
      process.off("exit", kill);
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, "exit");
      child.kill(signal);
      await exited;
    },
    output: () => output,
  };
}

async function untilListening(port: number, otherwise: () => string): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!(await listens(port))) {
    if (performance.now() > deadline) throw new Error(`nobody listens on port ${port}: ${otherwise()}`);
    await sleep(20);
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
