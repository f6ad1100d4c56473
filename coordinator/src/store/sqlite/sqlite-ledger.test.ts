import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { bootId, makeDevice } from "../../../testing/devices.ts";
import { founding } from "../../../testing/founding.ts";
import { batchInput } from "../../../testing/inputs.ts";
import { enrolled, send } from "../../../testing/ledger/admission.ts";
import { describeLedger } from "../../../testing/ledger-behaviour.ts";
import { perBatch, writeUntilKilled } from "../../../testing/ledger-writer.ts";
import { openTemporaryLedger } from "../../../testing/temporary-ledger.ts";
import { openDatabase, openReader } from "./database.ts";
import { foundingOf } from "./sqlite-ledger.ts";

describeLedger("SQLite", openTemporaryLedger);

describe("SQLite, its file", () => {
  test("the founding terms can be read before the ledger is opened, and a new file has none", async () => {
    const store = await openTemporaryLedger();
    assert.deepEqual(foundingOf(store.path), founding);
    assert.equal(foundingOf(`${store.path}.new`), undefined);
    await store.remove();
  });

  test("a writer that is killed with SIGKILL has lost nothing that it reported and left no half batch", async () => {
    const store = await openTemporaryLedger();
    const { nodeId, enrolment } = makeDevice();
    const boot = bootId();
    await store.ledger.enrol([enrolment], 1);
    for (const reports of [1, 7, 20]) {
      const reported = await writeUntilKilled([store.path, nodeId, boot], reports);
      const ledger = await store.reopen();
      const [verdict] = await ledger.admit([batchInput(nodeId, boot, { seq: 1 })], {
        evidence: () => assert.fail("no evidence is handed in"),
        batch: ({ storedUpTo, ahead }) => ({
          rejection: { code: "sequence-duplicate", detail: "asked for the watermark" },
          ...{ storedUpTo, ahead, stated: [] },
        }),
      });
      const upTo = verdict?.storedUpTo ?? 0;
      assert.ok(upTo >= reported && reported > 0, `stored up to ${upTo}, reported up to ${reported}`);
      const { readings, batches } = await ledger.counts();
      assert.deepEqual({ readings, batches }, { readings: upTo * perBatch, batches: upTo });
      const stored = await ledger.readings(nodeId, "a.b", 0, perBatch, 1_000_000);
      assert.equal(stored?.times.length, upTo * perBatch);
    }
    await store.remove();
  });

  test("a full disk is a fault that loses nothing reported, and writing goes on once there is room", async () => {
    const store = await openTemporaryLedger();
    const { nodeId, enrolment } = makeDevice();
    const boot = bootId();
    await store.ledger.enrol([enrolment], 1);
    await store.reopen();
    const { reported, trouble } = writeUntilFull([store.path, nodeId, boot]);
    assert.match(trouble, /CoordinatorFault: the ledger's file does not answer, nothing was written/);
    assert.match(trouble, /code: 'ledger-unreachable'/);
    const ledger = await store.reopen();
    assert.ok(reported > 0);
    assert.deepEqual(await ledger.counts(), { readings: reported * perBatch, batches: reported });
    const next = reported + 1;
    assert.deepEqual(await send(ledger, [batchInput(nodeId, boot, { seq: next })]), [`stored ${next}`]);
    await store.remove();
  });

  test("a commit does not wait for an answer that is still being read, and the answer is of the moment it was asked", async () => {
    const store = await openTemporaryLedger();
    const { nodeId } = await enrolled(store.ledger);
    const boot = bootId();
    const reader = openReader(store.path);
    reader.exec("begin");
    assert.equal(reader.prepare("select count(*) from batch").pluck().get(), 0);
    const began = performance.now();
    const ended: string[] = [];
    const asked = store.ledger.epochFacts(1, 0, 6).then(() => ended.push("answer"));
    for (let seq = 1; seq <= 20; seq++) {
      assert.deepEqual(await send(store.ledger, [batchInput(nodeId, boot, { seq })]), [`stored ${seq}`]);
      if (seq === 1) ended.push("first commit");
    }
    await asked;
    // Waiting for a lock would take the five seconds of the busy timeout, and fail.
    assert.ok(performance.now() - began < 2_500);
    assert.deepEqual(ended, ["first commit", "answer"]);
    assert.equal(reader.prepare("select count(*) from batch").pluck().get(), 0);
    assert.deepEqual(await store.ledger.counts(), { readings: 20, batches: 20 });
    reader.close();
    await store.remove();
  });

  test("the connection for questions cannot write", async () => {
    const store = await openTemporaryLedger();
    const reader = openReader(store.path);
    assert.throws(() => reader.exec("delete from network"), { code: "SQLITE_READONLY" });
    reader.close();
    await store.remove();
  });

  test("a replica that was not seen for a day is forgotten with the next note of another", async () => {
    const store = await openTemporaryLedger();
    const note = (name: string) =>
      store.ledger.noteReplica({
        name,
        roles: ["api"],
        software: "cairn-coordinator",
        broker: "mqtt",
        committedBefore: null,
      });
    for (const name of ["gone", "rare"]) await note(name);
    const day = 86_400_000;
    const database = openDatabase(store.path);
    const age = database.prepare("update replica set seen_at = seen_at - ? where name = ?");
    age.run(day + 1, "gone");
    age.run(day - 60_000, "rare");
    database.close();
    await note("here");
    assert.deepEqual(
      (await store.ledger.replicas(2 * day)).map(({ name }) => name),
      ["here", "rare"],
    );
    await store.remove();
  });
});

/** Runs the writer where no file may grow beyond a megabyte; what it reported last, and what it died of. */
function writeUntilFull(args: readonly string[]): { reported: number; trouble: string } {
  const program = fileURLToPath(new URL("../../../testing/ledger-writer.ts", import.meta.url));
  const limited = ["-c", 'ulimit -f 2048 && exec "$0" "$@"', process.execPath, program, ...args];
  const { status, stdout, stderr } = spawnSync("sh", limited, { encoding: "utf8" });
  assert.equal(status, 1, stderr);
  return { reported: Number(stdout.trimEnd().split("\n").at(-1)), trouble: stderr };
}
