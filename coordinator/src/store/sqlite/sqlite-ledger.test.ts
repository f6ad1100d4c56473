import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { bootId, makeDevice } from "../../../testing/devices.ts";
import { founding } from "../../../testing/founding.ts";
import { batchInput } from "../../../testing/inputs.ts";
import { describeLedger } from "../../../testing/ledger-behaviour.ts";
import { perBatch } from "../../../testing/ledger-writer.ts";
import { openTemporaryLedger } from "../../../testing/temporary-ledger.ts";
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
        batch: () => ({ code: "sequence-duplicate", detail: "asked for the watermark" }),
        evidence: () => null,
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
});

/** Runs the writer until it has reported so many groups, kills it, and returns the last number that it reported. */
async function writeUntilKilled(args: readonly string[], reports: number): Promise<number> {
  const program = fileURLToPath(new URL("../../../testing/ledger-writer.ts", import.meta.url));
  const writer = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(writer, "close");
  const lines: string[] = [];
  for await (const line of createInterface({ input: writer.stdout })) {
    lines.push(line);
    if (lines.length === reports) writer.kill("SIGKILL");
  }
  await ended;
  assert.equal(writer.signalCode, "SIGKILL");
  return Number(lines.at(-1));
}
