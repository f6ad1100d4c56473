/**
 * Starts one of the repository's TypeScript programs from a fresh clone, under any Node from version 20 on:
 *
 *   node scripts/launch.mjs [--build] ENTRY [arguments...]
 *
 * installs the packages of package-lock.json when they are missing or stale, then runs ENTRY under the Node that the lock
 * file pins; --build brings the generated parts (contracts, web page) up to date before. Arguments, stdio, signals and the exit
 * code are the program's own; what this file says itself goes to stderr.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import module from "node:module";
import { constants } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const lockFile = join(root, "package-lock.json");
const installedLockFile = join(root, "node_modules", ".package-lock.json");
const stampFile = join(root, "node_modules", ".cairn-install");
const pinnedNode = join(root, "node_modules", "node", "bin", "node");
/** Compiled and type-stripped code, for every program started from here: they start sooner, and need some 20 MB less without the stripper. */
const compileCache = join(root, "node_modules", ".cache", "cairn-compile");
const handedOn = ["SIGINT", "SIGTERM", "SIGHUP"];

/** Identifies an installation: another lock file or another kind of machine needs another one. */
function stampOf(lockText) {
  return createHash("sha256").update(`${process.platform} ${process.arch}\n`).update(lockText).digest("hex");
}

/**
 * Whether node_modules holds what the lock file names. The stamp left by the last check answers at once; without it npm's own
 * record of what it installed is compared package by package, so that an `npm install` by hand is recognised too.
 */
function installed(lockText) {
  if (!existsSync(pinnedNode) || !existsSync(installedLockFile)) return false;
  const stamp = stampOf(lockText);
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return true;
  const present = JSON.parse(readFileSync(installedLockFile, "utf8")).packages ?? {};
  const fits = Object.entries(JSON.parse(lockText).packages ?? {}).every(
    ([path, wanted]) =>
      !path.includes("node_modules/") || wanted.link || wanted.optional || present[path]?.version === wanted.version,
  );
  if (fits) writeFileSync(stampFile, stamp);
  return fits;
}

/** Runs npm ci; its output is shown only if it fails. Throws an Error with the remedy in its message. */
async function install(lockText) {
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith("js") ? [process.execPath, [npm]] : ["npm", []];
  const args = [...first, "ci", "--include=dev", "--include=optional", "--no-audit", "--no-fund"];
  const startedAt = Date.now();
  const seconds = () => Math.round((Date.now() - startedAt) / 1000);
  const onTerminal = process.stderr.isTTY === true;
  process.stderr.write("installing packages (npm ci), once per package-lock.json\n");
  const progress = setInterval(
    () =>
      process.stderr.write(
        onTerminal ? `\rinstalling packages: ${seconds()} s ` : `installing packages: ${seconds()} s\n`,
      ),
    onTerminal ? 1_000 : 15_000,
  );
  let output = "";
  try {
    const code = await ended(spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] }), (text) => {
      output += text;
    });
    if (code !== 0)
      throw new Error(
        `npm ci ended with code ${code}. Its output is above; when the cause is removed, run the same command again`,
      );
  } catch (error) {
    process.stderr.write(`\n${output}`);
    throw error;
  } finally {
    clearInterval(progress);
  }
  if (!existsSync(pinnedNode))
    throw new Error(
      `npm ci left no ${pinnedNode}: install scripts may be switched off (npm config get ignore-scripts)`,
    );
  writeFileSync(stampFile, stampOf(lockText));
  process.stderr.write(`${onTerminal ? "\r" : ""}packages installed in ${seconds()} s\n`);
}

/** Resolves to the exit code (128 + n for signal n), hands signals on meanwhile, and output if the child's is piped. */
function ended(child, onOutput) {
  const handOn = (signal) => child.kill(signal);
  for (const signal of handedOn) process.on(signal, handOn);
  child.stdout?.setEncoding("utf8").on("data", onOutput);
  child.stderr?.setEncoding("utf8").on("data", onOutput);
  return new Promise((done, failed) => {
    child.once("error", (cause) => failed(new Error(`cannot run ${child.spawnfile}: ${cause.message}`, { cause })));
    child.once("close", (code, signal) => done(code ?? 128 + (constants.signals[signal] ?? 0)));
  }).finally(() => {
    for (const signal of handedOn) process.off(signal, handOn);
  });
}

/** A channel to the child lets it notice when this process is killed outright. */
function run(entry, args) {
  return ended(spawn(pinnedNode, [entry, ...args], { stdio: ["inherit", "inherit", "inherit", "ipc"] }), () => {});
}

/** What to do: an exit code, or the program to go on with inside this process. */
async function prepare() {
  const args = process.argv.slice(2);
  const build = args[0] === "--build";
  if (build) args.shift();
  const [entry, ...rest] = args;
  if (entry === undefined) {
    process.stderr.write("usage: node scripts/launch.mjs [--build] ENTRY [arguments...]\n");
    return { code: 2 };
  }
  const lockText = readFileSync(lockFile, "utf8");
  if (!installed(lockText)) await install(lockText);
  process.env.NODE_COMPILE_CACHE ??= compileCache;
  module.enableCompileCache?.(process.env.NODE_COMPILE_CACHE);
  if (build) {
    const code = await run(join(root, "scripts", "build.ts"), ["--quiet"]);
    if (code !== 0) return { code };
  }
  const program = resolve(root, entry);
  if (realpathSync(process.execPath) !== realpathSync(pinnedNode)) return { code: await run(program, rest) };
  process.argv = [process.argv[0], program, ...rest];
  return { program };
}

const next = await prepare().catch((error) => {
  process.stderr.write(`${error.message}\n`);
  return { code: 1 };
});
if (next.program === undefined) process.exitCode = next.code;
else await import(pathToFileURL(next.program).href);
