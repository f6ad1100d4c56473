import assert from "node:assert/strict";
import { test } from "node:test";
import { founding } from "../../testing/founding.ts";
import { checkFounding, encodeFounding } from "./founding.ts";

test("terms that are not those of the ledger are named one by one, and no others", () => {
  const wanted = {
    ...founding,
    verifiers: [],
    time: { ...founding.time, slotMs: 30_000 },
    parameters: { ...founding.parameters, epochBudget: 1n },
  };
  assert.throws(() => checkFounding(encodeFounding(founding), wanted), {
    code: "ledger-foreign",
    message: [
      `the ledger belongs to a network founded on other terms: verifiers.0: the ledger has ${founding.verifiers[0]}, nothing was asked`,
      "time.slotMs: the ledger has 60000, 30000 was asked",
      "parameters.epochBudget: the ledger has 1000000000000000000000, 1 was asked: start over in an empty data folder, or with the old settings",
    ].join("; "),
  });
  checkFounding(encodeFounding(founding), founding);
});
