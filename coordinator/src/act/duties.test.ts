import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openTemporaryLedger, type TemporaryLedger } from "../../testing/temporary-ledger.ts";
import { until } from "../../testing/until.ts";
import { CoordinatorFault } from "../fault.ts";
import type { Fence, Ledger } from "../model.ts";
import { type Duties, startDuties } from "./duties.ts";

const forMs = 200;

/** A replica that seeks the verifier's duty: the fences under which it works, newest last, and what it reports. */
type Seeker = {
  readonly duties: Duties;
  readonly working: Fence[];
  readonly log: string[];
  readonly faults: unknown[];
};

function seek(name: string, ledger: Pick<Ledger, "takeDuty" | "releaseDuty">): Seeker {
  const working: Fence[] = [];
  const log: string[] = [];
  const faults: unknown[] = [];
  const duties = startDuties({
    ledger,
    holder: name,
    forMs,
    taken: (duty, token) => log.push(`taken ${duty} ${token}`),
    lost: (duty) => log.push(`lost ${duty}`),
    fault: (error) => faults.push(error),
  });
  duties.seek("verifier", async (fence) => {
    working.push(fence);
    return { stop: async () => void working.splice(working.indexOf(fence), 1) };
  });
  return { duties, working, log, faults };
}

async function onStore(
  t: TestContext,
  body: (store: TemporaryLedger, seekers: Seeker[]) => Promise<void>,
): Promise<void> {
  const store = await openTemporaryLedger();
  const seekers: Seeker[] = [];
  t.after(async () => {
    for (const { duties } of seekers) await duties.stop();
    await store.remove();
  });
  await body(store, seekers);
}

test("one of two replicas works, and the other takes over when it gives the duty back", (t) =>
  onStore(t, async ({ ledger }, seekers) => {
    const one = seek("one", ledger);
    seekers.push(one);
    await until(() => one.working.length === 1);
    const two = seek("two", ledger);
    seekers.push(two);
    await sleep(3 * forMs);
    assert.deepEqual([one.working.length, two.working.length], [1, 0]);
    const [{ token } = { token: 0 }] = one.working;
    await one.duties.stop();
    assert.equal(one.working.length, 0);
    await until(() => two.working.length === 1);
    assert.ok((two.working[0]?.token ?? 0) > token);
  }));

test("a replica that hangs loses the duty, stops its work when it comes back, and has written nothing meanwhile", (t) =>
  onStore(t, async ({ ledger }, seekers) => {
    let hangs: Promise<void> | undefined;
    const one = seek("one", {
      async takeDuty(...args) {
        await hangs;
        return ledger.takeDuty(...args);
      },
      releaseDuty: ledger.releaseDuty,
    });
    seekers.push(one);
    await until(() => one.working.length === 1);
    const [old] = one.working;
    assert.ok(old);
    const pause = Promise.withResolvers<void>();
    hangs = pause.promise;
    const two = seek("two", ledger);
    seekers.push(two);
    await until(() => two.working.length === 1);
    await assert.rejects(ledger.under(old).closeSlot(0, 1, null), { code: "duty-lost" });
    pause.resolve();
    await until(() => one.working.length === 0);
    assert.ok(one.log.includes("lost verifier"));
  }));

test("a write that is refused makes the holder ask at once whether it still holds the duty", (t) =>
  onStore(t, async ({ ledger }, seekers) => {
    let asked = 0;
    const one = seek("one", {
      async takeDuty(...args) {
        asked += 1;
        return ledger.takeDuty(...args);
      },
      releaseDuty: ledger.releaseDuty,
    });
    seekers.push(one);
    await until(() => one.working.length === 1);
    const [fence] = one.working;
    assert.ok(fence);
    const before = asked;
    assert.equal(one.duties.noteFailure(fence, new CoordinatorFault("duty-lost", "another has it")), true);
    await sleep(forMs / 8);
    assert.ok(asked > before);
    assert.equal(one.duties.noteFailure(fence, new Error("the disk is full")), false);
  }));

test("a ledger that does not answer costs nobody the duty, and is reported", (t) =>
  onStore(t, async ({ ledger }, seekers) => {
    let broken = false;
    const one = seek("one", {
      async takeDuty(...args) {
        if (broken) throw new Error("the ledger is away");
        return ledger.takeDuty(...args);
      },
      releaseDuty: ledger.releaseDuty,
    });
    seekers.push(one);
    await until(() => one.working.length === 1);
    const [fence] = one.working;
    broken = true;
    await until(() => one.faults.length > 3);
    broken = false;
    await sleep(forMs);
    assert.deepEqual(one.working, [fence]);
  }));
