/** One page: how the local network is put together, in the order of its parts. */
import { join } from "node:path";
import type { Address } from "@cairn/protocol";
import { anvilBinary, type Chain, chainFiles, chainProgram, copyState, openChain, prepareState } from "./chain.ts";
import { awaitHealth, coordinatorClient, coordinatorFiles, coordinatorProgram } from "./coordinator.ts";
import { watchEpochs } from "./epochs.ts";
import { houseRoot, programFile } from "./house.ts";
import { deployerAccount, operatorAddresses, verifierAddress, writeSettlementKey } from "./keys.ts";
import { enrolNodes, nodeProgramOf, rosterFile } from "./nodes.ts";
import type { Parts } from "./parts.ts";
import { choosePorts, host } from "./ports.ts";
import { epochLine, partLines, progressLine, type Summary, summarise } from "./report.ts";
import type { Settings } from "./settings.ts";
import { decideShape, readShape, writeShape } from "./shape.ts";

const healthyWithinMs = 30_000;
/** The chain writes its state every second: after this the latest transactions are in it. */
const stateWrittenMs = 2_500;

export type Network = {
  /** Resolves when as many epochs were settled as were asked for. */
  readonly enough: Promise<void>;
  /** What this run came to so far; needs the parts to be running. */
  summary(): Promise<Summary>;
  /** Lets go of the connections to the parts. */
  close(): void;
};

/** Starts every part and resolves when all run. Throws LocalnetFault. */
export async function startNetwork(settings: Settings, parts: Parts, say: (line: string) => void): Promise<Network> {
  const { data, serial } = settings;
  const shape = decideShape(settings.shape, readShape(data));
  const anvil = anvilBinary();
  const [nodeProgram, program] = [programFile("cairn-node"), programFile("cairn-coordinator")];
  const { ports, notes } = await choosePorts(settings.ports);
  for (const note of notes) say(note);
  const mended = prepareState(data);
  if (mended) say(mended);
  writeShape(data, shape);

  const rpc = `http://${host}:${ports.chain}`;
  parts.start("chain", chainProgram(anvil, data, ports.chain));
  const files = coordinatorFiles(data);
  const verifier = verifierAddress(files.verifierKey);
  writeSettlementKey(files.settlementKey);
  const operators = operatorAddresses();
  const [nodes, chain] = await Promise.all([enrolNodes(data, shape.nodes, operators, nodeProgram), openChain(rpc)]);
  const deployment = await chain.contracts(data, deployerAccount(), verifier);

  const plan = {
    ...{ program, data, shape, rpc, mqttPort: ports.mqtt, httpPort: ports.web },
    deploymentFile: chainFiles(data).deployment,
    rosterFile: rosterFile(data),
    webFolder: join(houseRoot, "dashboards", "web", "dist"),
  };
  parts.start("coordinator", coordinatorProgram(plan));
  const web = `http://${host}:${ports.web}`;
  const client = coordinatorClient(web);
  await awaitHealth(client, healthyWithinMs);

  const broker = `mqtt://${host}:${ports.mqtt}`;
  for (const node of nodes)
    parts.start("nodes", nodeProgramOf(node, { nodeProgram, networkFile: files.network, broker, serial }));

  for (const line of partLines({ rpc, broker, web }, await chain.blockNumber(), nodes)) say(line);
  say(progressLine(await client.fleet(), shape));
  const view = await client.network();
  let copying: NodeJS.Timeout | undefined;
  const epochs = await watchEpochs(client, settings.epochs, (news) => {
    say(epochLine(news, view.token));
    copying = setTimeout(() => copyState(data), stateWrittenMs);
  });
  return {
    enough: epochs.enough,
    async summary() {
      const [health, balances] = [await client.health(), await balancesOf(chain, deployment.token, operators)];
      return summarise({ network: view, nodes, settled: epochs.settled, balances, health });
    },
    close() {
      clearTimeout(copying);
      epochs.close();
      chain.close();
    },
  };
}

async function balancesOf(chain: Chain, token: Address, operators: readonly Address[]) {
  const amounts = await chain.balances(token, operators);
  return operators.map((operator, index) => ({ operator, amount: amounts[index] ?? 0n }));
}
