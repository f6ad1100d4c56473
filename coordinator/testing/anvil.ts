/** A development chain in a process of its own, with the network's contracts on it. Only where the platform's anvil package is installed. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import * as abi from "@cairn/contracts/abi";
import type { Address } from "@cairn/protocol";
import { Contract, ContractFactory, getCreateAddress, HDNodeWallet, JsonRpcProvider } from "ethers";
import { founding, verifier } from "./founding.ts";

/** Why tests on a real chain are skipped; false where they can run. */
export const withoutAnvil: string | false = anvilBinary() ? false : "there is no anvil package for this platform";

export const chainId = 31_337;

export type DevelopmentChain = {
  readonly rpc: string;
  readonly contracts: { readonly token: Address; readonly verifierSet: Address; readonly rewards: Address };
  /** Key of an account with funds that the coordinator may use, and of one that others use. */
  readonly settlementKey: string;
  readonly strangerKey: string;
  /** Any method of JSON-RPC, for example evm_snapshot, evm_revert, evm_setAutomine, evm_mine. */
  ask(method: string, ...parameters: unknown[]): Promise<unknown>;
  balanceOf(operator: Address): Promise<bigint>;
  close(): Promise<void>;
};

export async function startAnvil(): Promise<DevelopmentChain> {
  const binary = anvilBinary();
  if (!binary) throw new Error(`anvil is missing: ${withoutAnvil}`);
  const args = ["--host", "127.0.0.1", "--port", "0", "--chain-id", `${chainId}`, "--hardfork", "cancun"];
  const anvil = spawn(binary, args, { stdio: ["ignore", "pipe", "ignore"] });
  const ended = new Promise<void>((resolve) => anvil.once("exit", () => resolve()));
  const rpc = `http://${await listening(createInterface({ input: anvil.stdout }))}`;
  anvil.stdout.resume();
  const provider = new JsonRpcProvider(rpc, chainId, { staticNetwork: true, batchMaxCount: 1, cacheTimeout: -1 });
  const contracts = await deploy(provider);
  return {
    rpc,
    contracts,
    settlementKey: accountOf(1).privateKey,
    strangerKey: accountOf(2).privateKey,
    ask: (method, ...parameters) => provider.send(method, parameters),
    balanceOf: (operator) =>
      new Contract(contracts.token, abi.rewardTokenAbi, provider).getFunction("balanceOf").staticCall(operator),
    async close() {
      provider.destroy();
      anvil.kill("SIGKILL");
      await ended;
    },
  };
}

function anvilBinary(): string | undefined {
  try {
    const manifest = createRequire(import.meta.url).resolve("@foundry-rs/anvil-linux-amd64/package.json");
    const binary = join(dirname(manifest), "bin", "anvil");
    return existsSync(binary) ? binary : undefined;
  } catch {
    return undefined;
  }
}

async function listening(lines: AsyncIterable<string>): Promise<string> {
  for await (const line of lines) {
    const address = /Listening on (\S+)/.exec(line)?.[1];
    if (address) return address;
  }
  throw new Error("anvil ended before it listened");
}

/** The accounts that anvil gives funds to. */
function accountOf(index: number): HDNodeWallet {
  const phrase = "test test test test test test test test test test test junk";
  return HDNodeWallet.fromPhrase(phrase, undefined, `m/44'/60'/0'/0/${index}`);
}

/** Three transactions in this order; the token has to know beforehand where its minter will be. */
async function deploy(provider: JsonRpcProvider): Promise<DevelopmentChain["contracts"]> {
  const deployer = accountOf(0).connect(provider);
  const [first, second, third] = [0, 1, 2].map((nonce) => getCreateAddress({ from: deployer.address, nonce }));
  const cap = founding.parameters.epochBudget * 1_000_000n;
  const verifierSet = new ContractFactory(abi.verifierSetAbi, abi.verifierSetBytecode, deployer);
  await (await verifierSet.deploy(deployer.address, [verifier.address], 1, { nonce: 0 })).waitForDeployment();
  const token = new ContractFactory(abi.rewardTokenAbi, abi.rewardTokenBytecode, deployer);
  await (await token.deploy("Cairn Reward", "CAIRN", cap, third, { nonce: 1 })).waitForDeployment();
  const rewards = new ContractFactory(abi.epochRewardsAbi, abi.epochRewardsBytecode, deployer);
  const { epochBudget } = founding.parameters;
  await (await rewards.deploy(second, first, epochBudget, 0, { nonce: 2 })).waitForDeployment();
  const lower = (address: string | undefined) => `${address}`.toLowerCase() as Address;
  return { verifierSet: lower(first), token: lower(second), rewards: lower(third) };
}
