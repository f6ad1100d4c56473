import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import {
  leftoversOf,
  type ProcessFacts,
  type ProcessTable,
  parseStat,
  readRecord,
  removeRecord,
  takeFolder,
  thisMachine,
  writeRecord,
} from "./run-record.ts";

const scratch = mkdtempSync(join(tmpdir(), "cairn-record-"));
after(() => rmSync(scratch, { recursive: true }));
let folders = 0;
const newFolder = () => join(scratch, `${++folders}`);

/** A machine with the given processes; those that are signalled end. */
function machine(...processes: ProcessFacts[]): ProcessTable & { readonly signals: string[] } {
  const signals: string[] = [];
  let running = processes;
  return {
    signals,
    find: (pid) => running.find((process) => process.pid === pid),
    all: () => running,
    signal(pid, signal) {
      signals.push(`${signal} ${pid}`);
      running = running.filter((process) => process.pid !== pid);
    },
  };
}

const process_ = (pid: number, command: string, group = pid, startTicks = 5): ProcessFacts => ({
  ...{ pid, command, group, startTicks },
});

describe("a data folder", () => {
  test("is taken by the first launcher, which stands in its record", async () => {
    const data = newFolder();
    const taken = await takeFolder(data, machine(process_(10, "launcher")), 10);
    assert.deepEqual(taken, { launcher: { pid: 10, startTicks: 5 }, ended: 0 });
    assert.deepEqual(readRecord(data), { launcher: { pid: 10, startTicks: 5 }, processes: [] });
  });

  test("is refused to a second launcher while the first is alive, naming its process", async () => {
    const data = newFolder();
    const table = machine(process_(10, "launcher"), process_(11, "launcher"));
    await takeFolder(data, table, 10);
    await assert.rejects(takeFolder(data, table, 11), { code: "folder-in-use", message: /started by process 10$/ });
    assert.equal(readRecord(data)?.launcher.pid, 10);
  });

  test("is free again after a clean end", async () => {
    const data = newFolder();
    const table = machine(process_(10, "launcher"), process_(11, "launcher"));
    await takeFolder(data, table, 10);
    removeRecord(data);
    assert.equal((await takeFolder(data, table, 11)).ended, 0);
  });

  test("is free again when the first launcher's process id belongs to another process by now", async () => {
    const data = newFolder();
    await takeFolder(data, machine(process_(10, "launcher", 10, 5)), 10);
    const later = machine(process_(10, "something else", 10, 9_000), process_(11, "launcher"));
    assert.equal((await takeFolder(data, later, 11)).launcher.pid, 11);
  });

  test("is cleared of what a killed launcher left, and of nothing else", async () => {
    const data = newFolder();
    await takeFolder(data, machine(process_(10, "launcher")), 10);
    const launcher = { pid: 10, startTicks: 5 };
    writeRecord(data, {
      launcher,
      processes: [
        { name: "chain", pid: 20 },
        { name: "coordinator", pid: 21 },
      ],
    });
    const later = machine(
      process_(11, "launcher"),
      process_(20, "/bin/sh -c guard"),
      process_(22, `anvil --state ${data}/chain/state.json`, 20),
      process_(21, "an editor that got the id"),
      process_(30, `tail -f ${data}/logs/chain.log`),
    );
    assert.equal((await takeFolder(data, later, 11)).ended, 1);
    assert.deepEqual(later.signals, ["SIGTERM 22"]);
    assert.deepEqual(readRecord(data)?.processes, []);
  });
});

describe("this machine's processes", () => {
  test("are found with group, start and command line, and not any more once they ended", async () => {
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)", scratch], { detached: true });
    await once(child, "spawn");
    const pid = child.pid ?? 0;
    const facts = thisMachine.find(pid);
    assert.equal(facts?.group, pid);
    assert.ok((facts?.startTicks ?? 0) > 0);
    const record = { launcher: { pid: 1, startTicks: 1 }, processes: [{ name: "x", pid }] };
    assert.deepEqual(
      leftoversOf(scratch, record, thisMachine).map((found) => found.pid),
      [pid],
    );
    thisMachine.signal(pid, "SIGKILL");
    await once(child, "exit");
    assert.equal(thisMachine.find(pid), undefined);
    thisMachine.signal(pid, "SIGTERM");
  });

  test("are read right when a program's name holds spaces and parentheses, and dead ones count as gone", () => {
    const fields = (state: string) => `${state} 1 77 77 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 12345 99`;
    assert.deepEqual(parseStat(9, `9 (a) b (c)) ${fields("S")}`, "cmd"), {
      ...{ pid: 9, group: 77, startTicks: 12_345, command: "cmd" },
    });
    assert.equal(parseStat(9, `9 (zombie) ${fields("Z")}`, ""), undefined);
  });
});

test("a leftover of a real killed launcher is ended", async () => {
  const data = newFolder();
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)", data], { detached: true });
  const ended = once(child, "exit");
  await takeFolder(data, thisMachine, process.pid);
  writeRecord(data, { launcher: { pid: 2 ** 22 + 1, startTicks: 1 }, processes: [{ name: "x", pid: child.pid ?? 0 }] });
  assert.equal((await takeFolder(data, thisMachine, process.pid)).ended, 1);
  assert.equal((await ended)[1], "SIGTERM");
  assert.ok(existsSync(join(data, "run.json")));
});
