/** Runs cairn-coordinator as a user does, for commands that end by themselves. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const main = join(import.meta.dirname, "..", "src", "main.ts");

export type Ended = { readonly code: number | null; readonly out: string; readonly err: string };

export function coordinator(...args: readonly string[]): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: "utf8" });
  return { code: status, out: stdout, err: stderr };
}
