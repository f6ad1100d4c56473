/**
 * npm run bench -- start [--runs N]: what a first start costs with the default settings, medians over the runs.
 *
 *   first_epoch_s       seconds from the start command, packages installed, to the line of the first settled epoch
 *   node_rss_mb         resident memory of the largest node process then
 *   coordinator_rss_mb  that of the coordinator
 *   stop_s              seconds from SIGINT until no process of the network is left
 *
 * Memory is VmRSS of /proc/PID/status in MB of 1,000,000 bytes. Baseline: a Node process that does nothing.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { median } from "./median.ts";

const root = dirname(import.meta.dirname);
const firstEpochWithinMs = 240_000;
const stopWithinMs = 20_000;

type Figures = { first_epoch_s: number; node_rss_mb: number; coordinator_rss_mb: number; stop_s: number };

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Resident memory in MB. */
function residentMb(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(join("/proc", `${pid}`, "status"), "utf8"))?.[1];
  return (Number(kib) * 1_024) / 1e6;
}

/** How many processes name the folder in their command line. */
function processesOf(folder: string): number {
  return readdirSync("/proc").filter((pid) => {
    const file = join("/proc", pid, "cmdline");
    try {
      return /^\d+$/.test(pid) && existsSync(file) && readFileSync(file, "utf8").includes(folder);
    } catch {
      return false;
    }
  }).length;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Resolves when a line of the output fits; rejects when the process ends before. */
function lineOf(child: ChildProcess, pattern: RegExp): Promise<void> {
  return new Promise((done, failed) => {
    let text = "";
    const overdue = setTimeout(() => failed(new Error(`no line ${pattern} in time:\n${text}`)), firstEpochWithinMs);
    child.stdout?.setEncoding("utf8").on("data", (more: string) => {
      text += more;
      if (!pattern.test(text)) return;
      clearTimeout(overdue);
      done();
    });
    child.once("exit", (code) => failed(new Error(`npm start ended with code ${code}:\n${text}`)));
  });
}

async function measure(): Promise<Figures> {
  const data = mkdtempSync(join(tmpdir(), "cairn-bench-start-"));
  const [chain, mqtt, web] = [await freePort(), await freePort(), await freePort()];
  const ports = ["--chain-port", `${chain}`, "--mqtt-port", `${mqtt}`, "--web-port", `${web}`];
  const startedAt = performance.now();
  const child = spawn("npm", ["start", "--silent", "--", "--data", data, ...ports], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await lineOf(child, /^epoch \d+ settled/m);
    const firstEpochMs = performance.now() - startedAt;
    const record = JSON.parse(readFileSync(join(data, "run.json"), "utf8")) as {
      launcher: { pid: number };
      processes: { name: string; pid: number }[];
    };
    const memory = new Map(record.processes.map(({ name, pid }) => [name, residentMb(pid)]));
    const nodes = [...memory].filter(([name]) => !["chain", "coordinator"].includes(name)).map(([, mb]) => mb);
    const stoppingAt = performance.now();
    process.kill(record.launcher.pid, "SIGINT");
    while (processesOf(data) > 0 && performance.now() - stoppingAt < stopWithinMs) await sleep(20);
    return {
      first_epoch_s: firstEpochMs / 1_000,
      node_rss_mb: Math.max(...nodes),
      coordinator_rss_mb: memory.get("coordinator") ?? Number.NaN,
      stop_s: (performance.now() - stoppingAt) / 1_000,
    };
  } finally {
    child.kill("SIGTERM");
    rmSync(data, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

/** Resident memory of a Node process that has started and does nothing. */
async function bareNodeMb(): Promise<number> {
  const child = spawn(process.execPath, ["-e", "console.log('up'); setInterval(() => {}, 1000)"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  await sleep(1_000);
  const mb = residentMb(child.pid ?? 0);
  child.kill();
  return mb;
}

const { values } = parseArgs({ options: { runs: { type: "string", default: "3" } } });
const runs = Number(values.runs);
if (!Number.isInteger(runs) || runs < 1)
  throw new RangeError(`--runs ${values.runs}: a whole number from 1 on is needed`);
const bare: number[] = [];
const measured: Figures[] = [];
for (let run = 1; run <= runs; run += 1) {
  bare.push(await bareNodeMb());
  const figures = await measure();
  measured.push(figures);
  console.log(
    `run ${run} of ${runs}: first epoch after ${rounded(figures.first_epoch_s)} s, node ${rounded(figures.node_rss_mb)} MB, ` +
      `coordinator ${rounded(figures.coordinator_rss_mb)} MB, stopped in ${rounded(figures.stop_s)} s`,
  );
}
const medianOf = (name: keyof Figures) => rounded(median(measured.map((figures) => figures[name])));
const figures: Figures = {
  first_epoch_s: medianOf("first_epoch_s"),
  node_rss_mb: medianOf("node_rss_mb"),
  coordinator_rss_mb: medianOf("coordinator_rss_mb"),
  stop_s: medianOf("stop_s"),
};
console.log(JSON.stringify({ bench: "start", figures, baseline: { bare_node_rss_mb: rounded(median(bare)) }, runs }));
