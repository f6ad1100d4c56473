#!/usr/bin/env -S node --max-semi-space-size=2
/**
 * cairn-fleet: reads the settings, starts the fleet, reports, waits for the open receipts, stops. The flag above (a young generation of
 * 2 MB in place of 16) saves 15,000 nodes some 110 MB.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Network, parseNetwork } from "@cairn/protocol";
import { LocalnetFault } from "./fault.ts";
import { startFleet } from "./fleet/fleet.ts";
import { openJournal } from "./fleet/journal.ts";
import { fleetRoster } from "./fleet/keys.ts";
import type { Login } from "./fleet/node.ts";
import { intervalLine, summarise, summaryLines } from "./fleet/report.ts";
import { fleetUsage, parseFleetSettings, type RosterSettings, type RunSettings } from "./fleet/settings.ts";

const interruptedExit = 130;
const lostExit = 1;
/** Files that the process holds beside a socket per node. */
const sparedFiles = 64;

function refused(message: string, remedy: string, cause?: unknown): LocalnetFault {
  return new LocalnetFault("setting-refused", message, remedy, { cause });
}

function readNamed(setting: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw refused(`--${setting} ${file}: ${(cause as Error).message}`, "name a file that can be read", cause);
  }
}

function readNetwork(file: string): Network {
  const network = parseNetwork(readNamed("network", file));
  if (network.ok) return network.value;
  throw refused(`--network ${file}: ${network.rejection.detail}`, "take the network.json that the coordinator wrote");
}

/** Looked at anew for every connection: passwords may be turned over while the fleet runs. */
function loginsIn(folder: string): (nodeId: string) => Login {
  return (nodeId) => {
    const file = join(folder, `${nodeId}.json`);
    const remedy = "make credentials for every node of the roster";
    let login: Partial<Login>;
    try {
      login = JSON.parse(readFileSync(file, "utf8")) as Partial<Login>;
    } catch (cause) {
      throw refused(`--credentials: ${(cause as NodeJS.ErrnoException).code ?? "no JSON"} in ${file}`, remedy, cause);
    }
    const { username = nodeId, password } = login;
    if (typeof username === "string" && typeof password === "string") return { username, password };
    throw refused(`--credentials: ${file} holds no password in text`, remedy);
  };
}

/** A socket per node must fit into what the process may open. */
function checkFiles(nodes: number): void {
  // Looking up the names of interfaces can take seconds.
  Object.assign(process.report, { excludeNetwork: true });
  const report = process.report.getReport() as { userLimits?: { open_files?: { soft?: number | string } } };
  const allowed = Number(report.userLimits?.open_files?.soft);
  if (allowed < nodes + sparedFiles)
    throw refused(
      `--nodes ${nodes}: this process may open ${allowed} files, a connection is one`,
      `raise the limit first: ulimit -n ${nodes + sparedFiles}`,
    );
}

function writeRoster({ nodes, seed, operators, out, json }: RosterSettings): number {
  try {
    writeFileSync(out, `${JSON.stringify({ nodes: fleetRoster(seed, nodes, operators) }, null, 2)}\n`);
  } catch (cause) {
    throw refused(`--out ${out}: ${(cause as Error).message}`, "name a file that can be written", cause);
  }
  if (json) console.log(JSON.stringify({ nodes, seed, operators, out }));
  else {
    console.log(`${nodes} simulated nodes of ${operators} operators are in ${out}`);
    console.log(
      `next: cairn-coordinator --roster ${out} ..., then cairn-fleet run --nodes ${nodes} --seed ${seed} ...`,
    );
  }
  return 0;
}

async function run(settings: RunSettings): Promise<number> {
  const { shape, durationMs, settleMs, reportMs, window, keepaliveSeconds, verifiedShare, boot } = settings;
  const say = (line: string) => (settings.json ? console.error(line) : console.log(line));
  const network = readNetwork(settings.network);
  const ca = settings.ca === undefined ? undefined : readNamed("ca", settings.ca);
  const login = settings.credentials === undefined ? undefined : loginsIn(settings.credentials);
  checkFiles(shape.nodes);
  const asked = { signals: 0, wake: () => {} };
  const stopAsked = new Promise<"stop">((done) => {
    asked.wake = () => done("stop");
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => {
      asked.signals += 1;
      asked.wake();
    });
  const journal = settings.journal === undefined ? undefined : openJournal(settings.journal);

  const startedAt = performance.now();
  const fleet = await startFleet({
    ...{ shape, network, brokers: settings.brokers, window, keepaliveSeconds, verifiedShare },
    ...(ca ? { ca } : {}),
    ...(login ? { login } : {}),
    ...(journal ? { journal } : {}),
    ...(boot === undefined ? {} : { boot }),
  });
  const elapsed = () => performance.now() - startedAt;
  say(
    `${shape.nodes} nodes of seed ${shape.seed} join network ${network.network}; their keys took ${Math.round(elapsed())} ms`,
  );
  const reporting = setInterval(() => say(intervalLine(fleet.interval(), elapsed())), reportMs);
  let limit: NodeJS.Timeout | undefined;
  const over = new Promise<"over">((done) => {
    if (durationMs !== undefined) limit = setTimeout(() => done("over"), durationMs);
  });
  const outcome = await Promise.race([stopAsked, over]);
  clearTimeout(limit);
  say(`no more batches are made; waiting at most ${settleMs / 1_000} s for open receipts`);
  const [signals, startedSettling] = [asked.signals, performance.now()];
  while (asked.signals === signals && performance.now() - startedSettling < settleMs)
    if ((await fleet.settle(Math.min(250, settleMs))).backlogBatches === 0) break;
  const summary = summarise(await fleet.settle(0), elapsed() / 1_000);
  clearInterval(reporting);
  await fleet.stop();
  journal?.close();
  for (const line of summaryLines(summary)) say(line);
  if (settings.json) console.log(JSON.stringify(summary));
  if (outcome === "stop" && durationMs !== undefined) return interruptedExit;
  return summary.readingsLost > 0 ? lostExit : 0;
}

async function main(): Promise<number> {
  const settings = parseFleetSettings(process.argv.slice(2), process.cwd());
  if (settings === undefined) console.log(fleetUsage());
  else return settings.command === "roster" ? writeRoster(settings) : run(settings);
  return 0;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    if (!(error instanceof LocalnetFault)) throw error;
    console.error(`${error.message}\n${error.remedy}`);
    process.exit(error.exitCode);
  },
);
