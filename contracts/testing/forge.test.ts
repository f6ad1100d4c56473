import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { test } from "node:test";

const CONTRACTS = join(import.meta.dirname, "..");
const FORGE_PACKAGE = `@foundry-rs/forge-${process.platform}-${process.arch === "x64" ? "amd64" : process.arch}`;

type Outcome = { readonly status: string; readonly reason: string | null };
/** By suite (`test/X.t.sol:Name`), then by signature of the test. */
type Report = Readonly<Record<string, { readonly test_results: Readonly<Record<string, Outcome>> }>>;

function installedForge(): string | undefined {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${FORGE_PACKAGE}/package.json`)), "bin", "forge");
  } catch {
    return undefined;
  }
}

function runSuite(forge: string, ...options: readonly string[]): Report {
  const run = spawnSync(forge, ["test", "--json", "--suppress-successful-traces", ...options], {
    cwd: CONTRACTS,
    encoding: "utf8",
    maxBuffer: 256 * 1024 * 1024,
    // forge starts solc-wrapper.cjs by its first line, which takes `node` from the path.
    env: { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ""}` },
  });
  const report = run.stdout.split("\n").find((line) => line.startsWith("{"));
  if (report === undefined) {
    assert.fail(
      `forge gave no report (exit ${run.status}, ${run.error?.message ?? "ran"})\n${run.stdout}\n${run.stderr}`,
    );
  }
  return JSON.parse(report);
}

function filesLeftOut(report: Report): string[] {
  const ran = new Set(Object.keys(report).map((suite) => suite.slice(0, suite.lastIndexOf(":"))));
  return readdirSync(join(CONTRACTS, "test"))
    .filter((name) => name.endsWith(".t.sol"))
    .map((name) => `test/${name}`)
    .filter((file) => !ran.has(file));
}

const forge = installedForge();
const skip =
  forge === undefined ? `${FORGE_PACKAGE} is not installed: the Solidity tests cannot run on this platform` : false;

test("every Solidity test passes, and no test file is left out", { skip, timeout: 600_000 }, (context) => {
  assert.ok(forge !== undefined);
  let report = runSuite(forge);
  // `forge lint` fills the cache without test code; the next `forge test` then passes over those files in silence.
  if (filesLeftOut(report).length > 0) report = runSuite(forge, "--force");

  const outcomes = Object.entries(report).flatMap(([suite, { test_results }]) =>
    Object.entries(test_results).map(([name, outcome]) => ({ name: `${suite} ${name}`, ...outcome })),
  );
  const failed = outcomes.filter(({ status }) => status !== "Success");
  assert.deepEqual(
    failed.map(({ name, status, reason }) => `${status}: ${name}: ${reason ?? "no reason given"}`),
    [],
  );
  assert.deepEqual(filesLeftOut(report), []);
  assert.ok(outcomes.length > 0, "forge ran no test");
  context.diagnostic(`${outcomes.length} Solidity tests passed in ${Object.keys(report).length} suites`);
});
