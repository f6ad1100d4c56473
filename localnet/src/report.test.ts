import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { EpochRow, NodeId } from "@cairn/protocol";
import {
  amountText,
  durationText,
  epochLine,
  epochNews,
  partLines,
  progressLine,
  summarise,
  totalsLine,
} from "./report.ts";

const token = { address: `0x${"1".repeat(40)}`, symbol: "CAIRN", decimals: 18 };
const whole = 10n ** 18n;
const hash = `0x${"ab".repeat(32)}`;

function row(epoch: number, changes: Partial<EpochRow> = {}): EpochRow {
  return {
    epoch,
    firstSlot: (epoch - 1) * 6,
    slotCount: 6,
    opensAt: 0,
    closedAt: 60_000,
    state: "settled",
    nodes: 3,
    slotsCredited: 18,
    slotsExpected: 18,
    slotsVoid: 0,
    total: (100n * whole).toString(),
    root: hash,
    evidence: hash,
    transaction: hash,
    claims: [
      { operator: `0x${"5".repeat(40)}`, amount: (100n * whole).toString(), transaction: `0x${"cd".repeat(32)}` },
    ],
    ...changes,
  };
}

describe("the line of an epoch", () => {
  test("says nodes, slots, tokens and the whole transaction hash", () => {
    assert.equal(
      epochLine({ kind: "settled", row: row(3) }, token),
      `epoch 3 settled: 3 nodes, 18 of 18 slots credited, 100 CAIRN, transaction ${hash}`,
    );
  });
  test("uses the singular, and says void slots in words", () => {
    const one = row(4, { nodes: 1, slotsCredited: 1, slotsExpected: 1, slotsVoid: 5, total: "500000000000000000" });
    assert.equal(
      epochLine({ kind: "settled", row: one }, token),
      `epoch 4 settled: 1 node, 1 of 1 slot credited, 5 slots void, counted for nobody, 0.5 CAIRN, transaction ${hash}`,
    );
  });
  test("says of void epochs that nothing is paid, many in one line", () => {
    assert.match(epochLine({ kind: "void", first: 5, last: 5 }, token), /^epoch 5 is void: .* nothing is paid$/);
    assert.match(epochLine({ kind: "void", first: 5, last: 480 }, token), /^epochs 5 to 480 are void/);
  });
});

describe("news of epochs", () => {
  test("are the ended ones that were not told, in order, void ones in a row together", () => {
    const rows = [
      row(1),
      row(2, { state: "void" }),
      row(3, { state: "void" }),
      row(4),
      row(5, { state: "void" }),
      row(6, { state: "posted" }),
      row(7, { state: "closed" }),
    ];
    const news = epochNews(rows, new Set([1]));
    assert.deepEqual(
      news.map((each) => (each.kind === "settled" ? each.row.epoch : [each.first, each.last])),
      [[2, 3], 4, [5, 5]],
    );
  });
  test("do not join void epochs over one that is not ended yet", () => {
    const rows = [row(2, { state: "void" }), row(3, { state: "posted" }), row(4, { state: "void" })];
    assert.equal(epochNews(rows, new Set()).length, 2);
  });
});

describe("texts", () => {
  test("give amounts in whole tokens to the last digit", () => {
    assert.equal(amountText(100n * whole, token), "100");
    assert.equal(amountText(1n, token), "0.000000000000000001");
    assert.equal(amountText("36666666666666666666", token), "36.666666666666666666");
    assert.equal(amountText(0n, token), "0");
  });
  test("give durations in seconds, minutes or hours", () => {
    assert.deepEqual([900, 59_400, 65_000, 3_720_000].map(durationText), ["1 s", "59 s", "1 min 5 s", "1 h 2 min"]);
  });
  test("give every part one line with its address, the names in one column", () => {
    const node = {
      ...{ name: "harbour-mast", publicKey: "", operator: `0x${"5".repeat(40)}` as const, number: 2, folder: "" },
      nodeId: "a".repeat(40) as NodeId,
    };
    const lines = partLines({ rpc: "http://r", broker: "mqtt://b", web: "http://w" }, 7, [node]);
    assert.deepEqual(lines, [
      "chain         http://r, at block 7",
      "coordinator   mqtt://b and http://w/api/v1",
      `harbour-mast  node ${"a".repeat(40)}, operator 0x${"5".repeat(40)}`,
      "web page      http://w",
    ]);
  });
  test("say when the running epoch closes", () => {
    const epoch = { epoch: 2, firstSlot: 6, slotCount: 6, opensAt: 0, closesAt: 62_000 };
    const line = progressLine({ at: 5_000, epoch, nodes: [] }, { nodes: 3, slotSeconds: 10, slotsPerEpoch: 6 });
    assert.equal(line, "epoch 2 (6 slots of 10 s) closes in 57 s; Ctrl-C stops everything");
  });
});

describe("the summary", () => {
  const facts = {
    network: {
      ...{ network: "local", chainId: 31_337, rewards: token.address, token, verifiers: [], slotMs: 10_000 },
      ...{ slotsPerEpoch: 6, epochBudget: "1", workShareBps: 0, uptimeFloorBps: 0, software: "x" },
    },
    nodes: [],
    settled: [row(3), row(4, { slotsCredited: 9, total: (50n * whole).toString() })],
    balances: [{ operator: `0x${"5".repeat(40)}` as const, amount: 250n * whole }],
    health: { status: "ok" as const, readingsStored: 1_234, batchesStored: 10, queueDepth: 0, refusalsShed: 0 },
  };
  const summary = summarise(facts);

  test("adds up the epochs of the run, and names every transaction once", () => {
    assert.deepEqual(
      [summary.slotsCredited, summary.slotsExpected, summary.amount, summary.epochs.map(({ epoch }) => epoch)],
      [27, 36, "150", [3, 4]],
    );
    assert.deepEqual(summary.transactions, [hash, `0x${"cd".repeat(32)}`, hash, `0x${"cd".repeat(32)}`]);
    assert.deepEqual(summary.balances, [{ operator: `0x${"5".repeat(40)}`, amount: "250" }]);
  });
  test("is said to people in one line with units", () => {
    assert.equal(
      totalsLine(summary, 130_000),
      "2 epochs settled in 2 min 10 s, 27 of 36 slots credited, 150 CAIRN, 1,234 readings stored",
    );
  });

  test("says that nothing was settled rather than a row of zeros", () => {
    assert.equal(
      totalsLine(summarise({ ...facts, settled: [] }), 6_000),
      "no epoch settled in 6 s, 1,234 readings stored",
    );
  });
});
