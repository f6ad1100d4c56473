/**
 * Brings closed epochs to the chain. Before a transaction is sent, it is signed and stored as an intent; an intent found open is
 * resolved before anything else. So a crash at any point neither loses nor doubles a root or a claim.
 */
import { type Address, type Domain, epochRootDigest, type Hex, signDigest } from "@cairn/protocol";
import { CoordinatorFault } from "../fault.ts";
import type { EpochOutcome, Intent, Ledger, OperatorOutcome, Settlement, SettlementStep } from "../model.ts";

type SignedTransaction = { transaction: Hex; raw: Hex };

export type SettlementActions = {
  readonly ledger: Pick<Ledger, "unsettled" | "epochs" | "recordIntent" | "resolveIntent" | "reopen">;
  readonly chain: {
    rootOf(epoch: number): Promise<Hex | null>;
    claimed(operator: Address): Promise<bigint>;
    signPostRoot(outcome: EpochOutcome & { root: Hex }, signatures: readonly Hex[]): Promise<SignedTransaction>;
    signClaim(epoch: number, operator: OperatorOutcome): Promise<SignedTransaction>;
    send(raw: Hex): Promise<"sent" | "nonce-used" | "nonce-gap">;
    outcomeOf(transaction: Hex, timeoutMs: number): Promise<"success" | "reverted" | null>;
  };
  readonly domain: Domain;
  readonly verifierKey: Uint8Array;
  now(): number;
  random(): number;
  step(settlement: Settlement): SettlementStep;
  epochChanged(epoch: number): void;
  fault(error: unknown): void;
};

export type Settler = {
  /** There is something new to settle. */
  nudge(): void;
  stop(): Promise<void>;
};

const confirmationMs = 30_000;
const stopMs = 1_000;
const retry = { firstMs: 500, ceilingMs: 30_000 };
/** Epochs whose effects are looked up on chain at the start. */
const checkedAtStart = 20;
const lookEveryMs = 2_000;

export function startSettlement(actions: SettlementActions): Settler {
  const { ledger, chain } = actions;
  let stopped = false;
  let nudged = false;
  let wake = () => {};

  /** A local chain may have lost its last moments: what it does not show is made again. */
  async function compareWithChain(): Promise<void> {
    for (const { outcome, state } of await ledger.epochs(checkedAtStart)) {
      if (state !== "posted" && state !== "settled") continue;
      const posted = (await chain.rootOf(outcome.epoch)) === outcome.root;
      const unpaid: Address[] = [];
      for (const { operator, cumulativeAmount, amount } of outcome.operators)
        if (amount > 0n && (await chain.claimed(operator)) < cumulativeAmount) unpaid.push(operator);
      if (!posted || unpaid.length > 0) await ledger.reopen(outcome.epoch, { posted, unpaid });
    }
  }

  async function settleAll(): Promise<void> {
    for (const { outcome } of await ledger.unsettled()) {
      for (;;) {
        const settlement = (await ledger.unsettled()).find((other) => other.outcome.epoch === outcome.epoch);
        if (!settlement || stopped) break;
        const step = actions.step(settlement);
        if (step.kind === "done") break;
        await execute(step, settlement.outcome);
        actions.epochChanged(outcome.epoch);
      }
    }
  }

  async function execute(step: Exclude<SettlementStep, { kind: "done" }>, outcome: EpochOutcome): Promise<void> {
    if (step.kind === "resolve") return resolve(step.intent, outcome);
    const { epoch, root } = outcome;
    if (root === null) return;
    const kind = step.kind;
    const operator = step.kind === "claim" ? step.operator.operator : "";
    const wanted = { kind, epoch, operator } as const;
    // Anyone may claim for an operator; what is done already would be refused before it could be signed.
    if (await hasEffect(wanted, outcome))
      return ledger.resolveIntent({ ...wanted, transaction: "0x", raw: "0x" }, "confirmed", null, actions.now());
    const signed =
      step.kind === "claim"
        ? await chain.signClaim(epoch, step.operator)
        : await chain.signPostRoot({ ...outcome, root }, [
            signDigest(epochRootDigest(actions.domain, { ...outcome, root }), actions.verifierKey),
          ]);
    const intent: Intent = { ...wanted, ...signed };
    await ledger.recordIntent(intent, actions.now());
    await resolve(intent, outcome);
  }

  async function resolve(intent: Intent, outcome: EpochOutcome): Promise<void> {
    const end = (result: "confirmed" | "failed", transaction: Hex | null) =>
      ledger.resolveIntent(intent, result, transaction, actions.now());
    const mined = await chain.outcomeOf(intent.transaction, 0);
    if (mined === "success") return end("confirmed", intent.transaction);
    if (await hasEffect(intent, outcome)) return end("confirmed", null);
    if (mined === "reverted") return end("failed", null);
    const sent = await chain.send(intent.raw);
    if (sent === "nonce-gap") return end("failed", null);
    if (sent === "nonce-used") {
      const late = await chain.outcomeOf(intent.transaction, 0);
      return late === "success" ? end("confirmed", intent.transaction) : end("failed", null);
    }
    const result = await chain.outcomeOf(intent.transaction, confirmationMs);
    if (result === "success") return end("confirmed", intent.transaction);
    if (result === "reverted") return end("failed", null);
    throw new CoordinatorFault(
      "settlement-stuck",
      `transaction ${intent.transaction} is sent, but not mined after ${confirmationMs / 1000} s`,
    );
  }

  /** Whether the chain already shows what the intent is for, by whosever hand. */
  async function hasEffect(
    intent: Pick<Intent, "kind" | "epoch" | "operator">,
    outcome: EpochOutcome,
  ): Promise<boolean> {
    if (intent.kind === "post-root") {
      const root = await chain.rootOf(intent.epoch);
      if (root !== null && root !== outcome.root)
        throw new CoordinatorFault(
          "settlement-stuck",
          `epoch ${intent.epoch} has another root on chain (${root}): this ledger is not the one that posted it`,
        );
      return root !== null;
    }
    const claim = outcome.operators.find(({ operator }) => operator === intent.operator);
    return claim !== undefined && (await chain.claimed(claim.operator)) >= claim.cumulativeAmount;
  }

  async function run(): Promise<void> {
    let failures = 0;
    let compared = false;
    while (!stopped) {
      nudged = false;
      try {
        if (!compared) await compareWithChain();
        compared = true;
        await settleAll();
        failures = 0;
      } catch (error) {
        actions.fault(error);
        failures += 1;
      }
      if (!nudged) await pause(failures);
    }
  }

  function pause(failures: number): Promise<void> {
    return new Promise((resolve) => {
      const ceiling = Math.min(retry.ceilingMs, retry.firstMs * 2 ** failures);
      // Another replica may close an epoch: nobody nudges for that.
      const waitMs = failures > 0 ? ceiling * (0.5 + actions.random() / 2) : lookEveryMs;
      const timer = setTimeout(resolve, waitMs);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (stopped) wake();
    });
  }

  const running = run();
  return {
    nudge() {
      nudged = true;
      wake();
    },
    async stop() {
      stopped = true;
      wake();
      // A confirmation may be far away; its intent is durable, so the next start takes it up.
      await Promise.race([running, new Promise((resolve) => setTimeout(resolve, stopMs))]);
    },
  };
}
