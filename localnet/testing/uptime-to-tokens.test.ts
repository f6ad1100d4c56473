/** Uptime becomes tokens: with real processes, a real chain, and processes killed at the moments that matter. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { epochRewardsAbi } from "@cairn/contracts/abi";
import { checker, type EpochRow, NodeView, parseReceipt } from "@cairn/protocol";
import Database from "better-sqlite3";
import { Contract, JsonRpcProvider } from "ethers";
import { eventually, type Laboratory, laboratoryMissing, openLaboratory } from "../src/laboratory.ts";
import { type Call, type Mode, type RpcProxy, startRpcProxy } from "./rpc-proxy.ts";

const skip = laboratoryMissing() ?? false;
const budget = 100n * 10n ** 18n;
const checkNode = checker("node", NodeView);

async function settledEpoch(laboratory: Laboratory, epoch: number, withinMs: number): Promise<EpochRow> {
  return eventually(`epoch ${epoch} is settled`, withinMs, async () => {
    const rows = await laboratory.client.epochs().catch(() => []);
    return rows.find((row) => row.epoch === epoch && row.state === "settled");
  });
}

async function nodeView(laboratory: Laboratory, nodeId: string): Promise<NodeView> {
  const answer = await fetch(`${laboratory.base}/api/v1/nodes/${nodeId}`);
  const view = checkNode(await answer.json());
  assert.ok(view.ok, "the node's view has the protocol's shape");
  return view.value;
}

test("a node killed for two of six slots earns for four, and its operator holds the tokens", { skip }, async () => {
  let laboratory: Laboratory | undefined;
  const slotMs = 4_000;
  try {
    laboratory = await openLaboratory({ nodes: 2, slotSeconds: slotMs / 1_000 });
    const [first, second] = laboratory.nodes;
    assert.ok(first && second);
    laboratory.coordinator.start();
    await laboratory.coordinatorReady();
    const recording = join(import.meta.dirname, "..", "..", "hardware", "recordings", "harbour-mast.jsonl");
    const flags = ["--serial", `replay:${recording}`, "--batch-seconds", "0.5"];
    const [steady, killed] = [laboratory.node(0, flags), laboratory.node(1, flags)];
    steady.start();
    killed.start();

    const { epoch, opensAt } = await nextEpoch(laboratory);
    const slotOpens = (slot: number) => sleep(Math.max(0, opensAt + slot * slotMs - Date.now()));
    await slotOpens(1);
    await eventually("the node answers the second slot", slotMs, async () => {
      const row = (await laboratory?.client.fleet())?.nodes.find(({ nodeId }) => nodeId === second.nodeId);
      return row?.slots[1] === "answered" ? true : undefined;
    });
    await killed.end("SIGKILL");
    await slotOpens(4);
    killed.start();

    const row = await settledEpoch(laboratory, epoch, 6 * slotMs);
    const rewards = await Promise.all(
      [first, second].map(async ({ nodeId }) => {
        const view = laboratory && (await nodeView(laboratory, nodeId));
        return view?.rewards.find((reward) => reward.epoch === epoch);
      }),
    );
    const [whole, partly] = rewards;
    assert.ok(whole && partly);
    assert.deepEqual([whole.slotsAttested, whole.slotsExpected, whole.slotsVoid], [6, 6, 0]);
    assert.deepEqual([partly.slotsAttested, partly.slotsExpected, partly.slotsVoid], [4, 6, 0]);
    // Half of the budget by uptime, half by work, each in proportion; exact to one unit, and exact in sum.
    const share = (mine: number, all: number) => (budget * BigInt(mine)) / BigInt(2 * all);
    const expected = share(partly.slotsAttested, 10) + share(partly.workUnits, partly.workUnits + whole.workUnits);
    const offBy = BigInt(partly.amount) - expected;
    assert.ok(offBy >= 0n && offBy <= 2n, `${partly.amount} instead of ${expected}`);
    assert.equal(BigInt(partly.amount) + BigInt(whole.amount), budget);
    assert.equal(row.total, budget.toString());

    const rows = (await laboratory.client.epochs()).filter(({ state }) => state === "settled");
    const claimed = laboratory.operators.map((operator) =>
      rows
        .flatMap(({ claims }) => claims)
        .reduce((sum, claim) => sum + (claim.operator === operator ? BigInt(claim.amount) : 0n), 0n),
    );
    assert.deepEqual(await laboratory.chain.balances(laboratory.deployment.token, laboratory.operators), claimed);

    await killed.end("SIGTERM");
    assert.equal(
      creditedByReceipt(laboratory, second.folder, second.nodeId, epoch),
      4,
      "the node holds a signed receipt over it",
    );
  } finally {
    await laboratory?.close();
  }
});

/** The next epoch that has not begun yet. */
async function nextEpoch(laboratory: Laboratory): Promise<{ epoch: number; opensAt: number }> {
  await eventually("both nodes are online", 60_000, async () => {
    const { nodes } = await laboratory.client.fleet();
    return nodes.every(({ state }) => state === "online") ? true : undefined;
  });
  const { epoch } = await laboratory.client.fleet();
  await sleep(Math.max(0, epoch.closesAt - Date.now()));
  return { epoch: epoch.epoch + 1, opensAt: epoch.closesAt };
}

/** Slots that the newest verified slot receipt in the node's store credits. */
function creditedByReceipt(laboratory: Laboratory, folder: string, nodeId: string, epoch: number): number {
  const store = new Database(join(folder, "edge.sqlite"), { readonly: true });
  const message = store
    .prepare<[number], Buffer>("select message from slot_receipt where epoch = ?")
    .pluck()
    .get(epoch);
  store.close();
  assert.ok(message, "a slot receipt is kept");
  const network = laboratory.network();
  const parsed = parseReceipt(Buffer.from(message), { ...network, nodeId: nodeId as never });
  assert.ok(parsed.ok && parsed.value.kind === "slots");
  const bits = Buffer.from(parsed.value.receipt.credited.slice(2), "hex");
  return [...bits].reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);
}

for (const mode of ["swallow", "withhold"] as const)
  for (const call of ["postRoot", "claim"] as const)
    test(
      `a coordinator killed between intent and confirmation of ${call} (${mode}) neither loses nor doubles it`,
      { skip },
      () => killBetweenIntentAndConfirmation(call, mode),
    );

async function killBetweenIntentAndConfirmation(call: Call, mode: Mode): Promise<void> {
  let laboratory: Laboratory | undefined;
  let proxy: RpcProxy | undefined;
  try {
    laboratory = await openLaboratory({
      nodes: 2,
      slotSeconds: 1,
      slotsPerEpoch: 4,
      throughRpc: async (rpc) => {
        proxy = await startRpcProxy(rpc);
        return proxy.url;
      },
    });
    assert.ok(proxy);
    const between = proxy;
    laboratory.coordinator.start();
    await laboratory.coordinatorReady();
    const nodes = [laboratory.node(0, ["--host-seconds", "1"]), laboratory.node(1, ["--host-seconds", "1"])];
    for (const node of nodes) node.start();
    await settledEpoch(laboratory, await firstEarned(laboratory), 60_000);

    between.catch(call, mode);
    await eventually("a transaction is caught", 30_000, () => (between.caught > 0 ? true : undefined));
    await laboratory.coordinator.end("SIGKILL");
    assert.deepEqual(openIntents(laboratory), [call === "claim" ? "claim" : "post-root"], "it died in between");
    between.release();
    laboratory.coordinator.start();
    await laboratory.coordinatorReady();
    const { epoch } = (await laboratory.client.fleet()).epoch;
    await settledEpoch(laboratory, epoch + 1, 60_000);
    for (const node of nodes) await node.end("SIGTERM");
    await agree(laboratory);
  } finally {
    await laboratory?.close();
    proxy?.close();
  }
}

/** Kinds of the intents that the dead coordinator's ledger holds open. */
function openIntents(laboratory: Laboratory): string[] {
  const ledger = new Database(laboratory.ledgerFile, { readonly: true });
  const kinds = ledger.prepare<[], string>("select kind from intent where state = 'open'").pluck().all();
  ledger.close();
  return kinds;
}

async function firstEarned(laboratory: Laboratory): Promise<number> {
  return eventually("an epoch earned something", 60_000, async () => {
    const rows = await laboratory.client.epochs();
    return rows.find(({ total }) => total !== "0")?.epoch;
  });
}

/** The ledger and the chain tell the same story: each root once, every token claimed, nothing minted twice. */
async function agree(laboratory: Laboratory): Promise<void> {
  const rows = await eventually("every closed epoch is settled", 30_000, async () => {
    const all = await laboratory.client.epochs();
    return all.every(({ state }) => state === "settled" || state === "void") ? all : undefined;
  });
  const earning = rows.filter(({ state }) => state === "settled");
  const provider = new JsonRpcProvider(laboratory.rpc, undefined, { staticNetwork: true });
  const contract = new Contract(laboratory.deployment.rewards, epochRewardsAbi, provider);
  const events = await contract.queryFilter("RootPosted", 0);
  provider.destroy();
  const posted = events.map((event) => ("args" in event ? [Number(event.args.epoch), event.args.root] : []));
  assert.deepEqual(
    posted,
    earning.map(({ epoch, root }) => [epoch, root]),
  );
  const minted = earning.reduce((sum, { total }) => sum + BigInt(total), 0n);
  const balances = await laboratory.chain.balances(laboratory.deployment.token, laboratory.operators);
  assert.equal(
    balances.reduce((sum, amount) => sum + amount, 0n),
    minted,
  );
}
