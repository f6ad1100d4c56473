import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { LocalnetFault } from "./fault.ts";
import { afterDeath, lastLines, type Program, stopInTurn, supervise } from "./processes.ts";

const logs = mkdtempSync(join(tmpdir(), "cairn-processes-"));
after(() => rmSync(logs, { recursive: true }));

const script = (name: string, code: string): Program => ({
  name,
  command: process.execPath,
  args: ["-e", code],
  stopBy: "signal",
});

function watch(program: Program, clock: () => number = () => performance.now()) {
  const said: string[] = [];
  const faults: LocalnetFault[] = [];
  const part = supervise(program, {
    ...{ logs, clock, random: () => 0, changed: () => {} },
    say: (line) => said.push(line),
    givenUp: (fault) => faults.push(fault),
  });
  return { part, said, faults };
}

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 20) {
    assert.ok(waited < 20_000, "waited 20 s in vain");
    await sleep(20);
  }
}

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe("after an unexpected end", () => {
  test("the wait doubles with each death at once, has jitter and a ceiling, and begins anew after a long life", () => {
    assert.deepEqual(afterDeath(0, 60_000, 1), { atOnce: 0, delayMs: 500 });
    assert.deepEqual(afterDeath(0, 10, 1), { atOnce: 1, delayMs: 1_000 });
    assert.deepEqual(afterDeath(1, 10, 1), { atOnce: 2, delayMs: 2_000 });
    assert.deepEqual(afterDeath(1, 10, 0), { atOnce: 2, delayMs: 1_000 });
    assert.deepEqual(afterDeath(2, 5_000, 1), { atOnce: 0, delayMs: 500 });
  });
  test("the fourth death at once in a row ends it", () => {
    assert.equal(afterDeath(3, 4_999, 0.5), "give up");
    assert.notEqual(afterDeath(3, 5_000, 0.5), "give up");
  });
});

describe("a supervised program", () => {
  test("is started again when it is killed, and says so in one line", async () => {
    const { part, said } = watch(script("killed", "setInterval(() => {}, 1000)"), () => 0);
    const first = part.pid();
    assert.ok(first);
    process.kill(first, "SIGKILL");
    await until(() => part.pid() !== undefined && part.pid() !== first);
    assert.equal(said.length, 1);
    assert.match(said[0] ?? "", /^killed was ended by SIGKILL and is started again in 0\.5 s/);
    await part.stop();
  });

  test("that ends at once each time is given up, with the last lines of its log", async () => {
    const { part, faults, said } = watch(script("broken", "console.log('no such port'); process.exit(7)"));
    await until(() => faults.length > 0);
    assert.equal(said.length, 3);
    assert.equal(faults[0]?.code, "part-broken");
    assert.match(faults[0]?.message ?? "", /broken ended with code 7, 4 times in a row/);
    assert.match(faults[0]?.message ?? "", /no such port/);
    assert.equal(part.pid(), undefined);
  });

  test("whose command does not exist is given up like one that ends at once", async () => {
    const { faults } = watch({ name: "absent", command: "/nowhere/program", args: [], stopBy: "signal" });
    await until(() => faults.length > 0);
    assert.match(faults[0]?.message ?? "", /cannot be started: .*ENOENT/);
  });

  test("is not started again once it was stopped, and not while it waits for its restart either", async () => {
    const { part, said } = watch(script("stopped", "setInterval(() => {}, 1000)"));
    await part.stop();
    const waiting = watch(script("waiting", "process.exit(1)"));
    await until(() => waiting.said.length > 0);
    await waiting.part.stop();
    await sleep(1_200);
    assert.deepEqual([part.pid(), waiting.part.pid()], [undefined, undefined]);
    assert.deepEqual([said.length, waiting.said.length], [0, 1]);
  });

  test("finds its standard input closed when it is stopped that way", async () => {
    const program = script(
      "reader",
      "process.stdin.resume().on('end', () => { console.log('closed'); process.exit(0) })",
    );
    const { part } = watch({ ...program, stopBy: "closed-input" });
    await part.stop();
    assert.equal(lastLines(part.logFile, 1), "closed");
  });

  test("leads a process group of its own, so that a terminal's Ctrl-C does not reach it", async () => {
    const { part } = watch(script("leader", "setInterval(() => {}, 1000)"));
    const stat = readFileSync(`/proc/${part.pid()}/stat`, "utf8");
    assert.equal(Number(stat.split(") ")[1]?.split(" ")[2]), part.pid());
    await part.stop();
  });

  test("begins a new log when the old one is large, and appends otherwise", async () => {
    const file = join(logs, "logger.log");
    writeFileSync(file, "earlier\n");
    const first = watch(script("logger", "console.log('one')")).part;
    await until(() => lastLines(file, 1) === "one");
    await first.stop();
    assert.equal(readFileSync(file, "utf8"), "earlier\none\n");
    truncateSync(file, 5_000_001);
    const second = watch(script("logger", "console.log('two')")).part;
    await until(() => lastLines(file, 1) === "two");
    await second.stop();
    assert.equal(readFileSync(file, "utf8"), "two\n");
  });
});

describe("stopping in turn", () => {
  test("waits for one group before it asks the next, and reports nobody as killed", async () => {
    const slow = `process.on('SIGTERM', () => setTimeout(() => process.exit(0), 300)); setInterval(() => {}, 1000); console.log('up')`;
    const [first, second] = [watch(script("first", slow)), watch(script("second", slow))];
    await until(() => [first, second].every(({ part }) => lastLines(part.logFile, 1) === "up"));
    const startedAt = performance.now();
    assert.deepEqual(await stopInTurn([[first.part], [second.part]]), []);
    assert.ok(performance.now() - startedAt >= 580, "both groups were stopped at the same time");
  });

  test("kills what does not end, with all it started, within the five seconds of the promise", async () => {
    const stubborn = `process.on('SIGTERM', () => {});
      const child = require('node:child_process').spawn(process.execPath, ['-e', 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)']);
      setInterval(() => {}, 1000); console.log(child.pid)`;
    const [one, two] = [watch(script("stubborn", stubborn)), watch(script("polite", "setInterval(() => {}, 1000)"))];
    await until(() => lastLines(one.part.logFile, 1) !== "");
    const grandchild = Number(lastLines(one.part.logFile, 1));
    assert.ok(isAlive(grandchild));
    const startedAt = performance.now();
    assert.deepEqual(await stopInTurn([[one.part], [two.part]]), ["stubborn"]);
    assert.ok(performance.now() - startedAt < 5_000);
    await until(() => !isAlive(grandchild));
  });
});
