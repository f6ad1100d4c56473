#!/usr/bin/env -S node --max-semi-space-size=1 --optimize-for-size
/**
 * cairn-node: opens the edges, runs the pipeline, stops in reverse order.
 *
 * What decides how much memory it takes is settled before its process begins, by whoever starts it: the two flags above (a young
 * generation of 1 MB instead of 16 MB; garbage collected after 5 MB instead of 30 MB), NODE_COMPILE_CACHE=FOLDER (no TypeScript is
 * stripped once that is filled, so the stripper is not loaded: some 20 MB less) and MALLOC_ARENA_MAX=1 (some 4 MB less).
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { BootId } from "@cairn/protocol";
import { pino } from "pino";
import { exitCodes, NodeFault } from "./fault.ts";
import type { Surroundings } from "./model.ts";
import { startNode } from "./pipeline.ts";
import { helpText, type Invocation, readInvocation, type SettingsOf } from "./settings.ts";
import { statusText, summarise } from "./store/summary.ts";
import { readBrokerCredentials } from "./wire/broker-credentials.ts";
import { createDeviceKey, readDeviceKey } from "./wire/device-key.ts";
import { awaitNetwork } from "./wire/network-file.ts";

// mqtt-packet keeps one small buffer for every length it has ever written, each cut from a slab of Buffer's pool and so holding the
// whole slab: with slabs of 64 KiB a node's memory grows to hundreds of MB over days.
Buffer.poolSize = 512;

const stopWithinMs = 3_000;
const statusEveryMs = 10_000;
const software = { name: "cairn-node", version: ownVersion() };

const surroundings: Surroundings = {
  now: Date.now,
  steadyNow: () => performance.now(),
  later(ms, task) {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  },
  random: Math.random,
};

function ownVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  return String((manifest as { version?: unknown }).version ?? "0.0.0");
}

async function run(settings: SettingsOf<"run">): Promise<void> {
  const output = pino.destination({ dest: 1, sync: true });
  // A log reader that went away does not stop the node.
  output.on("error", () => {});
  const log = pino({ level: settings["log-level"] }, output);
  const stopping = new AbortController();
  let fault: unknown;
  const stop = (reason: string) => {
    if (stopping.signal.aborted) return;
    log.info({ reason }, "stopping");
    setTimeout(() => {
      log.error({ withinMs: stopWithinMs }, "did not stop in time");
      process.exit(1);
    }, stopWithinMs).unref();
    stopping.abort();
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stop(signal));
  if (process.channel) process.on("disconnect", () => stop("the launcher's channel closed"));
  if (settings["exit-with-parent"]) {
    process.stdin.on("close", () => stop("standard input closed"));
    process.stdin.on("error", () => stop("standard input closed"));
    process.stdin.resume();
  }

  const key = readDeviceKey(settings.data);
  const credentialsFile = settings["broker-credentials"];
  // A file that cannot be used is said before anything starts.
  if (credentialsFile !== undefined) readBrokerCredentials(credentialsFile, key.nodeId);
  const node = await startNode({
    folder: resolve(settings.data),
    key,
    bootId: randomBytes(16).toString("hex") as BootId,
    brokers: settings.broker,
    ...(credentialsFile === undefined
      ? {}
      : { brokerCredentials: () => readBrokerCredentials(credentialsFile, key.nodeId) }),
    ...(settings.ca === undefined ? {} : { ca: readAuthority(settings.ca) }),
    ...(settings.serial === undefined ? {} : { serial: settings.serial }),
    baudRate: settings.baud,
    hostMs: settings["host-seconds"] * 1_000,
    batchMs: settings["batch-seconds"] * 1_000,
    batchReadings: settings["batch-readings"],
    capBytes: settings["store-mb"] * 1_000_000,
    profile: settings.profile,
    software,
    surroundings,
    log,
    broken(cause) {
      fault = new NodeFault(
        "store-unusable",
        `the edge store is damaged: ${cause}`,
        "Start again: it is then begun anew.",
        cause,
      );
      stop("the edge store is damaged");
    },
  });
  log.info({ nodeId: key.nodeId, key: key.uri, software: software.version, pid: process.pid }, "cairn-node started");
  const status = setInterval(() => log.info({ ...node.counts(), rssMb: rssMb() }, "status"), statusEveryMs);

  try {
    const network = await awaitNetwork(settings.network, surroundings, log, stopping.signal);
    if (network && !stopping.signal.aborted) {
      log.info({ network: network.network, broker: settings.broker }, "joining");
      node.join(network);
      await new Promise<void>((resolve) => stopping.signal.addEventListener("abort", () => resolve(), { once: true }));
    }
  } finally {
    clearInterval(status);
    await node.stop();
    log.info(node.counts(), "stopped");
  }
  if (fault) throw fault;
}

function readAuthority(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new NodeFault(
      "setting-refused",
      `--ca ${file} cannot be read: ${(cause as Error).message}`,
      "Name a PEM file.",
      cause,
    );
  }
}

function rssMb(): number {
  return Math.round(process.memoryUsage.rss() / 1e6);
}

/** Carries out one command line (without node and script); returns the exit code. */
async function runCommand(args: readonly string[]): Promise<number> {
  try {
    const invocation = readInvocation(args);
    await obey(invocation);
    return 0;
  } catch (cause) {
    if (cause instanceof NodeFault) {
      console.error(`cairn-node: ${cause.message}\n${cause.remedy}`);
      return exitCodes[cause.code];
    }
    console.error(cause);
    return 1;
  }
}

async function obey(invocation: Invocation): Promise<void> {
  switch (invocation.command) {
    case "help":
      console.log(helpText());
      return;
    case "version":
      console.log(`${software.name} ${software.version}`);
      return;
    case "key": {
      const { nodeId, publicKey } = createDeviceKey(invocation.settings.data);
      console.log(JSON.stringify({ nodeId, publicKey }));
      return;
    }
    case "status": {
      const summary = summarise(invocation.settings.data);
      console.log(invocation.settings.json ? JSON.stringify(summary) : statusText(summary));
      return;
    }
    case "run":
      return run(invocation.settings);
  }
}

process.exit(await runCommand(process.argv.slice(2)));
