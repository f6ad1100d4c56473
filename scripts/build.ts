/**
 * Brings what is generated up to date: the contracts' ABIs and creation code, the web page, and once the compiled code of the daemons,
 * so that already their first start is a light one.
 *
 *   node scripts/build.ts [--quiet]
 *
 * Each part's program knows whether its inputs changed. --quiet speaks of a part only when it was built. All lines go to stderr,
 * so that a program started afterwards owns stdout.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";

const root = dirname(import.meta.dirname);
const speakAfterMs = 3_000;

/** In this order: the web page may import what the contracts' build writes. */
const parts = [
  { name: "contracts", program: "contracts/build.ts" },
  { name: "web page", program: "dashboards/web/build.ts" },
] as const;

/** Runs a part's own program; resolves to its exit code and all it printed. */
function build({ name, program }: (typeof parts)[number]): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, [program], { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  const slow = setTimeout(() => console.error(`building the ${name}`), speakAfterMs);
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  return new Promise((done, failed) => {
    child.once("error", failed);
    child.once("close", (code) => {
      clearTimeout(slow);
      done({ code: code ?? 1, output: output.trimEnd() });
    });
  });
}

/**
 * Entries that are loaded once for the compile cache: each ends by itself. With the flags that the local network starts them with: V8 keeps
 * what it compiled apart by its flags.
 */
const coordinatorFlags = ["--max-semi-space-size=2"];
const nodeFlags = ["--max-semi-space-size=1", "--optimize-for-size"];
const daemons = [
  [...coordinatorFlags, "coordinator/src/main.ts", "--help"],
  [...coordinatorFlags, "coordinator/src/admission-thread.ts"],
  [...nodeFlags, "node-runtime/src/main.ts", "--help"],
];

/** Fills the compile cache that the environment names, when nobody has before. A cache that stays empty costs nothing but memory. */
function warmCompileCache(folder: string | undefined): void {
  if (folder === undefined || existsSync(join(folder, "warmed"))) return;
  for (const args of daemons) spawnSync(process.execPath, args, { cwd: root, stdio: "ignore" });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "warmed"), "");
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { quiet: { type: "boolean", default: false } } });
  for (const part of parts) {
    const { code, output } = await build(part);
    if (code !== 0) {
      console.error(`${output}\nbuilding the ${part.name} failed: ${part.program} ended with code ${code}`);
      return 1;
    }
    if (!values.quiet || !output.endsWith("up to date")) console.error(output);
  }
  warmCompileCache(process.env.NODE_COMPILE_CACHE);
  return 0;
}

process.exitCode = await main();
