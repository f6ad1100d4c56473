/** Runs test files, each in a process of its own, and says what came of them in words that end in one line of totals. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, matchesGlob, relative, sep } from "node:path";
import { setTimeout as setTimeoutAsync } from "node:timers/promises";
import type { TestRecord } from "./test-reporter.ts";

export type TestKind = "unit" | "services";

export type RunOptions = {
  readonly root: string;
  /** Paths from `root`. */
  readonly files: readonly string[];
  /** How many files run at the same time. */
  readonly concurrency: number;
  /** A file that has not ended by then is ended, which counts as a failure. */
  readonly fileTimeoutMs: number;
  readonly print: (line: string) => void;
};

export type Totals = { readonly passed: number; readonly failed: number; readonly skipped: number };

type FileOutcome = { readonly records: readonly TestRecord[]; readonly trouble?: string; readonly output: string };

/** How long a file's output is still read after its end: programs it left behind may hold the pipe open. */
const outputGraceMs = 500;
const notSearched = new Set(["node_modules", "dist", "out", "cache", ".git", ".cairn", ".build"]);
const endings: Readonly<Record<TestKind, (name: string) => boolean>> = {
  unit: (name) => name.endsWith(".test.ts") && !name.endsWith(".services.test.ts"),
  services: (name) => name.endsWith(".services.test.ts"),
};

/** Test files under the folders, as paths from `root`, sorted; with patterns only those that hold one or fit one as a glob. */
export function findTests(
  root: string,
  folders: readonly string[],
  kind: TestKind,
  patterns: readonly string[],
): readonly string[] {
  const wanted = (path: string) =>
    patterns.length === 0 || patterns.some((pattern) => path.includes(pattern) || matchesGlob(path, pattern));
  return folders
    .flatMap((folder) => testsIn(join(root, folder), endings[kind]))
    .map((path) => relative(root, path).split(sep).join("/"))
    .filter(wanted)
    .sort();
}

function testsIn(folder: string, fits: (name: string) => boolean): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return notSearched.has(entry.name) ? [] : testsIn(path, fits);
    return fits(entry.name) ? [path] : [];
  });
}

/** The folders that hold tests: every workspace of the root manifest, and the house's own scripts. */
export function testFolders(root: string): readonly string[] {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { workspaces: string[] };
  return [...manifest.workspaces, "scripts"];
}

export function closingLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** Runs the files and prints as they end. A file that cannot run, ends badly or holds no test counts as one failure. */
export async function runTests(options: RunOptions): Promise<Totals> {
  const waiting = [...options.files];
  const skips: string[] = [];
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const worker = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const startedAt = performance.now();
      const outcome = await runFile(options, file);
      const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
      const failures = outcome.records.filter((record) => record.error !== undefined);
      const skipped = outcome.records.filter((record) => record.skipped !== undefined);
      const counts = {
        passed: outcome.records.length - failures.length - skipped.length,
        failed: failures.length + (outcome.trouble === undefined ? 0 : 1),
        skipped: skipped.length,
      };
      totals.passed += counts.passed;
      totals.failed += counts.failed;
      totals.skipped += counts.skipped;
      skips.push(...skipped.map(({ name, skipped }) => `${file}: ${name} (${skipped || "no reason given"})`));
      options.print(`${counts.failed === 0 ? "ok    " : "FAILED"} ${file}: ${closingLine(counts)}, ${seconds} s`);
      for (const { name, line, error } of failures) options.print(indent(`${file}:${line} ${name}\n${error}`));
      if (outcome.trouble !== undefined) options.print(indent(outcome.trouble));
      if (counts.failed > 0 && outcome.output !== "") options.print(indent(`printed by ${file}:\n${outcome.output}`));
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, worker));
  if (skips.length > 0) options.print(`skipped:\n${skips.sort().map(indent).join("\n")}`);
  return totals;
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}

async function runFile({ root, fileTimeoutMs }: RunOptions, file: string): Promise<FileOutcome> {
  const folder = mkdtempSync(join(tmpdir(), "cairn-tests-"));
  try {
    const recordsFile = join(folder, "records.jsonl");
    const child = spawn(
      process.execPath,
      [
        `--test-reporter=${join(import.meta.dirname, "test-reporter.ts")}`,
        `--test-reporter-destination=${recordsFile}`,
        "--disable-warning=ExperimentalWarning",
        file,
      ],
      { cwd: root, stdio: ["ignore", "pipe", "pipe"] },
    );
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        output = (output + text).slice(-20_000);
      });
    const overdue = setTimeout(() => child.kill("SIGKILL"), fileTimeoutMs);
    const closed = once(child, "close");
    const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
    clearTimeout(overdue);
    await Promise.race([closed, setTimeoutAsync(outputGraceMs)]);
    child.stdout.destroy();
    child.stderr.destroy();
    const end = code ?? signal ?? 1;
    const records = readRecords(recordsFile);
    return { records, output: output.trimEnd(), ...troubleOf(end, records, fileTimeoutMs) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readRecords(file: string): readonly TestRecord[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return [];
  }
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as TestRecord);
}

/** What went wrong beside the tests themselves. */
function troubleOf(
  end: number | NodeJS.Signals,
  records: readonly TestRecord[],
  fileTimeoutMs: number,
): { readonly trouble?: string } {
  if (end === "SIGKILL")
    return {
      trouble: `the file was killed, or had not ended after ${fileTimeoutMs / 1_000} s: a test hangs or leaves something open`,
    };
  if (end !== 0 && !records.some((record) => record.error !== undefined))
    return { trouble: `the file ended with ${end}, which no test explains` };
  return records.length === 0 ? { trouble: "the file holds no test" } : {};
}
