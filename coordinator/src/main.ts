#!/usr/bin/env node
/** cairn-coordinator: opens the edges, runs the pipeline, stops in reverse order on SIGTERM. Other commands have a file each. */
import { createPublicKey } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { addressOfKey, type NetworkDescriptor, type Result } from "@cairn/protocol";
import { type Logger, pino } from "pino";
import { CoordinatorFault, type FaultCode } from "./fault.ts";
import type { Founding, Ledger } from "./model.ts";
import { startPipeline } from "./pipeline.ts";
import { type CoordinatorSettings, parseSettings, usage } from "./settings.ts";
import { foundingIn, isPostgres, type LedgerAddress, openLedger } from "./store/ledger.ts";
import { parseDeployment } from "./validate/deployment.ts";
import { parseRoster } from "./validate/roster.ts";
import { type Chain, openChain } from "./wire/chain-rpc.ts";
import { coordinatorKey, readInput, readSecret, secp256k1Key, writeDurably } from "./wire/files.ts";
import { openBroker } from "./wire/open-broker.ts";

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

async function run(args: readonly string[]): Promise<void> {
  const settings = parseSettings(args);
  if (!settings) return void process.stdout.write(usage());
  const log = pino({ base: { program: "cairn-coordinator", replica: settings.replica } });

  mkdirSync(settings.data, { recursive: true, mode: 0o700 });
  const roster = unwrap(parseRoster(readInput(settings.roster, "roster")), settings.roster);
  const key = coordinatorKey(join(settings.data, "coordinator.key"));
  const verifierKey = settings.verifierKey ? secp256k1Key(settings.verifierKey, "verifier's key") : undefined;
  const verifier = verifierKey && { address: addressOfKey(verifierKey), key: verifierKey };
  const chain = chainOf(settings);
  const address: LedgerAddress = {
    url: settings.ledger,
    ...(settings.ledgerPasswordFile
      ? { password: readSecret(settings.ledgerPasswordFile, "database's password").trim() }
      : {}),
  };
  const { founding, ledger } = await openNetwork(settings, address, chain, log);
  if (verifier && !founding.verifiers.includes(verifier.address))
    throw new CoordinatorFault(
      "setting-refused",
      `--verifier-key is that of ${verifier.address}, which the contract's verifier set does not hold`,
    );
  await ledger.enrol(roster, Date.now());

  const { network, chainId, rewards, verifiers, time } = founding;
  const descriptor: NetworkDescriptor = {
    network,
    chainId,
    rewards,
    verifiers: [...verifiers],
    coordinatorKey: createPublicKey(key).export({ format: "pem", type: "spki" }).toString(),
    ...time,
  };
  writeDurably(join(settings.data, "network.json"), `${JSON.stringify(descriptor, null, 2)}\n`);

  const pipeline = await startPipeline({
    founding,
    roles: settings.roles,
    replica: settings.replica,
    ledger,
    coordinatorKey: key,
    verifier,
    chain,
    software,
    openBroker: (listener, now, takesIn) =>
      openBroker({ settings, founding, now, takesIn, random: Math.random, log }, listener),
    brokerKind: settings.broker.kind,
    dutyMs: settings.dutySeconds * 1000,
    listen: { host: settings.host, httpPort: settings.httpPort, webDir: settings.webDir },
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
    random: Math.random,
  });

  const { httpUrl: http, mqttPort } = pipeline;
  log.info({ http, mqttPort, roles: settings.roles, nodes: roster.length }, "ready");

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

function chainOf({ rpc, deployment: file, settlementKey }: CoordinatorSettings): Chain | undefined {
  if (!rpc || !file) return undefined;
  const deployment = unwrap(parseDeployment(readInput(file, "deployment")), file);
  const key = settlementKey ? `0x${secp256k1Key(settlementKey, "settlement key").toString("hex")}` : undefined;
  return openChain({ rpc, ...deployment, ...(key ? { settlementKey: key } : {}) });
}

/** The ledger of the network that the settings describe: the one that was founded there, or a new one on the chain's terms. */
async function openNetwork(
  settings: CoordinatorSettings,
  address: LedgerAddress,
  chain: Chain | undefined,
  log: Logger,
): Promise<{ founding: Founding; ledger: Ledger }> {
  const founded = await foundingIn(address);
  if (!chain) {
    if (founded) return { founding: founded, ledger: await openLedger(address, asSet(founded, settings)) };
    throw new CoordinatorFault(
      "ledger-unfounded",
      "the ledger holds no network yet: a replica with --rpc and --deployment founds it",
    );
  }
  const founding = asSet(await termsOf(chain, founded, log), settings);
  if (!founded && (await chain.lastEpoch()) > 0)
    throw new CoordinatorFault(
      "chain-foreign",
      `the contract ${founding.rewards} has epochs already, but the ledger is new: bring the ledger back, or deploy anew`,
    );
  try {
    return { founding, ledger: await openLedger(address, founding) };
  } catch (cause) {
    // Two replicas that start together found the same network: the second one takes the genesis of the first.
    const other = founded || !isPostgres(address.url) ? undefined : await foundingIn(address);
    if (!other || other.time.genesisAt === founding.time.genesisAt) throw cause;
    const adopted = { ...founding, time: { ...founding.time, genesisAt: other.time.genesisAt } };
    return { founding: adopted, ledger: await openLedger(address, adopted) };
  }
}

/** What the contract says; what the ledger says where the chain does not answer. */
async function termsOf(chain: Chain, founded: Founding | undefined, log: Logger): Promise<Founding> {
  const time = founded?.time ?? { genesisAt: Math.ceil(Date.now() / 1000) * 1000, slotMs: 0, slotsPerEpoch: 0 };
  try {
    const { token, verifiers, epochBudget } = await chain.terms();
    const parameters = { epochBudget, workShareBps: 0, uptimeFloorBps: 0, evidenceWeightBps };
    const { chainId, rewards } = chain;
    return { network: "", chainId, rewards, token, verifiers, time, parameters };
  } catch (cause) {
    if (cause instanceof CoordinatorFault || !founded) throw cause;
    log.warn({ cause: String(cause) }, "the chain does not answer: settlement waits, everything else goes on");
    return founded;
  }
}

/** The terms as the settings have them; a ledger founded on others refuses to open. */
function asSet(terms: Founding, settings: CoordinatorSettings): Founding {
  const { network, slotSeconds, slotsPerEpoch, workShareBps, uptimeFloorBps } = settings;
  return {
    ...terms,
    network,
    time: { ...terms.time, slotMs: slotSeconds * 1000, slotsPerEpoch },
    parameters: { ...terms.parameters, workShareBps, uptimeFloorBps, evidenceWeightBps },
  };
}

/** A refused input file ends the start with its name, the reason and the code. */
function unwrap<T>(result: Result<T>, path: string): T {
  if (result.ok) return result.value;
  throw new CoordinatorFault("setting-refused", `${path}: ${result.rejection.detail} (${result.rejection.code})`);
}

/** Resolves to the exit code; undefined where the program goes on. */
async function dispatch([command = "", ...args]: readonly string[]): Promise<number | undefined> {
  switch (command) {
    case "ledger":
      return (await import("./ledger-command.ts")).ledgerCommand(args);
    case "access":
      return (await import("./access-command.ts")).accessCommand(args);
    case "size":
      return (await import("./size-command.ts")).sizeCommand(args);
    case "run":
      await run(args);
      return undefined;
    default:
      if (command !== "" && !command.startsWith("-"))
        throw new CoordinatorFault("setting-refused", `there is no command ${command}; --help lists them`);
      await run(process.argv.slice(2));
      return undefined;
  }
}

dispatch(process.argv.slice(2)).then(
  (code) => {
    if (code !== undefined) process.exitCode = code;
  },
  (error: unknown) => {
    const fault = error as Error & { code?: string };
    process.stderr.write(`cairn-coordinator: ${fault.message}${fault.code ? ` (${fault.code})` : ""}\n`);
    process.exit(refusals.has(fault.code ?? "") ? refusedExit : 1);
  },
);
