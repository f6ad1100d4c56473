import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Dropped, StorageReceipt } from "@cairn/protocol";
import fc from "fast-check";
import { Uplink, type UplinkRules } from "./uplink.ts";

const rules: UplinkRules = {
  window: 4,
  graceMs: 1_500,
  refusals: 3,
  readingsPerBatch: 10,
  backoff: (attempt) => 5_000 * 2 ** Math.min(attempt, 3),
};

type Sent = { sequence: number; dropped: readonly Dropped[]; again: boolean };

/** An uplink with `sealed` batches, connected at 0 ms to a coordinator that is online. */
function openUplink(sealed: number) {
  const sent: Sent[] = [];
  const receipted: number[] = [];
  const setAside: number[] = [];
  let takenBack = 0;
  const uplink = new Uplink(rules, sealed, {
    send: (sequence, dropped, again) => sent.push({ sequence, dropped, again }),
    receipted: (sequence) => receipted.push(sequence),
    setAside: (sequence) => setAside.push(sequence),
    takenBack: (batches) => {
      takenBack += batches;
    },
  });
  uplink.up(0);
  uplink.coordinatorIs("online", 0, 0);
  const take = () => sent.splice(0).map(({ sequence }) => sequence);
  return { uplink, sent, receipted, setAside, takenBack: () => takenBack, take };
}

describe("the uplink of a simulated node", () => {
  test("sends a window and no more until a receipt covers some of it", () => {
    const { uplink, take, receipted } = openUplink(10);
    uplink.work(0);
    uplink.work(10);
    assert.deepEqual(take(), [1, 2, 3, 4]);
    uplink.receipt({ upTo: 2 }, 20);
    uplink.work(20);
    assert.deepEqual(take(), [5, 6]);
    assert.deepEqual(receipted, [1, 2]);
    assert.equal(uplink.waiting, 8);
  });

  test("without a receipt in time it sends again from the oldest on, later each time", () => {
    const { uplink, sent, take } = openUplink(3);
    assert.equal(uplink.work(0), 5_000);
    take();
    assert.equal(uplink.work(4_999), 5_000);
    assert.deepEqual(take(), []);
    assert.equal(uplink.work(5_000), 15_000);
    assert.ok(sent.every(({ again }) => again));
    assert.deepEqual(take(), [1, 2, 3]);
    assert.equal(uplink.work(15_000), 35_000);
  });

  test("a receipt starts the delays anew, and one of the past changes nothing", () => {
    const { uplink, take, receipted } = openUplink(5);
    for (const at of [0, 5_000, 15_000]) uplink.work(at);
    take();
    uplink.receipt({ upTo: 3 }, 16_000);
    assert.equal(uplink.work(16_000), 21_000);
    uplink.receipt({ upTo: 1 }, 17_000);
    assert.equal(uplink.work(17_000), 21_000);
    assert.deepEqual(receipted, [1, 2, 3]);
  });

  test("a receipt for what was never sent frees nothing of it", () => {
    const { uplink, receipted } = openUplink(10);
    uplink.work(0);
    uplink.receipt({ upTo: 9 }, 10);
    assert.deepEqual(receipted, [1, 2, 3, 4]);
    assert.equal(uplink.waiting, 6);
  });

  test("a gap is answered by sending again at once, but once for the refusals of one window", () => {
    const { uplink, take } = openUplink(4);
    uplink.work(0);
    take();
    for (const sequence of [2, 3, 4]) {
      uplink.receipt({ upTo: 0, refused: { sequence, code: "sequence-gap" } }, 300);
      uplink.work(300);
    }
    assert.deepEqual(take(), [1, 2, 3, 4]);
  });

  test("a batch refused for good three times is set aside and stated as dropped by the next", () => {
    const { uplink, sent, setAside, receipted } = openUplink(4);
    let now = 0;
    for (let refusal = 0; refusal < 3; refusal++) {
      now = Math.max(now, uplink.work(now) ?? now) + 1;
      uplink.work(now);
      uplink.receipt({ upTo: 1, refused: { sequence: 2, code: "schema-mismatch" } }, now);
      assert.equal(setAside.length, refusal === 2 ? 1 : 0);
    }
    sent.length = 0;
    now += 100_000;
    uplink.work(now);
    const dropped = [{ first: 2, last: 2, readings: 10, reason: "refused" }];
    assert.deepEqual(sent, [
      { sequence: 3, dropped, again: true },
      { sequence: 4, dropped: [], again: true },
    ]);
    uplink.receipt({ upTo: 4 }, now);
    assert.deepEqual(receipted, [1, 3, 4]);
    assert.equal(uplink.waiting, 0);
  });

  test("what is stored ahead of a missing batch is not sent again for it", () => {
    const { uplink, take } = openUplink(4);
    uplink.work(0);
    take();
    uplink.receipt({ upTo: 0, refused: { sequence: 2, code: "sequence-duplicate" } }, 300);
    uplink.work(300);
    assert.deepEqual(take(), []);
  });

  test("a ledger that misses what it had receipted is noticed, and told what is gone", () => {
    for (const code of ["sequence-gap", "sequence-duplicate"] as const) {
      const { uplink, sent, takenBack, receipted } = openUplink(6);
      uplink.work(0);
      uplink.receipt({ upTo: 4 }, 10);
      uplink.work(10);
      sent.length = 0;
      uplink.receipt({ upTo: 1, refused: { sequence: 5, code } }, 300);
      assert.equal(takenBack(), 3);
      uplink.work(300);
      assert.deepEqual(sent[0], {
        sequence: 5,
        dropped: [{ first: 2, last: 4, readings: 0, reason: "already-freed" }],
        again: true,
      });
      uplink.receipt({ upTo: 6 }, 400);
      assert.deepEqual(receipted, [1, 2, 3, 4, 5, 6]);
      assert.equal(uplink.waiting, 0);
    }
  });

  test("nothing goes out while the coordinator is away, nor before it was heard of or the grace is over", () => {
    const { uplink, take } = openUplink(2);
    uplink.coordinatorIs("offline", 0, 0);
    assert.equal(uplink.work(9_000), undefined);
    uplink.coordinatorIs("online", 10_000, 0.5);
    assert.equal(uplink.work(10_000), 10_750);
    uplink.work(10_750);
    assert.deepEqual(take(), [1, 2]);
    uplink.down();
    assert.equal(uplink.work(20_000), undefined);
    uplink.up(20_000);
    assert.equal(uplink.work(20_000), 21_500);
    assert.deepEqual(take(), []);
    uplink.work(21_500);
    assert.deepEqual(take(), [1, 2]);
  });

  test("against a coordinator that takes numbers without a gap, any losses end with each batch stored and receipted once", () => {
    const events = fc.array(fc.constantFrom("seal", "lose", "deliver", "answer lost", "cut", "wait"), {
      maxLength: 200,
    });
    fc.assert(
      fc.property(events, (list) => {
        const { uplink, sent, receipted } = openUplink(3);
        let [now, stored, sealed] = [0, 0, 3];
        const answer = (sequence: number): Pick<StorageReceipt, "upTo" | "refused"> => {
          if (sequence === stored + 1) stored = sequence;
          return sequence > stored ? { upTo: stored, refused: { sequence, code: "sequence-gap" } } : { upTo: stored };
        };
        for (const event of [...list, ...Array(60).fill("deliver all")]) {
          now += event === "wait" || event === "deliver all" ? 70_000 : 50;
          if (event === "seal") sealed = uplink.seal();
          if (event === "cut") {
            uplink.down();
            sent.length = 0;
            uplink.up(now);
            uplink.coordinatorIs("online", now, 0);
          }
          uplink.work(now);
          for (const message of sent.splice(0, event === "deliver all" ? 100 : event === "seal" ? 0 : 1)) {
            if (event === "lose") continue;
            const receipt = answer(message.sequence);
            if (event !== "answer lost") uplink.receipt(receipt, now);
          }
        }
        assert.equal(uplink.waiting, 0);
        assert.deepEqual(
          receipted,
          Array.from({ length: sealed }, (_, at) => at + 1),
        );
      }),
    );
  });
});
