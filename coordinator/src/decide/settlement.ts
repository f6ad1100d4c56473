/** What to do next for an epoch on its way to the chain. One step at a time, epochs in order: pure, so every crash can be replayed. */
import type { Settlement, SettlementStep } from "../model.ts";

export function settlementStep({ outcome, posted, paid, intents }: Settlement): SettlementStep {
  const [intent] = intents;
  if (intent) return { kind: "resolve", intent };
  if (!posted) return { kind: "post-root" };
  const unpaid = outcome.operators.find(({ operator, amount }) => amount > 0n && !paid.includes(operator));
  return unpaid ? { kind: "claim", operator: unpaid } : { kind: "done" };
}
