import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { openTemporaryLedger } from "../../testing/temporary-ledger.ts";
import { until } from "../../testing/until.ts";
import type { Ledger, Replica } from "../model.ts";
import { startReplicas } from "./replicas.ts";

const software = "cairn-coordinator 0.1.0";

/** A replica beside others, of which the test says what they have committed. */
async function onReplicas(
  t: TestContext,
  body: (house: {
    replicas: ReturnType<typeof startReplicas>;
    ledger: Ledger;
    faults: unknown[];
    other(name: string, committedBefore: number | null, roles?: Replica["roles"]): Promise<void>;
  }) => Promise<void>,
): Promise<void> {
  const store = await openTemporaryLedger();
  const faults: unknown[] = [];
  let broken = false;
  const replicas = startReplicas({
    ledger: store.ledger,
    replica: { name: "self", roles: ["ingest"], software },
    committedBefore: () => 5,
    async beat() {
      if (broken) return;
      broken = true;
      throw new Error("the clock broke");
    },
    fault: (error) => faults.push(error),
  });
  t.after(async () => {
    await replicas.stop();
    await store.remove();
  });
  const other = (name: string, committedBefore: number | null, roles: Replica["roles"] = ["ingest"]) =>
    store.ledger.noteReplica({ name, roles, software, committedBefore });
  await body({ replicas, ledger: store.ledger, faults, other });
}

test("a replica is seen with its roles and with how far it has committed, and goes on when a round fails", (t) =>
  onReplicas(t, async ({ ledger, faults }) => {
    await until(() => faults.length === 1);
    const first = (await ledger.replicas(60_000))[0];
    assert.partialDeepStrictEqual(first, { name: "self", roles: ["ingest"], committedBefore: 5 });
    await until(async () => ((await ledger.replicas(60_000))[0]?.seenAt ?? 0) > (first?.seenAt ?? 0));
  }));

test("others are waited for until all have committed, but not those that take nothing in", (t) =>
  onReplicas(t, async ({ replicas, other }) => {
    assert.equal(await replicas.othersCommitted(100, 0), true);
    await other("api", null, ["api"]);
    assert.equal(await replicas.othersCommitted(100, 0), true);
    await other("busy", 99);
    assert.equal(await replicas.othersCommitted(100, 0), false);
    const waiting = replicas.othersCommitted(100, 10_000);
    await other("busy", 100);
    assert.equal(await waiting, true);
  }));

test("a replica of a role is one that is not this one", (t) =>
  onReplicas(t, async ({ replicas, other }) => {
    assert.equal(await replicas.othersWith("ingest"), false);
    await other("api", null, ["api"]);
    assert.deepEqual([await replicas.othersWith("ingest"), await replicas.othersWith("api")], [false, true]);
  }));
