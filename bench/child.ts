/** A program beside a benchmark that speaks one JSON line at a time on standard output and is told what to do on standard input. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

export type Child = {
  readonly pid: number;
  /** Sends a line. */
  tell(line: string): void;
  /** The next line. Throws when the program ends first, or says nothing for `withinMs`. */
  hear<Said>(withinMs?: number): Promise<Said>;
  /** Closes its standard input and waits until it has ended. */
  end(): Promise<void>;
};

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** `flags`: of Node, before the program. */
export function startChild(file: URL, args: readonly string[], flags: readonly string[] = []): Child {
  const child = spawn(process.execPath, [...flags, file.pathname, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  running.add(child);
  const ended = once(child, "close").then(() => running.delete(child));
  // What it has no use for any more when it ends.
  child.stdin.on("error", () => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const name = file.pathname.slice(file.pathname.lastIndexOf("/") + 1);
  return {
    pid: child.pid ?? 0,
    tell: (line) => void child.stdin.write(`${line}\n`),
    async hear<Said>(withinMs = 180_000) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${name} said nothing for ${withinMs / 1000} s`)), withinMs);
      });
      try {
        const { value, done } = await Promise.race([lines.next(), late]);
        if (done) throw new Error(`${name} ended with code ${child.exitCode}`);
        return JSON.parse(value) as Said;
      } finally {
        clearTimeout(timer);
      }
    },
    async end() {
      child.stdin.end();
      await ended;
    },
  };
}
