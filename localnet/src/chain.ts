/** The local chain: anvil, its state in the data folder, and the network's contracts on it. */
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  epochRewardsAbi,
  epochRewardsBytecode,
  rewardTokenAbi,
  rewardTokenBytecode,
  verifierSetAbi,
  verifierSetBytecode,
} from "@cairn/contracts/abi";
import { type Address, addressPattern } from "@cairn/protocol";
import { Contract, ContractFactory, getCreateAddress, type HDNodeWallet, JsonRpcProvider, parseUnits } from "ethers";
import { LocalnetFault } from "./fault.ts";
import { host } from "./ports.ts";
import type { Program } from "./processes.ts";

export const chainId = 31_337;
const answerWithinMs = 10_000;
const epochBudget = parseUnits("100", 18);
const tokenCap = parseUnits("1000000000", 18);
const activationDelaySeconds = 0;

/** What deployment.json holds. */
export type Deployment = {
  readonly chainId: number;
  readonly token: Address;
  readonly verifierSet: Address;
  readonly rewards: Address;
};
const contractNames = ["token", "verifierSet", "rewards"] as const;

/** Where the chain keeps what, below the data folder. */
export function chainFiles(data: string) {
  const folder = join(data, "chain");
  return {
    folder,
    state: join(folder, "state.json"),
    stateCopy: join(folder, "state.copy.json"),
    deployment: join(folder, "deployment.json"),
  };
}

/** The anvil of the platform package, else the one on PATH. Throws LocalnetFault `program-missing`. */
export function anvilBinary(path: string = process.env.PATH ?? ""): string {
  const packaged = packagedAnvil();
  const found = [packaged, ...path.split(delimiter).map((folder) => join(folder, "anvil"))].find(isExecutable);
  if (found !== undefined) return found;
  throw new LocalnetFault(
    "program-missing",
    `anvil, the development chain, comes with the packages for Linux on x64 only, and is not on PATH either`,
    "install Foundry, so that the command anvil works",
  );
}

function packagedAnvil(): string {
  try {
    const manifest = createRequire(import.meta.url).resolve("@foundry-rs/anvil-linux-amd64/package.json");
    return join(dirname(manifest), "bin", "anvil");
  } catch {
    return "";
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return file !== "";
  } catch {
    return false;
  }
}

/**
 * anvil does not notice that its launcher died, so a shell of a few lines stands between: it asks the program to end when standard
 * input closes, and ends with the program's own exit code.
 */
const guard = [
  "exec 3<&0",
  '"$@" </dev/null & program=$!',
  '{ cat <&3 >/dev/null; kill -TERM "$program"; } 2>/dev/null &',
  "exec 3<&-",
  'wait "$program"',
].join("\n");

/** The chain as a process: resumes the state file, and writes it every second and at its end. */
export function chainProgram(anvil: string, data: string, port: number): Program {
  const args = ["--host", host, "--port", `${port}`, "--chain-id", `${chainId}`, "--hardfork", "cancun", "--quiet"];
  const { state } = chainFiles(data);
  return {
    name: "chain",
    command: "/bin/sh",
    args: ["-c", guard, "anvil-guard", anvil, ...args, "--state", state, "--state-interval", "1"],
    stopBy: "closed-input",
  };
}

/** anvil rewrites its state in place: killed in the middle of it, it leaves a torn file. */
function isWhole(file: string): boolean {
  try {
    JSON.parse(readFileSync(file, "utf8"));
    return true;
  } catch {
    return false;
  }
}

/** Keeps a second copy of the state, replaced in one step, from which a torn state file is mended. */
export function copyState(data: string): void {
  const { state, stateCopy } = chainFiles(data);
  if (!isWhole(state)) return;
  copyFileSync(state, `${stateCopy}.new`);
  renameSync(`${stateCopy}.new`, stateCopy);
}

/**
 * Makes the chain's folder ready for a start. Returns a line to say when the state was mended from its copy. Throws LocalnetFault
 * `data-unusable` when there is nothing to mend it from.
 */
export function prepareState(data: string): string | undefined {
  const { folder, state, stateCopy } = chainFiles(data);
  mkdirSync(folder, { recursive: true });
  if (!existsSync(state) || isWhole(state)) return undefined;
  if (!isWhole(stateCopy))
    throw new LocalnetFault(
      "data-unusable",
      `the chain's state ${state} is torn`,
      "begin anew with npm start -- --fresh",
    );
  copyFileSync(stateCopy, state);
  return "the chain's state was torn and has been put back as it was after the last settled epoch";
}

/** Reads deployment.json; undefined when there is none yet. Throws LocalnetFault `data-unusable`. */
export function readDeployment(data: string): Deployment | undefined {
  const file = chainFiles(data).deployment;
  if (!existsSync(file)) return undefined;
  try {
    const deployment = JSON.parse(readFileSync(file, "utf8")) as Deployment;
    const address = new RegExp(addressPattern);
    if (deployment.chainId === chainId && contractNames.every((name) => address.test(deployment[name])))
      return deployment;
  } catch {
    // Said below, together with a deployment that is incomplete.
  }
  throw new LocalnetFault("data-unusable", `${file} cannot be read`, "begin anew with npm start -- --fresh");
}

export type Chain = {
  readonly blockNumber: () => Promise<number>;
  /** The contracts of the network: those of an earlier start if they are there, else freshly deployed ones. */
  readonly contracts: (data: string, deployer: HDNodeWallet, verifier: Address) => Promise<Deployment>;
  /** Token balances in the smallest unit, in the order of the addresses. */
  readonly balances: (token: Address, addresses: readonly Address[]) => Promise<readonly bigint[]>;
  readonly close: () => void;
};

/** Connects to the chain as soon as it answers. Throws LocalnetFault `part-broken` when it does not. */
export async function openChain(rpc: string): Promise<Chain> {
  const provider = new JsonRpcProvider(rpc, chainId, { staticNetwork: true, batchMaxCount: 1, cacheTimeout: -1 });
  await answering(rpc);
  return {
    blockNumber: () => provider.getBlockNumber(),
    async contracts(data, deployer, verifier) {
      const known = readDeployment(data);
      if (known) {
        await requireCode(provider, known, data);
        return known;
      }
      const deployment = await deploy(provider, deployer, verifier);
      writeFileSync(chainFiles(data).deployment, `${JSON.stringify(deployment, null, 2)}\n`);
      return deployment;
    },
    async balances(token, addresses) {
      const contract = new Contract(token, rewardTokenAbi, provider);
      return Promise.all(addresses.map(async (address) => BigInt(await contract.getFunction("balanceOf")(address))));
    },
    close: () => provider.destroy(),
  };
}

/** Waits without ethers, which would print its own lines about a chain that is not up yet. */
async function answering(rpc: string): Promise<void> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_chainId", params: [] });
  const deadline = performance.now() + answerWithinMs;
  for (;;) {
    try {
      const answer = await fetch(rpc, { method: "POST", body, headers: { "content-type": "application/json" } });
      const { result } = (await answer.json()) as { result?: string };
      if (Number(result) === chainId) return;
      throw new LocalnetFault("part-broken", `${rpc} answers as chain ${result}`, `end what listens at ${rpc}`);
    } catch (cause) {
      if (cause instanceof LocalnetFault) throw cause;
      if (performance.now() > deadline)
        throw new LocalnetFault("part-broken", `the chain does not answer at ${rpc}`, "see its log", { cause });
    }
    await sleep(50);
  }
}

async function requireCode(provider: JsonRpcProvider, deployment: Deployment, data: string): Promise<void> {
  for (const name of contractNames)
    if ((await provider.getCode(deployment[name])) === "0x")
      throw new LocalnetFault(
        "data-unusable",
        `the chain holds no contract at ${deployment[name]}, where ${chainFiles(data).deployment} says its ${name} is`,
        "the two do not belong together: begin anew with npm start -- --fresh",
      );
}

/** Three transactions in a fixed order, because the token takes its minter's future address: see contracts/docs/README.md. */
async function deploy(provider: JsonRpcProvider, deployer: HDNodeWallet, verifier: Address): Promise<Deployment> {
  const signer = deployer.connect(provider);
  const nonce = await signer.getNonce();
  const rewardsAt = getCreateAddress({ from: signer.address, nonce: nonce + 2 });
  const create = async (abi: unknown, bytecode: string, offset: number, args: readonly unknown[]) => {
    const factory = new ContractFactory(abi as ConstructorParameters<typeof ContractFactory>[0], bytecode, signer);
    const contract = await factory.deploy(...args, { nonce: nonce + offset });
    await contract.waitForDeployment();
    return (await contract.getAddress()).toLowerCase() as Address;
  };
  const verifierSet = await create(verifierSetAbi, verifierSetBytecode, 0, [signer.address, [verifier], 1]);
  const token = await create(rewardTokenAbi, rewardTokenBytecode, 1, ["Cairn Reward", "CAIRN", tokenCap, rewardsAt]);
  const rewards = await create(epochRewardsAbi, epochRewardsBytecode, 2, [
    token,
    verifierSet,
    epochBudget,
    activationDelaySeconds,
  ]);
  return { chainId, token, verifierSet, rewards };
}
