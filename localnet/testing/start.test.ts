import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Summary } from "../src/report.ts";
import {
  freePorts,
  ownPorts,
  processesOf,
  recordedParts,
  type StartedNetwork,
  startNetwork,
  until,
} from "./started-network.ts";

const scratch = mkdtempSync(join(tmpdir(), "cairn-start-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
const quick = ["--slot-seconds", "2", "--slots-per-epoch", "3"];

/** Ends a network whatever became of its test. */
async function end(network: StartedNetwork): Promise<void> {
  network.child.kill("SIGTERM");
  await network.ended;
}

const sum = (amounts: readonly string[]) => amounts.reduce((total, amount) => total + smallest(amount), 0n);

/** "36.5" in the smallest unit, 18 decimals. */
function smallest(amount: string): bigint {
  const [whole = "0", fraction = ""] = amount.split(".");
  return BigInt(whole) * 10n ** 18n + BigInt(fraction.padEnd(18, "0"));
}

describe("npm start with --epochs and --json", () => {
  const data = join(scratch, "json");
  const summaries: Summary[] = [];
  let ports: readonly string[];

  before(async () => {
    ports = await ownPorts();
  });

  test("ends by itself with code 0, prints one JSON summary and nothing else to stdout, and leaves no process", async () => {
    const network = startNetwork("--data", data, ...ports, ...quick, "--epochs", "2", "--json");
    assert.equal(await network.ended, 0, network.printed.stderr);
    assert.deepEqual(processesOf(data), []);
    const lines = network.printed.stdout.trimEnd().split("\n");
    assert.equal(lines.length, 1);
    const summary = JSON.parse(lines[0] ?? "") as Summary;
    summaries.push(summary);

    // On a busy machine the first epochs can pass before the nodes are up: those are void, and do not count.
    const [first, second] = summary.epochs;
    assert.ok(first && second && summary.epochs.length === 2 && second.epoch > first.epoch);
    assert.equal(summary.nodes.length, 3);
    assert.equal(new Set(summary.nodes.map(({ operator }) => operator)).size, 2);
    assert.ok(summary.slotsCredited > 0 && summary.slotsCredited <= summary.slotsExpected);
    assert.ok(summary.readingsStored > 0);
    assert.ok(summary.transactions.every((hash) => /^0x[0-9a-f]{64}$/.test(hash)));
    assert.equal(new Set(summary.transactions).size, summary.transactions.length);
    const paid = summary.epochs.flatMap(({ claims }) => claims.map(({ amount }) => amount));
    assert.equal(sum(paid), sum(summary.epochs.map(({ amount }) => amount)));
    assert.equal(sum(summary.balances.map(({ amount }) => amount)), sum(paid));
    assert.match(
      network.printed.stderr,
      /^epoch \d+ settled: \d nodes?, \d+ of \d+ slots? credited, .*[\d.]+ CAIRN, transaction 0x[0-9a-f]{64}$/m,
    );
  });

  test("goes on at the next start: same nodes, same chain, same balances plus what was earned since", async () => {
    const network = startNetwork("--data", data, ...ports, "--epochs", "2", "--json");
    assert.equal(await network.ended, 0, network.printed.stderr);
    const [earlier] = summaries;
    const summary = JSON.parse(network.printed.stdout) as Summary;
    assert.deepEqual(summary.nodes, earlier?.nodes);
    assert.ok((summary.epochs[0]?.epoch ?? 0) > (earlier?.epochs.at(-1)?.epoch ?? 0));
    assert.ok(summary.readingsStored > (earlier?.readingsStored ?? 0));
    const before = sum(earlier?.balances.map(({ amount }) => amount) ?? []);
    const since = sum(summary.balances.map(({ amount }) => amount)) - before;
    assert.ok(since >= smallest(summary.amount), "the balances of the earlier run are gone");
    assert.match(network.printed.stderr, /at block (?:[4-9]|\d\d)/);
  });

  test("refuses another slot length for the network that is there, with code 2 and the remedy", async () => {
    const network = startNetwork("--data", data, ...ports, "--slot-seconds", "3");
    assert.equal(await network.ended, 2);
    assert.match(network.printed.stderr, /begun with 2 s.*\n.*--fresh --slot-seconds 3/);
    assert.deepEqual(processesOf(data), []);
  });

  test("begins anew with --fresh", async () => {
    const network = startNetwork(
      "--data",
      data,
      ...ports,
      "--fresh",
      ...quick,
      "--nodes",
      "1",
      "--epochs",
      "1",
      "--json",
    );
    assert.equal(await network.ended, 0, network.printed.stderr);
    const summary = JSON.parse(network.printed.stdout) as Summary;
    assert.equal(summary.epochs.length, 1);
    assert.equal(summary.nodes.length, 1);
    assert.notEqual(summary.nodes[0]?.nodeId, summaries[0]?.nodes[0]?.nodeId);
    assert.equal(sum(summary.balances.map(({ amount }) => amount)), smallest(summary.amount));
  });
});

describe("a running network", () => {
  const data = join(scratch, "running");

  test("says every part with its address, restarts parts that are killed, and keeps a second launcher out", async (t) => {
    const network = startNetwork("--data", data, ...(await ownPorts()), ...quick);
    t.after(() => end(network));
    await until(() => /epoch \d+ \(3 slots of 2 s\) closes/.test(network.printed.stdout), 60_000, "the start");
    for (const part of ["chain", "coordinator", "city-drive", "harbour-mast", "host-3", "web page"])
      assert.match(network.printed.stdout, new RegExp(`^${part} +\\S`, "m"));

    for (const name of ["city-drive", "coordinator"]) {
      const pid = recordedParts(data).get(name);
      assert.ok(pid);
      process.kill(pid, "SIGKILL");
      await until(() => (recordedParts(data).get(name) ?? pid) !== pid, 15_000, `the restart of ${name}`);
      assert.match(network.printed.stdout, new RegExp(`^${name} was ended by SIGKILL and is started again`, "m"));
    }
    const settledBefore = network.printed.stdout.match(/^epoch \d+ settled/gm)?.length ?? 0;
    const settledNow = () => network.printed.stdout.match(/^epoch \d+ settled/gm)?.length ?? 0;
    await until(() => settledNow() > settledBefore, 40_000, "an epoch settled after the restarts");

    const second = startNetwork("--data", data);
    assert.equal(await second.ended, 3);
    assert.match(second.printed.stderr, new RegExp(`started by process ${network.child.pid}\\b`));
  });

  for (const signal of ["SIGINT", "SIGTERM"] as const)
    test(`ends every process within 5 s of ${signal}, even when it comes twice`, async (t) => {
      const network = startNetwork("--data", data, ...(await ownPorts()));
      t.after(() => end(network));
      await until(() => /closes in/.test(network.printed.stdout), 60_000, "the start");
      assert.ok(processesOf(data).length >= 6);
      const startedAt = performance.now();
      network.child.kill(signal);
      network.child.kill(signal);
      assert.equal(await network.ended, 0);
      assert.ok(performance.now() - startedAt < 5_000);
      assert.deepEqual(processesOf(data), []);
    });

  test("leaves nothing behind when its launcher is killed outright, and starts again in the same folder", async (t) => {
    const network = startNetwork("--data", data, ...(await ownPorts()));
    t.after(() => end(network));
    await until(() => /closes in/.test(network.printed.stdout), 60_000, "the start");
    network.child.kill("SIGKILL");
    await network.ended;
    await until(() => processesOf(data).length === 0, 5_000, "the end of every process");
    const again = startNetwork("--data", data, ...(await ownPorts()), "--epochs", "1", "--json");
    t.after(() => end(again));
    assert.equal(await again.ended, 0, again.printed.stderr);
  });
});

describe("a port in use", () => {
  test("is refused with code 2 when its flag was given, and says part, port and flag", async (t) => {
    const [port = 0] = await freePorts(1);
    const server = createServer().listen(port, "127.0.0.1");
    t.after(() => server.close());
    const data = join(scratch, "taken");
    const network = startNetwork("--data", data, "--mqtt-port", `${port}`);
    assert.equal(await network.ended, 2);
    assert.match(
      network.printed.stderr,
      new RegExp(`port ${port}, asked for the MQTT broker by --mqtt-port, is in use`),
    );
    assert.deepEqual(processesOf(data), []);
  });
});

test("the lines of the README's promise hold for the logs: every part has one in the data folder", () => {
  for (const name of ["chain", "coordinator", "city-drive", "harbour-mast", "host-3"])
    assert.equal(typeof readFileSync(join(scratch, "running", "logs", `${name}.log`), "utf8"), "string");
});
