import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openTemporaryLedger } from "../../testing/temporary-ledger.ts";
import { until } from "../../testing/until.ts";
import type { BrokerKind, Ledger, Replica, Role } from "../model.ts";
import { judgeCompany, startReplicas } from "./replicas.ts";

const software = "cairn-coordinator 0.1.0";

/** A replica beside others, of which the test says what they have committed. */
async function onReplicas(
  t: TestContext,
  body: (house: {
    replicas: ReturnType<typeof startReplicas>;
    ledger: Ledger;
    faults: unknown[];
    other(name: string, committedBefore: number | null, roles?: Replica["roles"]): Promise<void>;
    /** The ledger answers nobody for so long. */
    outage(ms: number): Promise<void>;
  }) => Promise<void>,
): Promise<void> {
  const store = await openTemporaryLedger();
  const faults: unknown[] = [];
  let broken = false;
  let isAway = false;
  const answering = async <T>(answer: () => Promise<T>): Promise<T> => {
    if (isAway) throw new Error("the ledger is away");
    return answer();
  };
  const replicas = startReplicas({
    ledger: {
      noteReplica: (note) => answering(() => store.ledger.noteReplica(note)),
      replicas: (withinMs) => answering(() => store.ledger.replicas(withinMs)),
    },
    replica: { name: "self", roles: ["ingest"], software, broker: "mqtt" },
    heldMs: 60_000,
    committedBefore: () => 5,
    async beat() {
      if (broken) return;
      broken = true;
      throw new Error("the clock broke");
    },
    fault: (error) => faults.push(error),
  });
  t.after(async () => {
    await replicas.stop(true);
    await store.remove();
  });
  const other = (name: string, committedBefore: number | null, roles: Replica["roles"] = ["ingest"]) =>
    store.ledger.noteReplica({ name, roles, software, broker: "mqtt", committedBefore });
  const outage = async (ms: number) => {
    isAway = true;
    await sleep(ms);
    isAway = false;
  };
  await body({ replicas, ledger: store.ledger, faults, other, outage });
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
    assert.equal(await replicas.othersCommitted(100, 0), "committed");
    await other("api", null, ["api"]);
    assert.equal(await replicas.othersCommitted(100, 0), "committed");
    await other("busy", 99);
    assert.equal(await replicas.othersCommitted(100, 0), "late");
    const waiting = replicas.othersCommitted(100, 10_000);
    await other("busy", 100);
    assert.equal(await waiting, "committed");
  }));

test("a replica that goes away with something is told, and missed until it is back or the broker has forgotten it", (t) =>
  onReplicas(t, async ({ replicas, other }) => {
    await other("gone/1", 99);
    assert.equal(await replicas.othersCommitted(100, 10_000), "gone");
    await until(() => replicas.allPresentSince() === null);
    await other("gone/2", 101);
    await until(() => (replicas.allPresentSince() ?? 0) > 0);
  }));

test("a replica that has left, or takes nothing in, is not missed", (t) =>
  onReplicas(t, async ({ replicas, other }) => {
    await other("left/1", 99);
    const waiting = replicas.othersCommitted(100, 10_000);
    await other("left/1", null, []);
    await other("api/1", null, ["api"]);
    assert.equal(await waiting, "committed");
    await sleep(6_000);
    assert.equal(replicas.allPresentSince(), 0);
  }));

test("who stops with nothing left behind says so", (t) =>
  onReplicas(t, async ({ replicas, ledger }) => {
    await replicas.stop(false);
    assert.partialDeepStrictEqual((await ledger.replicas(60_000))[0], { roles: ["ingest"], committedBefore: 5 });
    await replicas.stop(true);
    assert.partialDeepStrictEqual((await ledger.replicas(60_000))[0], { roles: [], committedBefore: null });
  }));

test("a ledger that was away makes nobody gone: all get the time to be seen again", (t) =>
  onReplicas(t, async ({ replicas, other, outage }) => {
    await other("busy/1", 99);
    await sleep(1_500);
    await outage(6_000);
    const waiting = replicas.othersCommitted(100, 10_000);
    for (let beat = 0; beat < 5; beat++) {
      await sleep(500);
      await other("busy/1", 99);
    }
    await other("busy/1", 100);
    assert.equal(await waiting, "committed");
    assert.equal(replicas.allPresentSince(), 0);
  }));

test("nothing is received while no replica takes anything in", async () => {
  const store = await openTemporaryLedger();
  const replicas = startReplicas({
    ledger: store.ledger,
    ...{ replica: { name: "keeper", roles: ["verifier"], software, broker: "nats" }, heldMs: 0 },
    committedBefore: () => null,
    beat: async () => {},
    fault: (error) => assert.fail(String(error)),
  });
  await until(() => replicas.allPresentSince() === null);
  await store.ledger.noteReplica({ name: "door", roles: ["ingest"], software, broker: "nats", committedBefore: 1 });
  await until(() => (replicas.allPresentSince() ?? 0) > 0);
  await replicas.stop(true);
  await store.remove();
});

test("a replica of a role is one that is not this one", (t) =>
  onReplicas(t, async ({ replicas, other }) => {
    assert.equal(await replicas.othersWith("ingest"), false);
    await other("api", null, ["api"]);
    assert.deepEqual([await replicas.othersWith("ingest"), await replicas.othersWith("api")], [false, true]);
  }));

test("beside replicas on another kind of broker, and beside one of the same name that runs, none is started", (t) =>
  onReplicas(t, async ({ ledger, other }) => {
    const roles = ["ingest", "verifier"] as const;
    const join = (name: string, broker: BrokerKind, more: readonly Role[] = roles) =>
      judgeCompany(ledger, { name, roles: more, broker });
    await join("new/1", "mqtt");
    await assert.rejects(join("new/1", "embedded"), { code: "setting-refused", message: /self .*mqtt.*embedded/ });
    await join("pages/1", "nats", ["api"]);
    await assert.rejects(join("self/2", "mqtt"), {
      code: "setting-refused",
      message: /a replica self .* runs already/,
    });
    await other("killed/1", 5);
    await other("left/1", null, []);
    await join("killed/2", "mqtt");
    await join("left/2", "embedded", ["api"]);
  }));
