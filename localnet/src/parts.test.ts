import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { holdParts } from "./parts.ts";
import type { Program } from "./processes.ts";
import { readRecord } from "./run-record.ts";

const scratch = mkdtempSync(join(tmpdir(), "cairn-parts-"));
after(() => rmSync(scratch, { recursive: true }));
const launcher = { pid: 1, startTicks: 1 };
const idle = (name: string): Program => ({
  name,
  command: process.execPath,
  args: ["-e", "setInterval(() => {}, 1000)"],
  stopBy: "signal",
});

test("every running part stands in the record with its process, and none is started once the stop began", async () => {
  const data = join(scratch, "a");
  mkdirSync(data);
  const parts = holdParts(data, launcher, () => {});
  parts.start("chain", idle("chain"));
  parts.start("nodes", idle("node"));
  const recorded = readRecord(data)?.processes ?? [];
  assert.deepEqual(
    recorded.map(({ name }) => name),
    ["chain", "node"],
  );
  assert.ok(recorded.every(({ pid }) => pid > 0));
  assert.deepEqual(await parts.stop(), []);
  assert.deepEqual(readRecord(data)?.processes, []);
  assert.throws(() => parts.start("nodes", idle("late")), /late is not started/);
});

test("a record that cannot be written is said, and does not keep the parts from being stopped", async () => {
  const data = join(scratch, "b");
  mkdirSync(data);
  const said: string[] = [];
  const parts = holdParts(data, launcher, (line) => said.push(line));
  parts.start("chain", idle("chain"));
  assert.deepEqual(said, []);
  rmSync(data, { recursive: true });
  assert.deepEqual(await parts.stop(), []);
  assert.match(said[0] ?? "", /^the record of the running processes cannot be written: ENOENT/);
});
