import assert from "node:assert/strict";
import { test } from "node:test";
import type { Batch, BootId, RejectionCode } from "@cairn/protocol";
import { silent, virtualSurroundings } from "../../testing/surroundings.ts";
import type { Boot, RefusalMeaning, SealedBatch, UplinkState, UplinkStep } from "../model.ts";
import { createUplink, type UplinkStore } from "./uplink.ts";

const boot: Boot = { id: "b".repeat(32) as BootId, count: 1 };
const limits = { window: 4, batchReadings: 10, batchMs: 1_000, graceMs: 0, refusals: 2 };

/** A store of numbered batches in memory, and a policy that sends everything and starts over when told so. */
function scene(meaning: RefusalMeaning = "gap") {
  const surroundings = virtualSurroundings([0]);
  const batches: SealedBatch[] = [1, 2, 3].map((sequence) => ({ boot, sequence, readings: 10 }));
  const sent: number[] = [];
  const aside: [number, RejectionCode][] = [];
  const seen: UplinkState[] = [];
  let failing = 0;
  const store: UplinkStore = {
    boot,
    queued: () => ({ results: 0, telemetry: 0 }),
    outstanding: (limit) => {
      if (failing-- > 0) throw new Error("disk full");
      return batches.slice(0, limit);
    },
    openTails: () => [],
    seal: () => [],
    sealStatement: () => assert.fail("nothing to state"),
    read: ({ sequence }): Batch => ({ boot: boot.id, bootCount: 1, sequence, dropped: [], readings: [] }),
    received({ boot: of, upTo }) {
      const before = batches.length;
      if (batches[0]?.boot.id !== of) return 0;
      while (batches[0] && batches[0].sequence <= upTo) batches.shift();
      return (before - batches.length) * 10;
    },
    setAside({ sequence }, code) {
      aside.push([sequence, code]);
      batches.splice(
        batches.findIndex((batch) => batch.sequence === sequence),
        1,
      );
    },
    abandon: () => assert.fail("nothing to abandon"),
  };
  const next = (state: UplinkState): UplinkStep[] => {
    seen.push(state);
    const wait = (untilMs: number | undefined): UplinkStep[] => [{ kind: "wait", untilMs }];
    if (state.connectedAtMs === undefined || state.coordinator === "offline") return wait(undefined);
    const refused = state.outstanding.find(({ refusals }) => refusals >= 2);
    if (refused?.refusedWith) return [{ kind: "set-aside", batch: refused, code: refused.refusedWith }];
    if (state.nowMs < state.pausedUntilMs) return wait(state.pausedUntilMs);
    if (state.lostAtMs !== undefined && state.nowMs >= state.lostAtMs)
      return [{ kind: "start-over", reason: "no-receipt" }];
    const unsent = state.outstanding.filter(({ inFlight }) => !inFlight);
    return unsent.length > 0 ? unsent.map((batch) => ({ kind: "send", batch })) : wait(state.lostAtMs);
  };
  const uplink = createUplink({
    store,
    limits,
    surroundings,
    log: silent,
    next,
    meaning: () => meaning,
    backoff: (attempt) => 1_000 * 2 ** attempt,
    send: async (batch) => {
      sent.push(batch.sequence);
    },
  });
  return {
    uplink,
    batches,
    surroundings,
    sent,
    aside,
    seen,
    failNext(times: number) {
      failing = times;
    },
    refuse: (sequence: number, code: RejectionCode, upTo = 0) =>
      uplink.receipt({ boot: boot.id, upTo, refused: { sequence, code } }),
  };
}

test("without a receipt everything is sent again from the oldest, later and later", () => {
  const { uplink, surroundings, sent } = scene();
  uplink.connected();
  assert.deepEqual(sent, [1, 2, 3]);
  surroundings.advance(999);
  assert.equal(sent.length, 3);
  surroundings.advance(1);
  assert.deepEqual(sent, [1, 2, 3, 1, 2, 3]);
  surroundings.advance(1_999);
  assert.equal(sent.length, 6);
  surroundings.advance(1);
  assert.equal(sent.length, 9);
});

test("a receipt that frees something gives the rest its full time again", () => {
  const { uplink, surroundings, sent } = scene();
  uplink.connected();
  surroundings.advance(900);
  uplink.receipt({ boot: boot.id, upTo: 1 });
  surroundings.advance(999);
  assert.deepEqual(sent, [1, 2, 3]);
  surroundings.advance(1);
  assert.deepEqual(sent, [1, 2, 3, 2, 3]);
});

test("a reconnect sends again what was under way", () => {
  const { uplink, sent } = scene();
  uplink.connected();
  uplink.disconnected();
  uplink.connected();
  assert.deepEqual(sent, [1, 2, 3, 1, 2, 3]);
});

test("while the coordinator is offline nothing is sent, and on its return everything again", () => {
  const { uplink, surroundings, sent } = scene();
  uplink.connected();
  uplink.coordinatorIs("offline");
  surroundings.advance(60_000);
  assert.equal(sent.length, 3);
  uplink.coordinatorIs("online");
  assert.deepEqual(sent, [1, 2, 3, 1, 2, 3]);
});

test("what the coordinator said before the connection counted as up is heard", () => {
  const { uplink, sent } = scene();
  uplink.coordinatorIs("offline");
  uplink.connected();
  assert.deepEqual(sent, []);
  uplink.disconnected();
  uplink.connected();
  assert.deepEqual(sent, [1, 2, 3]);
});

test("one lost batch makes one start over, not one per refusal behind it", () => {
  const { uplink, surroundings, sent, refuse } = scene("gap");
  uplink.connected();
  refuse(2, "sequence-gap");
  refuse(3, "sequence-gap");
  assert.deepEqual(sent, [1, 2, 3, 1, 2, 3]);
  surroundings.advance(300);
  refuse(9, "sequence-gap");
  assert.equal(sent.length, 6, "the refusal of a batch that is not under way");
});

test("what is stored ahead of a missing batch is left alone, unless it is the oldest", () => {
  const { uplink, surroundings, sent, refuse } = scene("ahead");
  uplink.connected();
  refuse(3, "sequence-duplicate");
  surroundings.advance(300);
  assert.deepEqual(sent, [1, 2, 3]);
  refuse(1, "sequence-duplicate");
  assert.deepEqual(sent, [1, 2, 3, 1, 2, 3]);
});

test("what is stored of another boot under the oldest one's number says nothing about the oldest", () => {
  const { uplink, batches, sent } = scene("ahead");
  const earlier: Boot = { id: "a".repeat(32) as BootId, count: 0 };
  batches.unshift({ boot: earlier, sequence: 2, readings: 10 });
  uplink.connected();
  assert.deepEqual(sent, [2, 1, 2, 3]);
  uplink.receipt({ boot: boot.id, upTo: 0, refused: { sequence: 2, code: "sequence-duplicate" } });
  assert.equal(sent.length, 4);
  uplink.receipt({ boot: earlier.id, upTo: 0, refused: { sequence: 2, code: "sequence-duplicate" } });
  assert.equal(sent.length, 8);
});

test("a gap that stays is answered less and less often, and at once again when something was freed", () => {
  const { uplink, surroundings, sent, refuse } = scene("gap");
  uplink.connected();
  for (let tenths = 0; tenths < 9; tenths++) {
    refuse(1, "sequence-gap");
    surroundings.advance(100);
  }
  assert.equal(sent.length, 9, "at once, after 0.4 s, and not after 0.8 s");
  uplink.receipt({ boot: boot.id, upTo: 1 });
  surroundings.advance(200);
  refuse(2, "sequence-gap");
  assert.equal(sent.length, 11);
});

test("a batch refused for good is tried again after a pause, then set aside, and the others go on", () => {
  const { uplink, surroundings, sent, aside, refuse } = scene("batch");
  uplink.connected();
  refuse(1, "schema-mismatch");
  assert.equal(sent.length, 3);
  surroundings.advance(1_000);
  assert.deepEqual(sent, [1, 2, 3, 1, 2, 3]);
  refuse(1, "schema-mismatch");
  assert.deepEqual(aside, [[1, "schema-mismatch"]]);
  surroundings.advance(2_000);
  assert.deepEqual(sent.slice(6), [2, 3]);
});

test("a refusal that is not the batch's fault pauses longer and longer and sets nothing aside", () => {
  const { uplink, surroundings, sent, aside, refuse } = scene("later");
  uplink.connected();
  for (const pauseMs of [1_000, 2_000, 4_000, 8_000]) {
    const before = sent.length;
    refuse(1, "key-unknown");
    surroundings.advance(pauseMs - 1);
    assert.equal(sent.length, before);
    surroundings.advance(1);
    assert.equal(sent.length, before + 3);
  }
  assert.deepEqual(aside, []);
});

test("a refused boot counts against batches of earlier boots only", () => {
  const { uplink, surroundings, aside, refuse } = scene("boot");
  uplink.connected();
  for (let round = 0; round < 4; round++) {
    refuse(1, "boot-regressed");
    surroundings.advance(60_000);
  }
  assert.deepEqual(aside, []);
});

test("a store that fails is tried again later, and a closed uplink does nothing", () => {
  const { uplink, surroundings, sent, failNext } = scene();
  failNext(1);
  uplink.connected();
  assert.equal(sent.length, 0);
  surroundings.advance(1_000);
  assert.equal(sent.length, 3);
  uplink.close();
  surroundings.advance(600_000);
  assert.equal(sent.length, 3);
});
