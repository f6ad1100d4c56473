#!/usr/bin/env node
/** cairn-coordinator: opens the edges, runs the pipeline, stops in reverse order on SIGTERM. */
import { createPublicKey } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { addressOfKey, type NetworkDescriptor, type Result } from "@cairn/protocol";
import { pino } from "pino";
import { CoordinatorFault, type FaultCode } from "./fault.ts";
import type { Founding } from "./model.ts";
import { startPipeline } from "./pipeline.ts";
import { parseSettings, usage } from "./settings.ts";
import { foundingOf, openSqliteLedger } from "./store/sqlite/sqlite-ledger.ts";
import { parseDeployment } from "./validate/deployment.ts";
import { parseRoster } from "./validate/roster.ts";
import { openChain } from "./wire/chain-rpc.ts";
import { coordinatorKey, readInput, secp256k1Key, writeDurably } from "./wire/files.ts";

const software = "cairn-coordinator 0.1.0";
const day = 86_400_000;
/** What evidence of each level counts; the stronger the key is held, the more. */
const evidenceWeightBps = { software: 5_000, "secure-element": 8_000, "tpm-measured": 10_000 };
/** Exit codes: 1 the world is broken, 2 a setting or an input file was refused. */
const refusedExit = 2;
const refusals: ReadonlySet<string> = new Set<FaultCode>([
  "setting-refused",
  "file-missing",
  "key-exposed",
  "key-malformed",
]);

async function main(): Promise<void> {
  const settings = parseSettings(process.argv.slice(2));
  if (!settings) return void process.stdout.write(usage());
  const log = pino({ base: { program: "cairn-coordinator" } });

  mkdirSync(settings.data, { recursive: true, mode: 0o700 });
  const deployment = unwrap(parseDeployment(readInput(settings.deployment, "deployment")), settings.deployment);
  const roster = unwrap(parseRoster(readInput(settings.roster, "roster")), settings.roster);
  const key = coordinatorKey(join(settings.data, "coordinator.key"));
  const verifierKey = secp256k1Key(settings.verifierKey, "verifier's key");
  const verifier = { address: addressOfKey(verifierKey), key: verifierKey };
  const settlementKey = `0x${secp256k1Key(settings.settlementKey, "settlement key").toString("hex")}`;
  const chain = openChain({ rpc: settings.rpc, ...deployment, settlementKey });
  const ledgerPath = join(settings.data, "ledger.sqlite");
  const founded = foundingOf(ledgerPath);
  const terms = await chain.terms().catch((cause: unknown) => {
    if (cause instanceof CoordinatorFault || !founded) throw cause;
    log.warn({ rpc: settings.rpc }, "the chain does not answer: settlement waits, everything else goes on");
    return { ...founded, epochBudget: founded.parameters.epochBudget };
  });
  const { token, verifiers } = terms;
  if (!verifiers.includes(verifier.address))
    throw new CoordinatorFault(
      "setting-refused",
      `--verifier-key is that of ${verifier.address}, which the contract's verifier set does not hold`,
    );

  if (!founded && (await chain.lastEpoch()) > 0)
    throw new CoordinatorFault(
      "chain-foreign",
      `the contract ${deployment.rewards} has epochs already, but ${ledgerPath} is new: bring the ledger back, or deploy anew`,
    );

  const { network, slotSeconds, slotsPerEpoch, workShareBps, uptimeFloorBps } = settings;
  const { chainId, rewards } = deployment;
  const { epochBudget } = terms;
  const time = {
    genesisAt: founded?.time.genesisAt ?? Math.ceil(Date.now() / 1000) * 1000,
    slotMs: slotSeconds * 1000,
    slotsPerEpoch,
  };
  const founding: Founding = {
    network,
    chainId,
    rewards,
    token,
    verifiers,
    time,
    parameters: { workShareBps, uptimeFloorBps, evidenceWeightBps, epochBudget },
  };
  const ledger = openSqliteLedger(ledgerPath, founding);
  await ledger.enrol(roster, Date.now());

  const pipeline = await startPipeline({
    founding,
    ledger,
    chain,
    coordinatorKey: key,
    verifier,
    software,
    listen: {
      host: settings.host,
      mqttPort: settings.mqttPort,
      httpPort: settings.httpPort,
      webDir: settings.webDir,
    },
    retention: {
      readingsMs: settings.keepReadingsDays * day,
      evidenceMs: settings.keepEvidenceDays * day,
      rejections: settings.keepRejections,
    },
    log,
    broken(err) {
      log.fatal({ err }, "a judging thread died");
      process.exit(1);
    },
    now: Date.now,
    random: Math.random,
  });

  const descriptor: NetworkDescriptor = {
    network,
    chainId,
    rewards,
    verifiers: [...verifiers],
    coordinatorKey: createPublicKey(key).export({ format: "pem", type: "spki" }).toString(),
    ...time,
  };
  writeDurably(join(settings.data, "network.json"), `${JSON.stringify(descriptor, null, 2)}\n`);
  log.info({ http: pipeline.httpUrl, mqttPort: pipeline.mqttPort, nodes: roster.length }, "ready");

  process.on("SIGHUP", () => {
    Promise.resolve()
      .then(() => pipeline.enrol(unwrap(parseRoster(readInput(settings.roster, "roster")), settings.roster)))
      .then(() => log.info("roster read again"))
      .catch((err: unknown) => log.error({ err }, "the roster was refused, the old one stays"));
  });
  let stopping = false;
  const stop = (reason: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ reason }, "stopping");
    pipeline.stop().then(
      () => process.exit(0),
      (err: unknown) => {
        log.error({ err }, "did not stop cleanly; what was acknowledged is durable all the same");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => stop("SIGINT"));
  if (settings.exitWithParent) process.stdin.on("end", () => stop("parent gone")).resume();
}

/** A refused input file ends the start with its name, the reason and the code. */
function unwrap<T>(result: Result<T>, path: string): T {
  if (result.ok) return result.value;
  throw new CoordinatorFault("setting-refused", `${path}: ${result.rejection.detail} (${result.rejection.code})`);
}

main().catch((error: unknown) => {
  const fault = error as Error & { code?: string };
  process.stderr.write(`cairn-coordinator: ${fault.message}\n`);
  process.exit(refusals.has(fault.code ?? "") ? refusedExit : 1);
});
