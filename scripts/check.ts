/**
 * npm run check: format and lint, types, and the architecture, without running the tests. The last line is
 * "N passed, N failed, N skipped", counted in checks.
 */
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { closingLine, runTests } from "./test-run.ts";

const root = dirname(import.meta.dirname);
const commands: readonly { readonly name: string; readonly program: string; readonly args: readonly string[] }[] = [
  { name: "format and lint", program: "biome", args: ["check"] },
  { name: "types", program: "tsc", args: ["--project", "."] },
  { name: "types of the web page", program: "tsc", args: ["--project", "dashboards/web"] },
];

const totals = { passed: 0, failed: 0, skipped: 0 };
for (const { name, program, args } of commands) {
  const startedAt = performance.now();
  const { status, stdout, stderr } = spawnSync(join(root, "node_modules", ".bin", program), args, {
    cwd: root,
    encoding: "utf8",
  });
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  console.log(`${status === 0 ? "ok    " : "FAILED"} ${name}: ${program} ${args.join(" ")}, ${seconds} s`);
  if (status === 0) totals.passed += 1;
  else {
    totals.failed += 1;
    console.log(`${stdout}${stderr}`.trimEnd());
  }
}
const architecture = await runTests({
  root,
  files: ["scripts/architecture.test.ts"],
  concurrency: 1,
  fileTimeoutMs: 120_000,
  print: console.log,
});
const all = {
  passed: totals.passed + architecture.passed,
  failed: totals.failed + architecture.failed,
  skipped: totals.skipped + architecture.skipped,
};
console.log(closingLine(all));
process.exitCode = all.failed > 0 ? 1 : 0;
