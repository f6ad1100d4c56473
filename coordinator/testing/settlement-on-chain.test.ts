import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startSettlement } from "../src/act/settlement.ts";
import { settlementStep } from "../src/decide/settlement.ts";
import type { Ledger } from "../src/model.ts";
import { type Chain, openChain } from "../src/wire/chain-rpc.ts";
import { chainId, type DevelopmentChain, startAnvil, withoutAnvil } from "./anvil.ts";
import { operatorAddress, slotTime, verifier } from "./founding.ts";
import { closeWorkedEpoch } from "./settling.ts";
import { openTemporaryLedger } from "./temporary-ledger.ts";
import { until } from "./until.ts";

let development: DevelopmentChain | undefined;
before(async () => {
  if (!withoutAnvil) development = await startAnvil();
});
after(() => development?.close());

test("epochs are settled on a real chain, and again after it has lost its last blocks", {
  skip: withoutAnvil,
}, async () => {
  assert.ok(development);
  const { ask, balanceOf } = development;
  const chain = openChain({ ...development, ...development.contracts, chainId });
  const store = await openTemporaryLedger();
  const earned = new Map<string, bigint>();
  const close = async (epoch: number) => {
    const { operators } = await closeWorkedEpoch(store.ledger, epoch);
    for (const { operator, cumulativeAmount } of operators) earned.set(operator, cumulativeAmount);
  };
  const assertPaid = async () => {
    for (const [operator, amount] of earned) assert.equal(await balanceOf(operator as `0x${string}`), amount);
    for (const { outcome } of await store.ledger.epochs(10))
      assert.equal(await chain.rootOf(outcome.epoch), outcome.root);
  };

  await close(1);
  await settle(store.ledger, chain, development);
  await assertPaid();

  const afterFirst = await ask("evm_snapshot");
  for (const epoch of [2, 3]) await close(epoch);
  await settle(store.ledger, chain, development);
  await assertPaid();

  assert.equal(await ask("evm_revert", afterFirst), true);
  assert.deepEqual([await chain.rootOf(2), await chain.lastEpoch()], [null, 1]);
  await settle(store.ledger, chain, development);
  await assertPaid();
  assert.ok((earned.get(operatorAddress(1)) ?? 0n) > 0n);

  chain.close();
  await store.remove();
});

/** Runs a settler until the ledger is settled and the chain shows it. */
async function settle(ledger: Ledger, chain: Chain, { contracts }: DevelopmentChain): Promise<void> {
  const faults: unknown[] = [];
  const settler = startSettlement({
    ledger,
    chain,
    domain: { chainId, verifyingContract: contracts.rewards },
    verifierKey: verifier.key,
    now: () => slotTime(100),
    random: () => 0,
    step: settlementStep,
    epochChanged: () => {},
    fault: (error) => faults.push(error),
  });
  const last = (await ledger.epochs(1))[0]?.outcome.epoch;
  await until(
    async () => (await chain.lastEpoch()) === last && (await ledger.unsettled()).length === 0,
    () => `not settled: ${faults.at(-1)}`,
  );
  assert.deepEqual(faults, []);
  await settler.stop();
}
