/**
 * The door of @cairn/localnet: a network whose parts are held by hand, for tests and benchmarks. The same programs as `npm start`
 * runs, started as processes on free ports in a folder of their own; each can be killed and started again at any moment.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts, type Postgres, type Program } from "@cairn/neighbours";
import { type Address, type Network, parseNetwork } from "@cairn/protocol";
import { anvilBinary, type Chain, chainId, type Deployment, openChain } from "./chain.ts";
import { awaitHealth, type CoordinatorClient, coordinatorClient, networkName } from "./coordinator.ts";
import { houseRoot, programFile } from "./house.ts";
import { deployerAccount, operatorAddresses, verifierAddress, writeSettlementKey } from "./keys.ts";
import { startBroker, startLedger } from "./laboratory-engines.ts";
import { enrolNodes, type LocalNode, leanEnvironment, leanFlags, type RosterEntry } from "./nodes.ts";
import { type Command, loopback, type Places } from "./places.ts";

export * from "./fleet/door.ts";
export { namespacesMissing, openNamespaces, type Places } from "./places.ts";

export type LaboratoryPlan = {
  /** Nodes whose device keys the laboratory makes, each with the folder of a real node. */
  readonly nodes?: number;
  /** Keys that the caller holds: simulated nodes. */
  readonly simulated?: readonly (Omit<RosterEntry, "operator"> & { readonly operator?: Address })[];
  /** Embedded if not said; the others are real programs of this machine. */
  readonly broker?: "embedded" | "mosquitto" | "nats";
  /** Servers of a NATS cluster; 1 if not said. */
  readonly brokerServers?: 1 | 3;
  /** SQLite if not said. */
  readonly ledger?: "sqlite" | "postgres";
  /** Folder for the data of PostgreSQL. */
  readonly ledgerFolder?: string;
  /** How many coordinators there are; 1 if not said. */
  readonly coordinators?: number;
  /** Where the parts run: "chain", "postgres", "broker-1" ..., "coordinator-1" ...; on loopback if not said. */
  readonly places?: Places;
  /** Started in place of a coordinator's program, with the program and its arguments behind it. */
  readonly coordinatorWrap?: (index: number) => {
    readonly args?: readonly string[];
    readonly env?: Record<string, string>;
  };
  /** Entry of another version of a coordinator's program, asked at each start; this tree's if it says none. */
  readonly coordinatorProgram?: (index: number) => string | undefined;
  readonly slotSeconds?: number;
  readonly slotsPerEpoch?: number;
  /** Further settings of the coordinators, and of one by its index. */
  readonly coordinator?: readonly string[];
  readonly coordinatorFlags?: (index: number) => readonly string[];
  /** Where the coordinator finds the chain, when something stands between; takes the chain's own address. */
  readonly throughRpc?: (rpc: string) => Promise<string>;
};

export type Part = {
  readonly pid: () => number | undefined;
  readonly isRunning: () => boolean;
  start(): void;
  /** Resolves when the process is gone. */
  end(signal: "SIGKILL" | "SIGTERM"): Promise<void>;
  /** Sends a signal that the process survives. */
  signal(signal: "SIGSTOP" | "SIGCONT" | "SIGHUP"): void;
};

/** A coordinator with the address of its HTTP interface. */
export type CoordinatorPart = Part & {
  readonly name: string;
  readonly base: string;
  readonly client: CoordinatorClient;
  ready(): Promise<void>;
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
  /** The first of them is also `coordinator`, with `base` and `client`. */
  readonly coordinators: readonly CoordinatorPart[];
  readonly coordinator: CoordinatorPart;
  /** Where nodes connect, and the folder of what they sign in with where that is no token. */
  readonly nodeUrls: readonly string[];
  readonly logins: string | undefined;
  /** Servers of a broker that is not embedded. */
  readonly brokers: readonly Program[];
  readonly postgres: { readonly server: Postgres; readonly url: string } | undefined;
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

/** Starts the chain and the engines, deploys the contracts and enrols the nodes. Coordinators and nodes are started by the caller. */
export async function openLaboratory(plan: LaboratoryPlan = {}): Promise<Laboratory> {
  const closing: (() => Promise<unknown> | unknown)[] = [];
  const close = async () => {
    for (const step of closing.splice(0).reverse()) await step();
  };
  try {
    return await furnish(plan, closing, close);
  } catch (error) {
    await close();
    throw error;
  }
}

/** `closing` takes what is to be undone, the last first. */
async function furnish(
  plan: LaboratoryPlan,
  closing: (() => Promise<unknown> | unknown)[],
  close: () => Promise<void>,
): Promise<Laboratory> {
  const folder = mkdtempSync(join(tmpdir(), "cairn-laboratory-"));
  closing.push(() => rmSync(folder, { recursive: true, force: true }));
  const places = plan.places ?? loopback;
  const parts: Part[] = [];
  closing.push(() => Promise.all(parts.map((running) => running.end("SIGKILL"))));
  const part = (name: string, place: string, command: string, args: () => readonly string[], env = {}): Part => {
    const made = createPart(join(folder, "logs", `${name}.log`), () => places.at(place).wrap(command, args()), env);
    parts.push(made);
    return made;
  };
  const count = plan.coordinators ?? 1;
  const [chainPort, mqttPort = 0, ...httpPorts] = await freePorts(2 + count);
  const chainHost = places.at("chain").host;
  const rpc = `http://${chainHost}:${chainPort}`;
  const chainArgs = ["--host", chainHost, "--port", `${chainPort}`, "--chain-id", `${chainId}`];
  const anvil = part("chain", "chain", anvilBinary(), () => [...chainArgs, "--hardfork", "cancun", "--quiet"]);
  anvil.start();

  const keys = join(folder, "keys");
  mkdirSync(join(folder, "chain"));
  const verifierKey = join(keys, "verifier.key");
  const settlementKey = join(keys, "settlement.key");
  const verifier = verifierAddress(verifierKey);
  writeSettlementKey(settlementKey);
  const coordinatorKey = join(keys, "coordinator.key");
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeFileSync(coordinatorKey, privateKey.export({ format: "pem", type: "pkcs8" }), { mode: 0o600 });
  const operators = operatorAddresses();
  const nodes = await enrolNodes(folder, plan.nodes ?? 0, operators, programFile("cairn-node"));
  const roster = join(folder, "roster.json");
  const entries = [
    ...nodes.map(({ name, publicKey, operator }) => ({ name, publicKey, operator })),
    ...(plan.simulated ?? []).map(({ name, publicKey, operator = operators[0] }) => ({ name, publicKey, operator })),
  ];
  writeFileSync(roster, JSON.stringify({ nodes: entries }));
  const chain = await openChain(rpc);
  closing.push(() => chain.close());
  const deployment = await chain.contracts(folder, deployerAccount(), verifier);
  const coordinatorRpc = plan.throughRpc ? await plan.throughRpc(rpc) : rpc;

  const kind = plan.broker ?? "embedded";
  const embedded = { nodeUrls: [`mqtt://${places.at("coordinator-1").host}:${mqttPort}`], logins: undefined };
  const broker =
    kind === "embedded"
      ? { ...embedded, flags: ["--mqtt-port", `${mqttPort}`], servers: [] }
      : await startBroker({ kind, servers: plan.brokerServers ?? 1, network: networkName, folder, roster, places });
  closing.push(() => Promise.all(broker.servers.map((server) => server.end("SIGKILL"))));
  const engine = plan.ledger === "postgres" ? await startLedger(places, plan.ledgerFolder) : undefined;
  closing.push(() => engine?.postgres.remove());
  const dataOf = (index: number) => join(folder, index === 0 ? "coordinator" : `coordinator-${index + 1}`);
  const ledgerFile = join(dataOf(0), "ledger.sqlite");

  const coordinators = Array.from({ length: count }, (_, index): CoordinatorPart => {
    const name = index === 0 ? "coordinator" : `coordinator-${index + 1}`;
    const data = dataOf(index);
    mkdirSync(data, { recursive: true, mode: 0o700 });
    copyFileSync(coordinatorKey, join(data, "coordinator.key"));
    const place = `coordinator-${index + 1}`;
    const { host } = places.at(place);
    const { args = [], env = {} } = plan.coordinatorWrap?.(index) ?? {};
    const made = part(
      name,
      place,
      process.execPath,
      () => [
        ...[...args, plan.coordinatorProgram?.(index) ?? programFile("cairn-coordinator")],
        ...["--data", data, "--host", host],
        ...["--http-port", `${httpPorts[index]}`, "--rpc", coordinatorRpc, ...broker.flags],
        ...["--ledger", engine?.url ?? `sqlite:${ledgerFile}`, "--replica", name],
        ...["--deployment", join(folder, "chain", "deployment.json"), "--roster", roster],
        ...["--verifier-key", verifierKey, "--settlement-key", settlementKey],
        ...["--slot-seconds", `${plan.slotSeconds ?? 10}`, "--slots-per-epoch", `${plan.slotsPerEpoch ?? 6}`],
        ...(plan.coordinator ?? []),
        ...(plan.coordinatorFlags?.(index) ?? []),
      ],
      env,
    );
    const base = `http://${host}:${httpPorts[index]}`;
    const client = coordinatorClient(base);
    return Object.assign(made, {
      ...{ name, base, client },
      async ready() {
        await awaitHealth(client, readyWithinMs);
      },
    });
  });
  const [coordinator] = coordinators;
  if (!coordinator) throw new RangeError("a laboratory has one coordinator at least");
  const networkFile = join(dataOf(0), "network.json");

  return {
    ...{ folder, rpc, mqttPort, networkFile, ledgerFile, deployment, operators, nodes, chain, anvil },
    ...{ coordinators, coordinator, base: coordinator.base, client: coordinator.client },
    nodeUrls: broker.nodeUrls,
    logins: broker.logins,
    brokers: broker.servers,
    postgres: engine && { server: engine.postgres, url: engine.url },
    node(index, more = []) {
      const node = nodes[index];
      if (!node) throw new RangeError(`the laboratory has no node ${index}`);
      const login = broker.logins ? ["--broker-credentials", join(broker.logins, `${node.nodeId}.json`)] : [];
      const urls = broker.nodeUrls.join();
      const flags = ["--data", node.folder, "--network", networkFile, "--broker", urls, ...login, ...more];
      const args = [...leanFlags, programFile("cairn-node"), "run", ...flags];
      return part(node.name, node.name, process.execPath, () => args, leanEnvironment);
    },
    coordinatorReady: coordinator.ready,
    network() {
      const network = parseNetwork(readFileSync(networkFile));
      if (!network.ok) throw new Error(network.rejection.detail);
      return network.value;
    },
    log: (name) => readFileSync(join(folder, "logs", `${name}.log`), "utf8"),
    close,
  };
}

/** One process at a time; standard output and error go to the log file. */
function createPart(logFile: string, command: () => Command, env: Record<string, string>): Part {
  let child: ChildProcess | undefined;
  const isRunning = () => child !== undefined && child.exitCode === null && child.signalCode === null;
  return {
    pid: () => child?.pid,
    isRunning,
    start() {
      const { command: program, args } = command();
      if (isRunning()) throw new Error(`${program} runs already`);
      mkdirSync(dirname(logFile), { recursive: true });
      const log = openSync(logFile, "a");
      child = spawn(program, [...args], {
        cwd: houseRoot,
        stdio: ["ignore", log, log],
        env: { ...process.env, ...env },
      });
      closeSync(log);
    },
    async end(signal) {
      const ending = child;
      if (!ending || !isRunning()) return;
      const gone = new Promise((resolve) => ending.once("exit", resolve));
      ending.kill(signal);
      await gone;
    },
    signal(signal) {
      child?.kill(signal);
    },
  };
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
