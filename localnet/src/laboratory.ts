/**
 * The door of @cairn/localnet: a network whose parts are held by hand, for tests and benchmarks. The same programs as `npm start`
 * runs, started as processes on free ports in a folder of their own; each can be killed and started again at any moment.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Address, type Network, parseNetwork } from "@cairn/protocol";
import { anvilBinary, type Chain, chainId, type Deployment, openChain } from "./chain.ts";
import { awaitHealth, type CoordinatorClient, coordinatorClient } from "./coordinator.ts";
import { houseRoot, programFile } from "./house.ts";
import { deployerAccount, operatorAddresses, verifierAddress, writeSettlementKey } from "./keys.ts";
import { enrolNodes, type LocalNode, leanEnvironment, leanFlags, type RosterEntry } from "./nodes.ts";
import { host } from "./ports.ts";

export type LaboratoryPlan = {
  /** Nodes whose device keys the laboratory makes, each with the folder of a real node. */
  readonly nodes?: number;
  /** Keys that the caller holds: simulated nodes. */
  readonly simulated?: readonly Omit<RosterEntry, "operator">[];
  readonly slotSeconds?: number;
  readonly slotsPerEpoch?: number;
  /** Further settings of the coordinator. */
  readonly coordinator?: readonly string[];
  /** Where the coordinator finds the chain, when something stands between; takes the chain's own address. */
  readonly throughRpc?: (rpc: string) => Promise<string>;
};

export type Part = {
  readonly pid: () => number | undefined;
  readonly isRunning: () => boolean;
  start(): void;
  /** Resolves when the process is gone. */
  end(signal: "SIGKILL" | "SIGTERM"): Promise<void>;
};

export type Laboratory = {
  readonly folder: string;
  readonly rpc: string;
  readonly mqttPort: number;
  readonly ledgerFile: string;
  readonly networkFile: string;
  readonly deployment: Deployment;
  readonly operators: readonly Address[];
  readonly nodes: readonly LocalNode[];
  readonly chain: Chain;
  /** Address of the coordinator's HTTP interface. */
  readonly base: string;
  readonly client: CoordinatorClient;
  readonly anvil: Part;
  readonly coordinator: Part;
  /** The daemon of an enrolled node; `more` is appended to its command line. */
  node(index: number, more?: readonly string[]): Part;
  coordinatorReady(): Promise<void>;
  /** The network as a node knows it. */
  network(): Network;
  log(name: string): string;
  /** Ends every part and removes the folder. */
  close(): Promise<void>;
};

const readyWithinMs = 60_000;

/** Whether this machine can run the laboratory: a reason in words when it cannot. */
export function laboratoryMissing(): string | undefined {
  try {
    anvilBinary();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Starts the chain, deploys the contracts and enrols the nodes. Coordinator and nodes are started by the caller. */
export async function openLaboratory(plan: LaboratoryPlan = {}): Promise<Laboratory> {
  const folder = mkdtempSync(join(tmpdir(), "cairn-laboratory-"));
  const parts: Part[] = [];
  const part = (name: string, command: string, args: () => readonly string[], env = {}): Part => {
    const made = createPart(join(folder, "logs", `${name}.log`), command, args, env);
    parts.push(made);
    return made;
  };
  const [chainPort, mqttPort, httpPort] = await Promise.all([freePort(), freePort(), freePort()]);
  const rpc = `http://${host}:${chainPort}`;
  const chainArgs = ["--host", host, "--port", `${chainPort}`, "--chain-id", `${chainId}`, "--hardfork", "cancun"];
  const anvil = part("chain", anvilBinary(), () => [...chainArgs, "--quiet"]);
  anvil.start();

  const data = join(folder, "coordinator");
  mkdirSync(join(folder, "chain"));
  const verifierKey = join(data, "verifier.key");
  const settlementKey = join(data, "settlement.key");
  const verifier = verifierAddress(verifierKey);
  writeSettlementKey(settlementKey);
  const operators = operatorAddresses();
  const nodes = await enrolNodes(folder, plan.nodes ?? 0, operators, programFile("cairn-node"));
  const roster = join(folder, "roster.json");
  const entries = [
    ...nodes.map(({ name, publicKey, operator }) => ({ name, publicKey, operator })),
    ...(plan.simulated ?? []).map(({ name, publicKey }) => ({ name, publicKey, operator: operators[0] })),
  ];
  writeFileSync(roster, JSON.stringify({ nodes: entries }));
  const chain = await openChain(rpc);
  const deployment = await chain.contracts(folder, deployerAccount(), verifier);
  const coordinatorRpc = plan.throughRpc ? await plan.throughRpc(rpc) : rpc;
  const coordinator = part("coordinator", process.execPath, () => [
    programFile("cairn-coordinator"),
    ...["--data", data, "--mqtt-port", `${mqttPort}`, "--http-port", `${httpPort}`, "--rpc", coordinatorRpc],
    ...["--deployment", join(folder, "chain", "deployment.json"), "--roster", roster],
    ...["--verifier-key", verifierKey, "--settlement-key", settlementKey],
    ...["--slot-seconds", `${plan.slotSeconds ?? 10}`, "--slots-per-epoch", `${plan.slotsPerEpoch ?? 6}`],
    ...(plan.coordinator ?? []),
  ]);
  const base = `http://${host}:${httpPort}`;
  const client = coordinatorClient(base);
  const networkFile = join(data, "network.json");

  return {
    folder,
    rpc,
    mqttPort,
    networkFile,
    ledgerFile: join(data, "ledger.sqlite"),
    deployment,
    operators,
    nodes,
    chain,
    base,
    client,
    anvil,
    coordinator,
    node(index, more = []) {
      const node = nodes[index];
      if (!node) throw new RangeError(`the laboratory has no node ${index}`);
      const broker = `mqtt://${host}:${mqttPort}`;
      const flags = ["--data", node.folder, "--network", networkFile, "--broker", broker, ...more];
      const args = [...leanFlags, programFile("cairn-node"), "run", ...flags];
      return part(node.name, process.execPath, () => args, leanEnvironment);
    },
    async coordinatorReady() {
      await awaitHealth(client, readyWithinMs);
    },
    network() {
      const network = parseNetwork(readFileSync(networkFile));
      if (!network.ok) throw new Error(network.rejection.detail);
      return network.value;
    },
    log: (name) => readFileSync(join(folder, "logs", `${name}.log`), "utf8"),
    async close() {
      chain.close();
      await Promise.all(parts.map((running) => running.end("SIGKILL")));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** One process at a time; standard output and error go to the log file. */
function createPart(
  logFile: string,
  command: string,
  args: () => readonly string[],
  env: Record<string, string>,
): Part {
  let child: ChildProcess | undefined;
  const isRunning = () => child !== undefined && child.exitCode === null && child.signalCode === null;
  return {
    pid: () => child?.pid,
    isRunning,
    start() {
      if (isRunning()) throw new Error(`${command} runs already`);
      mkdirSync(dirname(logFile), { recursive: true });
      const log = openSync(logFile, "a");
      child = spawn(command, args(), { cwd: houseRoot, stdio: ["ignore", log, log], env: { ...process.env, ...env } });
      closeSync(log);
    },
    async end(signal) {
      const ending = child;
      if (!ending || !isRunning()) return;
      const gone = new Promise((resolve) => ending.once("exit", resolve));
      ending.kill(signal);
      await gone;
    },
  };
}

/** A port that nothing listens on now. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, host, () => {
      const address = probe.address();
      probe.close(() =>
        typeof address === "object" && address !== null ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}

/** Asks again and again until the answer is there. Throws an Error naming `what` after `withinMs`. */
export async function eventually<T>(
  what: string,
  withinMs: number,
  ask: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`not within ${withinMs / 1_000} s: ${what}`);
    await sleep(100);
  }
}
