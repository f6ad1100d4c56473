/** The one file that talks to the chain: reads the contracts, signs transactions without sending them, sends what was signed. */

import { epochRewardsAbi, rewardTokenAbi, verifierSetAbi } from "@cairn/contracts/abi";
import { type Address, domainSeparator, type Hex, hexOf } from "@cairn/protocol";
import { Contract, isError, JsonRpcProvider, Transaction, VoidSigner, Wallet } from "ethers";
import { CoordinatorFault } from "../fault.ts";
import type { EpochOutcome, OperatorOutcome } from "../model.ts";

export type SignedTransaction = { readonly transaction: Hex; readonly raw: Hex };

export type ChainTerms = {
  readonly epochBudget: bigint;
  readonly verifiers: readonly Address[];
  readonly token: { readonly address: Address; readonly symbol: string; readonly decimals: number };
};

export type Chain = {
  readonly chainId: number;
  readonly rewards: Address;
  /** What the contracts say. Throws CoordinatorFault `chain-foreign` when they are not those of this network. */
  terms(): Promise<ChainTerms>;
  lastEpoch(): Promise<number>;
  /** null while the epoch has no root. */
  rootOf(epoch: number): Promise<Hex | null>;
  /** Smallest token units paid to the operator so far. */
  claimed(operator: Address): Promise<bigint>;
  signPostRoot(outcome: EpochOutcome & { root: Hex }, signatures: readonly Hex[]): Promise<SignedTransaction>;
  signClaim(epoch: number, operator: OperatorOutcome): Promise<SignedTransaction>;
  /**
   * `nonce-used`: another transaction of this account took its place, this one will never be mined. `nonce-gap`: the chain has lost what
   * came before it, so it cannot be mined as it is and is not sent.
   */
  send(raw: Hex): Promise<"sent" | "nonce-used" | "nonce-gap">;
  /** Waits up to `timeoutMs` for the transaction; null when the chain does not show it yet. */
  outcomeOf(transaction: Hex, timeoutMs: number): Promise<"success" | "reverted" | null>;
  close(): void;
};

/**
 * Of the estimate. The block that holds a transaction is younger than the one it was estimated on: where the estimate changed a vote
 * checkpoint of the same second, the block writes a new one, which costs more. What is not used is not paid.
 */
const gasPercent = 150n;

export function openChain(options: {
  rpc: string;
  chainId: number;
  rewards: Address;
  token: Address;
  verifierSet: Address;
  /** Pays for transactions; without it nothing can be signed or sent. */
  settlementKey?: string;
}): Chain {
  const { rpc, chainId, rewards } = options;
  // ethers caches answers for 250 ms by default: a nonce read twice in that time would be used twice.
  const provider = new JsonRpcProvider(rpc, chainId, { staticNetwork: true, batchMaxCount: 1, cacheTimeout: -1 });
  const account = options.settlementKey
    ? new Wallet(options.settlementKey, provider)
    : new VoidSigner(rewards, provider);
  const epochRewards = new Contract(rewards, epochRewardsAbi, account);
  const verifierSet = new Contract(options.verifierSet, verifierSetAbi, provider);
  const token = new Contract(options.token, rewardTokenAbi, provider);

  async function read<T>(contract: Contract, name: string, ...args: unknown[]): Promise<T> {
    return (await contract.getFunction(name).staticCall(...args)) as T;
  }

  async function signed(name: string, ...args: unknown[]): Promise<SignedTransaction> {
    const call = await epochRewards.getFunction(name).populateTransaction(...args);
    const gasLimit = ((await account.estimateGas(call)) * gasPercent) / 100n;
    const raw = (await account.signTransaction(await account.populateTransaction({ ...call, gasLimit }))) as Hex;
    return { raw, transaction: hashOf(raw) };
  }

  return {
    chainId,
    rewards,
    async terms() {
      const actual = Number(BigInt((await provider.send("eth_chainId", [])) as string));
      if (actual !== chainId)
        throw new CoordinatorFault("chain-foreign", `${rpc} is chain ${actual}, the deployment is on ${chainId}`);
      if ((await provider.getCode(rewards)) === "0x")
        throw new CoordinatorFault(
          "chain-foreign",
          `no contract at ${rewards} on chain ${chainId}: deploy the contracts first`,
        );
      const separator = await read<Hex>(epochRewards, "domainSeparator").catch(noSuchFunction);
      if (separator !== hexOf(domainSeparator({ chainId, verifyingContract: rewards })))
        throw new CoordinatorFault(
          "chain-foreign",
          `the contract at ${rewards} has another signing domain than this program`,
        );
      const verifiers = await read<string[]>(verifierSet, "verifiers");
      return {
        epochBudget: await read<bigint>(epochRewards, "epochBudget"),
        verifiers: verifiers.map((verifier) => verifier.toLowerCase() as Address),
        token: {
          address: options.token,
          symbol: await read<string>(token, "symbol"),
          decimals: Number(await read<bigint>(token, "decimals")),
        },
      };
    },
    async lastEpoch() {
      return Number(await read<bigint>(epochRewards, "lastEpoch"));
    },
    async rootOf(epoch) {
      const root = await read<Hex>(epochRewards, "rootOf", epoch);
      return BigInt(root) === 0n ? null : root;
    },
    claimed: (operator) => read<bigint>(epochRewards, "claimed", operator),
    signPostRoot: ({ epoch, root, total, evidence }, signatures) =>
      signed("postRoot", epoch, root, total, evidence, signatures),
    signClaim: (epoch, { operator, cumulativeAmount, nodesRoot, proof }) =>
      signed("claim", epoch, operator, cumulativeAmount, nodesRoot, proof),
    async send(raw) {
      if (Transaction.from(raw).nonce > (await account.getNonce("pending"))) return "nonce-gap";
      try {
        await provider.send("eth_sendRawTransaction", [raw]);
      } catch (cause) {
        if (isError(cause, "NONCE_EXPIRED") || /nonce too low/i.test((cause as Error).message)) return "nonce-used";
        if (!/already known|already imported/i.test((cause as Error).message)) throw cause;
      }
      return "sent";
    },
    async outcomeOf(transaction, timeoutMs) {
      const deadline = performance.now() + timeoutMs;
      for (;;) {
        const receipt = await provider.getTransactionReceipt(transaction);
        if (receipt) return receipt.status === 1 ? "success" : "reverted";
        if (performance.now() >= deadline) return null;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
    close: () => provider.destroy(),
  };
}

/** A contract without the function that was called reverts or answers nothing; everything else is an error of the line. */
function noSuchFunction(cause: unknown): null {
  if (isError(cause, "CALL_EXCEPTION") || isError(cause, "BAD_DATA")) return null;
  throw cause;
}

function hashOf(raw: Hex): Hex {
  return Transaction.from(raw).hash as Hex;
}
