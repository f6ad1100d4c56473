import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { operatorAddress } from "../../testing/founding.ts";
import { outcomeOf } from "../../testing/ledger/epochs.ts";
import { intent } from "../../testing/ledger/settlement.ts";
import type { Intent, Settlement, SettlementStep } from "../model.ts";
import { settlementStep } from "./settlement.ts";

const [one, two, three] = [operatorAddress(1), operatorAddress(2), operatorAddress(3)];
const outcome = outcomeOf({
  epoch: 1,
  operators: [
    { operator: one, amount: 60n },
    { operator: two, amount: 0n, cumulativeAmount: 9n },
    { operator: three, amount: 40n },
  ],
});
const closed: Settlement = { outcome, posted: false, paid: [], intents: [] };

test("a closed epoch is posted, then claimed for each operator that earned in it, then done", () => {
  assert.deepEqual(settlementStep(closed), { kind: "post-root" });
  assert.deepEqual(claimed(settlementStep({ ...closed, posted: true })), one);
  assert.deepEqual(claimed(settlementStep({ ...closed, posted: true, paid: [one] })), three);
  assert.deepEqual(claimed(settlementStep({ ...closed, posted: true, paid: [three] })), one);
  assert.deepEqual(settlementStep({ ...closed, posted: true, paid: [three, one] }), { kind: "done" });
});

test("an open intent is found out about before anything else is begun", () => {
  for (const open of [intent("post-root", 1), intent("claim", 1, one)])
    for (const posted of [false, true])
      assert.deepEqual(settlementStep({ ...closed, posted, intents: [open] }), { kind: "resolve", intent: open });
});

/** How an attempt ends: nothing was written, the intent was written, or its effect too. */
type Attempt = "lost" | "recorded" | "confirmed" | "failed";

test("from any state, whatever each attempt comes to, the walk ends with one root and one claim for each operator that earned", () => {
  const anyStart = fc.record({
    posted: fc.boolean(),
    paid: fc.subarray([one, three]),
    intents: fc.subarray([intent("post-root", 1), intent("claim", 1, one), intent("claim", 1, three)]),
  });
  const anyAttempts = fc.array(fc.constantFrom<Attempt>("lost", "recorded", "confirmed", "failed"), { maxLength: 20 });
  fc.assert(
    fc.property(anyStart, anyAttempts, (start, attempts) => {
      const effects: string[] = [];
      let settlement: Settlement = { outcome, ...start, paid: start.posted ? start.paid : [] };
      const begun = settlement;
      for (let turn = 0; ; turn++) {
        assert.ok(turn < attempts.length + 20, "the walk does not end");
        const step = settlementStep(settlement);
        if (step.kind === "done") break;
        settlement = after(settlement, step, attempts[turn] ?? "confirmed", effects);
      }
      assert.ok(settlement.posted);
      assert.deepEqual([...settlement.paid].sort(), [one, three]);
      const expected = [
        ...(begun.posted ? [] : ["post-root "]),
        ...[one, three].filter((operator) => !begun.paid.includes(operator)).map((operator) => `claim ${operator}`),
      ];
      assert.deepEqual([...effects].sort(), expected.sort());
    }),
  );
});

/** The state after one attempt at a step; a crash leaves what was written until then. */
function after(
  settlement: Settlement,
  step: Exclude<SettlementStep, { kind: "done" }>,
  attempt: Attempt,
  effects: string[],
): Settlement {
  const begun = step.kind === "resolve" ? step.intent : begin(step);
  if (attempt === "lost") return settlement;
  const others = settlement.intents.filter((other) => other !== begun);
  if (attempt === "recorded") return { ...settlement, intents: [begun, ...others] };
  if (attempt === "failed") return { ...settlement, intents: others };
  const { kind, operator } = begun;
  const name = `${kind} ${operator}`;
  const stands = kind === "post-root" ? settlement.posted : operator === "" || settlement.paid.includes(operator);
  if (!stands) effects.push(name);
  return {
    ...settlement,
    intents: others,
    posted: settlement.posted || kind === "post-root",
    paid: operator === "" || stands ? settlement.paid : [...settlement.paid, operator],
  };
}

function begin(step: Extract<SettlementStep, { kind: "post-root" | "claim" }>): Intent {
  return step.kind === "claim" ? intent("claim", 1, step.operator.operator) : intent("post-root", 1);
}

function claimed(step: SettlementStep): string | undefined {
  return step.kind === "claim" ? step.operator.operator : undefined;
}
