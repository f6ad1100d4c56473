/** Settlement as the pipeline joins it, over the SQLite ledger and a scripted chain, with a process that can die between any two calls. */
import assert from "node:assert/strict";
import type { Hex } from "@cairn/protocol";
import { type SettlementActions, type Settler, startSettlement } from "../src/act/settlement.ts";
import { closeEpoch } from "../src/decide/epoch-close.ts";
import { settlementStep } from "../src/decide/settlement.ts";
import type { EpochFacts, EpochOutcome, Ledger, NodeFacts } from "../src/model.ts";
import { domain, founding, operatorAddress, slotsOf, slotTime, verifier } from "./founding.ts";
import { slotRow } from "./inputs.ts";
import { nodeId } from "./ledger/epochs.ts";
import { createScriptedChain, type ScriptedChain } from "./scripted-chain.ts";
import { openTemporaryLedger } from "./temporary-ledger.ts";
import { until } from "./until.ts";

/** A process dies when it is about to make its call number `call`, or just after the call took effect. */
export type Crash = { readonly call: number; readonly when: "before" | "after" };

export type RunningSettler = {
  readonly settler: Settler;
  readonly faults: Error[];
  readonly changed: number[];
  readonly dead: boolean;
  /** The process dies now. */
  kill(): void;
};

/** A ledger, a chain, and the settlers that run between them. */
export type SettlementHouse = {
  readonly ledger: Ledger;
  readonly scripted: ScriptedChain;
  /** Starts a settler. Whatever fails is tried again at once, a thousand times at most. */
  run(crash?: Crash): RunningSettler;
  /** Ends the process and opens the ledger again; a settler of before can do nothing any more. */
  restart(): Promise<void>;
};

/** Runs the body on a house with an empty ledger and an empty chain. */
export async function onSettlementHouse(body: (house: SettlementHouse) => Promise<void>): Promise<void> {
  const store = await openTemporaryLedger();
  const scripted = createScriptedChain();
  let { ledger } = store;
  let running: RunningSettler[] = [];
  const end = () => {
    for (const { settler, kill } of running) {
      kill();
      settler.stop();
    }
    running = [];
  };
  try {
    await body({
      scripted,
      get ledger() {
        return ledger;
      },
      run(crash) {
        const settler = runSettler(ledger, scripted, crash);
        running.push(settler);
        return settler;
      },
      async restart() {
        end();
        ledger = await store.reopen();
      },
    });
  } finally {
    end();
    await store.remove();
  }
}

function runSettler(ledger: Ledger, { chain }: ScriptedChain, crash?: Crash): RunningSettler {
  const faults: Error[] = [];
  const changed: number[] = [];
  let calls = 0;
  let dead = false;

  /** The same object, whose methods stop answering once the process is dead. */
  const mortal = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(_, name) {
        const method = Reflect.get(target, name);
        if (typeof method !== "function") return method;
        return async (...args: unknown[]) => {
          const mine = calls;
          calls += 1;
          const ends = crash?.call === mine;
          if (dead || (ends && crash.when === "before")) return stopHere();
          const answer = await method.apply(target, args);
          return ends ? stopHere() : dead ? new Promise(() => {}) : answer;
        };
      },
    });
  function stopHere(): Promise<never> {
    dead = true;
    return new Promise(() => {});
  }

  const settler: Settler = startSettlement({
    ledger: mortal<SettlementActions["ledger"]>(ledger),
    chain: mortal(chain),
    domain,
    verifierKey: verifier.key,
    now: () => slotTime(100),
    random: () => 0,
    step: settlementStep,
    epochChanged: (epoch) => changed.push(epoch),
    fault(error) {
      faults.push(error as Error);
      if (faults.length < 1_000 && !dead) setImmediate(() => settler.nudge());
    },
  });
  return {
    settler,
    faults,
    changed,
    get dead() {
      return dead;
    },
    kill() {
      dead = true;
    },
  };
}

/** Closes an epoch in which operators 1 and 2 earn with three nodes, from epoch 2 on operator 1 alone; operator 3 never earns. */
export async function closeWorkedEpoch(ledger: Ledger, epoch: number): Promise<EpochOutcome> {
  const slots = slotsOf(epoch);
  const { earnedBefore } = await ledger.epochFacts(epoch, slots[0] ?? 0, slots.length);
  const outcome = workedEpoch(epoch, earnedBefore);
  await ledger.closeEpoch(outcome, slotTime((slots.at(-1) ?? 0) + 1));
  return outcome;
}

function workedEpoch(epoch: number, earnedBefore: EpochFacts["earnedBefore"]): EpochOutcome {
  const slots = slotsOf(epoch);
  const node = (name: string, operator: number, count: number): NodeFacts => ({
    nodeId: nodeId(name),
    operator: operatorAddress(operator),
    evidenceLevel: "software",
    answered: slots.slice(0, count),
    worked: slots.slice(0, count),
  });
  const facts = {
    epoch,
    firstSlot: slots[0] ?? 0,
    slotCount: slots.length,
    slots: slots.map((slot) => slotRow(slot, { closedAt: slotTime(slot + 1) })),
    nodes: [node("a", 1, 6), node("b", 1, 4), node("c", 2, epoch === 1 ? 6 : 0), node("d", 3, 0)],
    earnedBefore,
  };
  return closeEpoch(facts, founding.parameters);
}

/** The same outcome without a ledger: of epoch 1, or of epoch 2 after it. */
export function settleableOutcome(epoch: 1 | 2): EpochOutcome & { root: Hex } {
  const before = epoch === 1 ? [] : workedEpoch(1, new Map()).operators;
  const earned = new Map(before.map(({ operator, cumulativeAmount }) => [operator, cumulativeAmount]));
  const { root, ...outcome } = workedEpoch(epoch, earned);
  assert.ok(root);
  return { ...outcome, root };
}

/** Until the ledger has nothing on its way to the chain and the chain has paid everything that was earned, or the process is dead. */
export async function untilSettled({ ledger, scripted }: SettlementHouse, running: RunningSettler): Promise<void> {
  const earned = (await ledger.epochs(100)).reduce((sum, { outcome }) => sum + outcome.total, 0n);
  const paid = () => [...scripted.books.paid.values()].reduce((sum, amount) => sum + amount, 0n);
  await until(
    async () => running.dead || (paid() === earned && (await ledger.unsettled()).length === 0),
    () => `settlement does not end: paid ${paid()} of ${earned}; ${running.faults.at(-1)}`,
  );
}

/** Every root stands once, every operator was paid exactly what it earned, nothing was minted beside. */
export async function assertSettledOnce({ ledger, scripted }: SettlementHouse): Promise<void> {
  const epochs = await ledger.epochs(100);
  let minted = 0n;
  const earned = new Map<string, bigint>();
  for (const { outcome, state } of epochs) {
    if (state === "void") continue;
    assert.equal(state, "settled", `epoch ${outcome.epoch}`);
    assert.equal(scripted.posts(outcome.epoch), 1, `roots of epoch ${outcome.epoch}`);
    assert.equal(await scripted.chain.rootOf(outcome.epoch), outcome.root);
    minted += outcome.total;
    for (const { operator, amount } of outcome.operators) earned.set(operator, (earned.get(operator) ?? 0n) + amount);
  }
  assert.equal(scripted.books.minted, minted);
  assert.deepEqual(new Map([...scripted.books.paid].sort()), new Map([...earned].sort()));
}
