/**
 * npm run test:services [-- PATTERN...]: the tests against real programs that npm does not bring. What is missing of them is
 * installed by apt-get first. Ends like npm test.
 */
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { closingLine, findTests, runTests, testFolders } from "./test-run.ts";

/** Debian packages the suites use, with the program each brings; `below`: folders with a folder per version, where it is not on the path. */
const neighbours: readonly { readonly program: string; readonly packageName: string; readonly below?: string }[] = [
  { program: "socat", packageName: "socat" },
  { program: "chromium", packageName: "chromium" },
  { program: "initdb", packageName: "postgresql", below: "/usr/lib/postgresql" },
  { program: "mosquitto", packageName: "mosquitto" },
  { program: "nats-server", packageName: "nats-server" },
  { program: "ip", packageName: "iproute2" },
  { program: "iptables", packageName: "iptables" },
  { program: "faketime", packageName: "faketime" },
];

function isThere(program: string, below?: string): boolean {
  const versions = below === undefined || !existsSync(below) ? [] : readdirSync(below);
  const folders = versions.map((version) => join(below ?? "", version, "bin"));
  return [...(process.env.PATH ?? "").split(delimiter), ...folders].some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Installs what is missing; returns why it could not, or nothing. */
function install(packages: readonly string[]): string | undefined {
  const names = packages.join(" ");
  const remedy = `install it by hand, then run this again: apt-get install ${names}`;
  if (!isThere("apt-get")) return `${names} is missing and there is no apt-get here; ${remedy}`;
  const asRoot = process.getuid?.() === 0;
  if (!asRoot && !isThere("sudo")) return `${names} is missing and only root may install it; ${remedy}`;
  console.log(`installing ${names} with apt-get`);
  for (const args of [["update"], ["install", "--yes", "--no-install-recommends", ...packages]]) {
    const command = [
      ...(asRoot ? [] : ["sudo", "--non-interactive"]),
      "env",
      "DEBIAN_FRONTEND=noninteractive",
      "apt-get",
      ...args,
    ];
    const [program = "", ...rest] = command;
    const { status, stdout, stderr } = spawnSync(program, rest, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
    if (status !== 0) return `${stdout}${stderr}\n${command.join(" ")} ended with code ${status}; ${remedy}`;
  }
  return undefined;
}

const root = dirname(import.meta.dirname);
const missing = neighbours
  .filter(({ program, below }) => !isThere(program, below))
  .map(({ packageName }) => packageName);
const trouble = missing.length === 0 ? undefined : install(missing);
if (trouble !== undefined) {
  console.error(trouble);
  process.exitCode = 2;
} else {
  const files = findTests(root, testFolders(root), "services", process.argv.slice(2));
  if (files.length === 0) console.log(`no test file fits ${process.argv.slice(2).join(" ")}`);
  const totals = await runTests({ root, files, concurrency: 1, fileTimeoutMs: 1_200_000, print: console.log });
  console.log(closingLine(totals));
  process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : 0;
}
