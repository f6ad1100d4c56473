import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { type Address, epochRootDigest, type Hex, signDigest } from "@cairn/protocol";
import { id } from "ethers";
import { type DevelopmentChain, startAnvil, withoutAnvil } from "../../testing/anvil.ts";
import { founding, operatorAddress, verifier } from "../../testing/founding.ts";
import { settleableOutcome } from "../../testing/settling.ts";
import { CoordinatorFault, type FaultCode } from "../fault.ts";
import { type Chain, openChain } from "./chain-rpc.ts";

const [one, two] = [operatorAddress(1), operatorAddress(2)];
const chainId = 31_337;

describe("the chain behind its contracts", { skip: withoutAnvil }, () => {
  let development: DevelopmentChain;
  let chain: Chain;
  let deployed: unknown;

  before(async () => {
    development = await startAnvil();
  });
  after(async () => {
    chain.close();
    await development.close();
  });
  beforeEach(async () => {
    if (deployed !== undefined) {
      chain.close();
      await development.ask("evm_setAutomine", true);
      assert.equal(await development.ask("evm_revert", deployed), true);
    }
    deployed = await development.ask("evm_snapshot");
    chain = openChain({ ...development, ...development.contracts, chainId });
  });

  const signatures = (outcome: ReturnType<typeof settleableOutcome>): Hex[] => [
    signDigest(epochRootDigest({ chainId, verifyingContract: development.contracts.rewards }, outcome), verifier.key),
  ];
  const posted = async (epoch: 1 | 2) => {
    const outcome = settleableOutcome(epoch);
    const { raw, transaction } = await chain.signPostRoot(outcome, signatures(outcome));
    assert.equal(await chain.send(raw), "sent");
    assert.equal(await chain.outcomeOf(transaction, 5_000), "success");
    return outcome;
  };
  const claimOf = (outcome: ReturnType<typeof settleableOutcome>, operator: Address) => {
    const claim = outcome.operators.find((other) => other.operator === operator);
    assert.ok(claim);
    return claim;
  };

  test("tells the terms that the contracts were deployed with", async () => {
    assert.deepEqual(await chain.terms(), {
      epochBudget: founding.parameters.epochBudget,
      verifiers: [verifier.address],
      token: { address: development.contracts.token, symbol: "CAIRN", decimals: 18 },
    });
  });

  test("a root with one signature of one verifier is posted once it is sent, not when it is signed", async () => {
    const outcome = settleableOutcome(1);
    assert.deepEqual([await chain.rootOf(1), await chain.lastEpoch()], [null, 0]);
    const { raw, transaction } = await chain.signPostRoot(outcome, signatures(outcome));
    assert.deepEqual([await chain.rootOf(1), await chain.outcomeOf(transaction, 0)], [null, null]);
    assert.equal(await chain.send(raw), "sent");
    assert.equal(await chain.outcomeOf(transaction, 5_000), "success");
    assert.deepEqual([await chain.rootOf(1), await chain.lastEpoch()], [outcome.root, 1]);
  });

  test("a claim pays the operator what it earned, cumulatively over epochs", async () => {
    await posted(1);
    const second = await posted(2);
    const claim = claimOf(second, one);
    const { raw, transaction } = await chain.signClaim(2, claim);
    await chain.send(raw);
    assert.equal(await chain.outcomeOf(transaction, 5_000), "success");
    assert.equal(await chain.claimed(one), claim.cumulativeAmount);
    assert.equal(await development.balanceOf(one), claim.cumulativeAmount);
    assert.equal(await chain.claimed(two), 0n);
  });

  test("what the contracts would refuse is not signed", async () => {
    const outcome = await posted(1);
    const next = settleableOutcome(2);
    const wrong = { ...claimOf(outcome, one), cumulativeAmount: 1n };
    const refused: Readonly<Record<string, () => Promise<unknown>>> = {
      "EpochNotRising(uint64,uint64)": () => chain.signPostRoot(outcome, signatures(outcome)),
      "NotAVerifier(address)": () => chain.signPostRoot(next, signatures(outcome)),
      "RootUnknown(uint64)": () => chain.signClaim(2, claimOf(outcome, one)),
      "ProofInvalid(bytes32)": () => chain.signClaim(1, wrong),
    };
    for (const [error, sign] of Object.entries(refused))
      await assert.rejects(sign(), { code: "CALL_EXCEPTION", data: new RegExp(`^${id(error).slice(0, 10)}`) });
  });

  test("a transaction that is sent twice is taken once, whether it waits or is mined", async () => {
    await posted(1);
    const next = settleableOutcome(2);
    await development.ask("evm_setAutomine", false);
    const { raw, transaction } = await chain.signPostRoot(next, signatures(next));
    assert.deepEqual([await chain.send(raw), await chain.send(raw)], ["sent", "sent"]);
    assert.equal(await chain.outcomeOf(transaction, 0), null);
    await development.ask("evm_mine");
    assert.equal(await chain.outcomeOf(transaction, 5_000), "success");
    assert.equal(await chain.send(raw), "nonce-used");
    assert.equal(await chain.lastEpoch(), 2);
  });

  test("a transaction whose nonce another one took is told as such and has no outcome", async () => {
    const outcome = settleableOutcome(1);
    const first = await chain.signPostRoot(outcome, signatures(outcome));
    const later = settleableOutcome(2);
    const second = await chain.signPostRoot(later, signatures(later));
    assert.equal(await chain.send(first.raw), "sent");
    assert.equal(await chain.outcomeOf(first.transaction, 5_000), "success");
    assert.equal(await chain.send(second.raw), "nonce-used");
    assert.equal(await chain.outcomeOf(second.transaction, 0), null);
  });

  test("after the chain has lost its last block a later transaction is a gap, and the lost one is signed to the same bytes", async () => {
    const outcome = settleableOutcome(1);
    const early = await development.ask("evm_snapshot");
    const lost = await chain.signPostRoot(outcome, signatures(outcome));
    await chain.send(lost.raw);
    assert.equal(await chain.outcomeOf(lost.transaction, 5_000), "success");
    const claim = await chain.signClaim(1, claimOf(outcome, one));
    assert.equal(await development.ask("evm_revert", early), true);
    assert.equal(await chain.send(claim.raw), "nonce-gap");
    assert.equal(await chain.outcomeOf(lost.transaction, 0), null);
    const again = await chain.signPostRoot(outcome, signatures(outcome));
    assert.equal(again.transaction, lost.transaction);
    await chain.send(again.raw);
    assert.equal(await chain.outcomeOf(again.transaction, 5_000), "success");
    assert.equal(await chain.send(claim.raw), "sent");
    assert.equal(await chain.outcomeOf(claim.transaction, 5_000), "success");
  });

  test("a claim that somebody else was faster with is mined as reverted", async () => {
    const outcome = await posted(1);
    const claim = claimOf(outcome, one);
    const ours = await chain.signClaim(1, claim);
    const stranger = openChain({
      ...development,
      ...development.contracts,
      chainId,
      settlementKey: development.strangerKey,
    });
    const theirs = await stranger.signClaim(1, claim);
    await stranger.send(theirs.raw);
    assert.equal(await stranger.outcomeOf(theirs.transaction, 5_000), "success");
    stranger.close();
    assert.equal(await chain.send(ours.raw), "sent");
    assert.equal(await chain.outcomeOf(ours.transaction, 5_000), "reverted");
    assert.equal(await development.balanceOf(one), claim.cumulativeAmount);
  });

  test("an outcome is waited for as long as is said, and no longer than it takes", async () => {
    const outcome = settleableOutcome(1);
    await development.ask("evm_setAutomine", false);
    const { raw, transaction } = await chain.signPostRoot(outcome, signatures(outcome));
    await chain.send(raw);
    const before = performance.now();
    assert.equal(await chain.outcomeOf(transaction, 300), null);
    assert.ok(performance.now() - before >= 300);
    const waiting = chain.outcomeOf(transaction, 20_000);
    await development.ask("evm_mine");
    assert.equal(await waiting, "success");
    assert.ok(performance.now() - before < 10_000);
  });

  const foreign: Readonly<
    Record<string, [RegExp, (of: DevelopmentChain["contracts"]) => Partial<Parameters<typeof openChain>[0]>]>
  > = {
    "of another chain": [/is chain 31337, the deployment is on 1/, () => ({ chainId: 1 })],
    "with no contract where the deployment says": [/no contract at 0x0/, () => ({ rewards: operatorAddress(99) })],
    "with another contract where the deployment says": [
      /another signing domain/,
      ({ verifierSet }) => ({ rewards: verifierSet }),
    ],
  };
  for (const [what, [reason, change]] of Object.entries(foreign))
    test(`a network ${what} is refused as chain-foreign`, async () => {
      const options = { ...development, ...development.contracts, chainId, ...change(development.contracts) };
      const other = openChain(options);
      await assert.rejects(other.terms(), faultOf("chain-foreign", reason));
      other.close();
    });
});

describe("a chain that is sick", () => {
  const options = {
    chainId,
    rewards: operatorAddress(1),
    token: operatorAddress(2),
    verifierSet: operatorAddress(3),
    settlementKey: `0x${"11".repeat(32)}`,
  };

  test("an address where nothing answers is reported at once, not waited for", async () => {
    const chain = openChain({ ...options, rpc: "http://127.0.0.1:9" });
    const before = performance.now();
    await assert.rejects(chain.terms(), /ECONNREFUSED/);
    assert.ok(performance.now() - before < 2_000);
    chain.close();
  });
});

function faultOf(code: FaultCode, reason: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof CoordinatorFault, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, reason);
    return true;
  };
}
