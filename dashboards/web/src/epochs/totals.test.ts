import assert from "node:assert/strict";
import { test } from "node:test";
import type { EpochRow } from "@cairn/protocol";
import { valley } from "../../testing/script.ts";
import { totalsOf } from "./totals.ts";

const [pattern] = valley(Date.UTC(2026, 2, 1)).epochs;
assert.ok(pattern !== undefined);
const operators = ["0xaa", "0xbb"];

function epoch(state: EpochRow["state"], total: string, ...claims: [amount: string, paid: boolean][]): EpochRow {
  return {
    ...(pattern as EpochRow),
    state,
    total,
    claims: claims.map(([amount, paid], index) => ({
      operator: operators[index] ?? "",
      amount,
      transaction: paid ? "0x01" : null,
    })),
  };
}

test("only epochs on chain count as awarded; closed ones wait, void ones pay nothing", () => {
  const totals = totalsOf([
    epoch("closed", "100"),
    epoch("posted", "100", ["60", true], ["40", false]),
    epoch("void", "0"),
    epoch("settled", "100"),
  ]);
  assert.deepEqual(totals, { posted: 2, amount: "200", claimed: "160", unclaimed: "40", waiting: 1, void: 1 });
});

test("a settled epoch is claimed in full, so nothing is left over when all are settled", () => {
  assert.equal(totalsOf([epoch("settled", "99999999999999999999")]).unclaimed, "0");
});
