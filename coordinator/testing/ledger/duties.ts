/** Behaviour of every ledger: a duty is one holder's at a time, whoever lost it writes nothing any more, and replicas see each other. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { NodeId } from "@cairn/protocol";
import type { Duty, DutyWrites, Fence, Ledger, Replica } from "../../src/model.ts";
import { operatorAddress, slotTime } from "../founding.ts";
import { slotRow } from "../inputs.ts";
import { twoOperators } from "./epochs.ts";
import { fill, report } from "./life.ts";
import { type OpenStore, onStore } from "./opened-store.ts";
import { intent } from "./settlement.ts";

const duties: readonly Duty[] = ["placer", "retention", "settler", "verifier"];
const long = 60_000;

export function dutyBehaviour(open: OpenStore): void {
  test(
    "the clock is the world's, and the same for every instance",
    onStore(open, async ({ ledger, beside }) => {
      const there = await beside();
      const times = [await ledger.clock(), await there.clock(), await ledger.clock()];
      assert.deepEqual(
        times.toSorted((a, b) => a - b),
        times,
      );
      for (const at of times) assert.ok(Number.isInteger(at) && Math.abs(at - Date.now()) < 10_000, `${at}`);
    }),
  );

  test(
    "a duty is one holder's while its time lasts, and another's who asks when it is over",
    onStore(open, async (store) => {
      const [here, there] = [store.ledger, await store.beside()];
      assert.deepEqual(await here.duties(), []);
      const before = await here.clock();
      const first = await take(here, "verifier", "one", 300);
      assert.equal(await there.takeDuty("verifier", "two", long), null);
      const [held, ...others] = await there.duties();
      assert.deepEqual(others, []);
      assert.ok(held && held.until >= before + 300 && held.until <= (await here.clock()) + 300);
      assert.deepEqual(held, { ...first, holder: "one", until: held.until });
      await after(there, held.until);
      const second = await take(there, "verifier", "two", long);
      assert.ok(second.token > first.token);
      assert.equal(await here.takeDuty("verifier", "one", long), null);
      assert.partialDeepStrictEqual(await here.duties(), [{ ...second, holder: "two" }]);
    }),
  );

  test(
    "every duty has a holder of its own",
    onStore(open, async ({ ledger }) => {
      const fences = [];
      for (const duty of duties) fences.push(await take(ledger, duty, `of ${duty}`));
      assert.deepEqual(
        (await ledger.duties()).map(({ until: _, ...held }) => held),
        fences.map((fence) => ({ ...fence, holder: `of ${fence.duty}` })),
      );
      for (const duty of duties) assert.equal(await ledger.takeDuty(duty, "another", long), null);
    }),
  );

  test(
    "the holder that asks again keeps its token and holds the duty longer, also when its time ran out but nobody came",
    onStore(open, async ({ ledger }) => {
      const fence = await take(ledger, "settler", "one", 50);
      assert.deepEqual(await take(ledger, "settler", "one", 100), fence);
      const until = (await ledger.duties())[0]?.until ?? 0;
      await after(ledger, until);
      assert.deepEqual(await take(ledger, "settler", "one"), fence);
      assert.ok(((await ledger.duties())[0]?.until ?? 0) > until + long / 2);
      assert.equal(await ledger.takeDuty("settler", "two", 1), null);
    }),
  );

  test(
    "tokens rise with every change of the holder, also over releases and a restart",
    onStore(open, async (store) => {
      let { ledger } = store;
      const tokens: number[] = [];
      for (const holder of ["one", "two", "one", "three", "two"]) {
        const fence = await take(ledger, "placer", holder);
        tokens.push(fence.token);
        await ledger.releaseDuty(fence);
        ledger = await store.reopen();
      }
      assert.equal(new Set(tokens).size, tokens.length);
      assert.deepEqual(
        tokens.toSorted((a, b) => a - b),
        tokens,
      );
    }),
  );

  test(
    "a duty that is given back is another's at once, and giving it back twice takes nothing from the next",
    onStore(open, async (store) => {
      const [here, there] = [store.ledger, await store.beside()];
      const fence = await take(here, "retention", "one");
      await here.releaseDuty(fence);
      const next = await take(there, "retention", "two");
      await here.releaseDuty(fence);
      assert.equal(await here.takeDuty("retention", "one", long), null);
      assert.partialDeepStrictEqual(await here.duties(), [{ ...next, holder: "two" }]);
    }),
  );

  test(
    "of many that ask two instances at the same time, one gets the duty",
    onStore(open, async (store) => {
      const instances = [store.ledger, await store.beside()];
      for (const duty of duties) {
        const asks = Array.from({ length: 8 }, (_, index) => {
          const ledger = instances[index % instances.length] ?? store.ledger;
          return ledger.takeDuty(duty, `replica ${index}`, long);
        });
        const fences = (await Promise.all(asks)).filter((fence) => fence !== null);
        assert.equal(fences.length, 1, `${duty}: ${JSON.stringify(fences)}`);
      }
    }),
  );

  test(
    "whoever lost a duty writes nothing, whatever it wants to write, and its follower does",
    onStore(open, async (store) => {
      const [here, there] = [store.ledger, await store.beside()];
      await fill(here);
      const [node] = await here.nodes();
      assert.ok(node);
      const fence = await take(here, "verifier", "one");
      const [lost, next] = [here.under(fence), there.under(await takenOver(there, fence))];
      for (const [name, write] of Object.entries(writes)) {
        const before = await report(there);
        await assert.rejects(write(lost, node.nodeId), { code: "duty-lost" }, name);
        assert.deepEqual(await report(there), before, `${name} wrote without the duty`);
        await write(next, node.nodeId);
        assert.notDeepEqual(await report(there), before, `${name} had nothing to write`);
      }
    }),
  );

  test(
    "a fence is one duty's: that of another, or of a token that never was, writes nothing",
    onStore(open, async ({ ledger }) => {
      const { token } = await take(ledger, "verifier", "one");
      const strangers: Fence[] = [
        { duty: "settler", token },
        { duty: "verifier", token: token + 1 },
      ];
      for (const fence of strangers)
        await assert.rejects(ledger.under(fence).openSlot(slotRow(0)), { code: "duty-lost" });
      assert.deepEqual(await ledger.slots(0), []);
    }),
  );

  test(
    "a holder whose time ran out goes on as long as nobody takes the duty",
    onStore(open, async ({ ledger }) => {
      const fence = await take(ledger, "verifier", "one", 1);
      await after(ledger, (await ledger.duties())[0]?.until ?? 0);
      await ledger.under(fence).openSlot(slotRow(0));
      assert.equal((await ledger.slots(0)).length, 1);
    }),
  );

  test(
    "once a duty is taken over, no write of its last holder lands any more, however many are on their way",
    onStore(open, async (store) => {
      const [here, there] = [store.ledger, await store.beside()];
      const fence = await take(here, "verifier", "one", 1);
      await after(here, (await here.duties())[0]?.until ?? 0);
      const slots = Array.from({ length: 40 }, (_, slot) => slotRow(slot));
      const early = slots.slice(0, 20).map((slot) => here.under(fence).openSlot(slot));
      const taking = take(there, "verifier", "two");
      const late = slots.slice(20).map((slot) => here.under(fence).openSlot(slot));
      const settled = Promise.allSettled([...early, ...late]);
      await taking;
      const landed = await there.slots(0);
      const outcomes = await settled;
      assert.deepEqual(await there.slots(0), landed);
      assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, landed.length);
    }),
  );

  test(
    "a replica is listed as it described itself last, by name, by every instance",
    onStore(open, async (store) => {
      const [here, there] = [store.ledger, await store.beside()];
      assert.deepEqual(await here.replicas(long), []);
      const before = await here.clock();
      await here.noteReplica(replica("second", { roles: [] }));
      await there.noteReplica(replica("first", { committedBefore: 17 }));
      await here.noteReplica(replica("second", { software: "cairn-coordinator 0.3.0", committedBefore: 2 ** 52 }));
      for (const ledger of [here, there]) {
        const seen = await ledger.replicas(long);
        for (const { seenAt } of seen) assert.ok(seenAt >= before && seenAt <= (await ledger.clock()));
        assert.deepEqual(
          seen.map(({ seenAt: _, ...said }) => said),
          [
            replica("first", { committedBefore: 17 }),
            replica("second", { software: "cairn-coordinator 0.3.0", committedBefore: 2 ** 52 }),
          ],
        );
      }
    }),
  );

  test(
    "a replica that was not seen for as long as is asked is not listed",
    onStore(open, async ({ ledger }) => {
      await ledger.noteReplica(replica("silent"));
      const seenAt = (await ledger.replicas(long))[0]?.seenAt ?? 0;
      await after(ledger, seenAt + 500);
      await ledger.noteReplica(replica("alive"));
      const within = (await ledger.clock()) - seenAt - 1;
      assert.deepEqual(
        (await ledger.replicas(within)).map(({ name }) => name),
        ["alive"],
      );
      assert.equal((await ledger.replicas(long)).length, 2);
    }),
  );
}

/** One write of every kind, in an order in which each has an effect on what `fill` has left. */
const writes: Readonly<Record<keyof DutyWrites, (ledger: DutyWrites, nodeId: NodeId) => Promise<unknown>>> = {
  openSlot: (ledger) => ledger.openSlot(slotRow(2)),
  closeSlot: (ledger) => ledger.closeSlot(1, slotTime(2), "the verifier slept"),
  recordIntent: (ledger) => ledger.recordIntent(intent("claim", 1, operatorAddress(1)), slotTime(7)),
  resolveIntent: (ledger) => ledger.resolveIntent(intent("post-root", 1), "confirmed", null, slotTime(7)),
  reopen: (ledger) => ledger.reopen(1, { posted: false, unpaid: [] }),
  closeEpoch: (ledger) => ledger.closeEpoch(twoOperators(2), slotTime(12)),
  setStatus: (ledger, nodeId) =>
    ledger.setStatus([{ nodeId, status: { state: "online", since: 9, reason: "heard of" } }]),
  prune: (ledger) => ledger.prune({ readingsMs: 1, evidenceMs: 1, rejections: 0 }, slotTime(1_000)),
};

async function take(ledger: Ledger, duty: Duty, holder: string, forMs = long): Promise<Fence> {
  const fence = await ledger.takeDuty(duty, holder, forMs);
  assert.ok(fence, `${holder} does not get the duty of the ${duty}`);
  assert.equal(fence.duty, duty);
  return fence;
}

/** Gives a duty away, as when its holder had been silent for too long. */
async function takenOver(ledger: Ledger, fence: Fence): Promise<Fence> {
  await ledger.releaseDuty(fence);
  return take(ledger, fence.duty, "the next");
}

/** Waits until the store's clock is past a moment. */
async function after(ledger: Ledger, moment: number): Promise<void> {
  for (let now = await ledger.clock(); now <= moment; now = await ledger.clock()) await sleep(moment - now + 1);
}

function replica(name: string, fields: Partial<Replica> = {}): Replica {
  return {
    name,
    roles: ["ingest", "verifier"],
    software: "cairn-coordinator 0.2.0",
    broker: "mqtt",
    committedBefore: null,
    ...fields,
  };
}
