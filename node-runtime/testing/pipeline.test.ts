/** The whole daemon as a process, against a real broker and a scripted coordinator. */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type BootId, parseBirth, type RejectionCode } from "@cairn/protocol";
import { NodeFault } from "../src/fault.ts";
import { type Summary, summarise } from "../src/store/summary.ts";
import { createDeviceKey, type DeviceKey } from "../src/wire/device-key.ts";
import type { IncomingBatch } from "./ledger.ts";
import { startTestNetwork, type TestNetwork, until } from "./network.ts";

const program = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const packageFile = fileURLToPath(new URL("../package.json", import.meta.url));
const recording = fileURLToPath(new URL("../../hardware/recordings/city-drive.jsonl", import.meta.url));
/** As a launcher starts the daemon: see the head of its main file. */
const leanFlags = ["--max-semi-space-size=1", "--optimize-for-size"];
const cache = mkdtempSync(join(tmpdir(), "cairn-compiled-"));

let folder: string;
let key: DeviceKey;
let network: TestNetwork;
let refusal: RejectionCode | undefined;
let running: ChildProcess[];
let output: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "cairn-node-"));
  key = createDeviceKey(folder);
  refusal = undefined;
  const refuse = (batch: IncomingBatch) => (batch.readings.length > 0 ? refusal : undefined);
  network = await startTestNetwork({ ...key, slotMs: 3_000, refuse });
  writeFileSync(join(folder, "network.json"), JSON.stringify(network.descriptor));
  running = [];
  output = "";
});
afterEach(async () => {
  for (const child of running) await stop(child, "SIGKILL");
  await network.stopBroker();
  rmSync(folder, { recursive: true });
});
after(() => rmSync(cache, { recursive: true }));

type Start = { readonly args?: readonly string[]; readonly stdin?: "pipe" | "ignore" };

function start({ args = [], stdin = "ignore" }: Start = {}): ChildProcess {
  const fixed = ["--data", folder, "--network", join(folder, "network.json"), "--broker", network.url];
  const child = spawn(
    process.execPath,
    [...leanFlags, program, "run", ...fixed, "--host-seconds", "1", "--batch-seconds", "0.3", ...args],
    {
      stdio: [stdin, "pipe", "pipe"],
      env: { ...process.env, NODE_COMPILE_CACHE: cache, MALLOC_ARENA_MAX: "1" },
    },
  );
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => (output += chunk));
  running.push(child);
  return child;
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<number> {
  const startedAt = Date.now();
  if (child.exitCode === null && child.signalCode === null) {
    child.kill(signal);
    await once(child, "exit");
  }
  return Date.now() - startedAt;
}

const command = (...args: string[]) => execFileSync(process.execPath, [program, ...args], { encoding: "utf8" });
/** What the edge store holds now; before the daemon has made it: nothing. */
function storeNow(): Partial<Summary> {
  try {
    return summarise(folder);
  } catch (fault) {
    assert.ok(fault instanceof NodeFault);
    return {};
  }
}
const stored = () => network.ledger.readings.length;

test("a node greets, sends signed batches that are receipted, answers beacons, and leaves within 3 s with a goodbye", async () => {
  network.coordinatorIs(true);
  const child = start();
  await until("two receipted batches", () => (storeNow().boot?.stored ?? 0) >= 2, 20_000);
  const birth = parseBirth(Buffer.from(network.heard.births[0] ?? ""));
  assert.ok(birth.ok);
  assert.deepEqual(birth.value.capabilities, ["sensor.host"]);
  assert.equal(birth.value.bootCount, 1);
  network.strangersBeacon();
  const beacon = network.beacon();
  await until("evidence", () => network.heard.evidence.length === 1);
  const [evidence] = network.heard.evidence;
  assert.equal(evidence?.cairn.slot, beacon.slot);
  assert.ok((evidence?.cairn.storedUpTo ?? 0) >= 2);
  assert.equal(evidence?.bootcount, 1);
  assert.equal(evidence?.location, undefined);
  assert.deepEqual(evidence?.swversion, [JSON.parse(readFileSync(packageFile, "utf8")).version]);
  const took = await stop(child, "SIGTERM");
  assert.equal(child.exitCode, 0);
  assert.ok(took < 3_000, `${took} ms`);
  assert.deepEqual(network.heard.deaths, [JSON.stringify({ boot: birth.value.boot })]);
  assert.deepEqual(network.heard.faults, []);
  assert.equal(network.heard.evidence.length, 1, "the stranger's beacon was answered");
  assert.match(command("status", "--data", folder), /^Boot 1 \(.*stored by the coordinator up to \d+\.$/m);
  assert.equal(JSON.parse(command("status", "--json", "--data", folder)).boot.id, birth.value.boot);
});

test("a node without broker or descriptor measures and stores, and delivers when they come", async () => {
  rmSync(join(folder, "network.json"));
  await network.stopBroker();
  const child = start();
  const accepted = () => storeNow().tally?.accepted ?? 0;
  await until("stored readings", () => accepted() > 0 && output.includes("waiting for the network descriptor"), 15_000);
  const before = accepted();
  writeFileSync(join(folder, "network.json"), JSON.stringify(network.descriptor));
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await network.startBroker();
  await until("the backlog", () => stored() >= before, 15_000);
  await stop(child, "SIGTERM");
});

test("kill -9 loses nothing accepted and stores nothing twice, and the next boot counts on", async () => {
  network.mood.answers = false;
  const first = start();
  await until("unanswered batches", () => (storeNow().batches?.unreceipted ?? 0) > 1, 20_000);
  await stop(first, "SIGKILL");
  const waiting = summarise(folder);
  network.mood.answers = true;
  const second = start();
  await until("everything of the first boot", () => stored() >= (waiting.tally.accepted ?? 0), 15_000);
  await until(
    "a batch of the second",
    () => new Set(network.ledger.sequences.map((key) => key.split(" ")[0])).size === 2,
  );
  await stop(second, "SIGTERM");
  const births = network.heard.births.map((text) => JSON.parse(text));
  assert.deepEqual(
    births.map(({ bootCount }) => bootCount),
    [1, 2],
  );
  assert.equal(network.ledger.sequences[0], `${births[0].boot} 1`);
  const keys = network.ledger.readings.map(({ series, at }) => `${series} ${at}`);
  assert.equal(new Set(keys).size, keys.length);
  assert.deepEqual(network.ledger.dropped, []);
});

test("a broker that restarts is greeted again, and the retained beacon of a slot that still runs is answered", async () => {
  const child = start();
  await until("a batch", () => network.ledger.sequences.length > 0, 15_000);
  await network.stopBroker();
  await network.startBroker();
  network.beacon({ opensAt: Date.now(), closesAt: Date.now() + 12_000 });
  await until("the second birth", () => network.heard.births.length === 2);
  await until("evidence", () => network.heard.evidence.length === 1);
  const before = stored();
  await until("further batches", () => stored() > before);
  await stop(child, "SIGTERM");
});

test("data is held while the coordinator says it is offline, and PUBACKs free nothing", async () => {
  network.coordinatorIs(false);
  const child = start();
  await until("the connect", () => network.heard.births.length === 1, 15_000);
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  assert.equal(network.heard.batches.length, 0);
  network.mood.answers = false;
  network.coordinatorIs(true);
  await until("unanswered batches", () => summarise(folder).batches.unreceipted > 0);
  const boot = JSON.parse(network.heard.births[0] ?? "").boot as BootId;
  network.forgedReceipt(boot, 1_000);
  await until("the forged receipt's refusal", () => output.includes("refused one of the receipts"));
  assert.equal(summarise(folder).boot?.stored, 0);
  network.mood.answers = true;
  await until("the receipts", () => (summarise(folder).boot?.stored ?? 0) > 0, 15_000);
  await stop(child, "SIGTERM");
});

test("slot receipts of trusted verifiers are kept", async () => {
  const child = start();
  await until("the connect", () => network.heard.births.length === 1, 15_000);
  network.slotReceipt(4, "0xff03");
  network.slotReceipt(5, "0x0100");
  const kept = () => summarise(folder).slotReceipts;
  await until("the slot receipts", () => kept().epochs === 2);
  assert.equal(kept().newestEpoch, 5);
  await stop(child, "SIGTERM");
});

test("a GNSS recording becomes readings and a location claim", async () => {
  const child = start({ args: ["--serial", `replay:${recording}`] });
  await until("positions", () => network.ledger.readings.some(({ unit }) => unit === "lat"), 20_000);
  network.beacon();
  await until("evidence", () => network.heard.evidence.length === 1);
  const location = network.heard.evidence[0]?.location;
  assert.ok(location && Math.abs(location.latitude) <= 90 && (location.age ?? 99) < 60);
  assert.ok(Number.isInteger(location.age));
  const birth = parseBirth(Buffer.from(network.heard.births[0] ?? ""));
  assert.ok(birth.ok && birth.value.capabilities.includes("sensor.gnss"));
  await stop(child, "SIGTERM");
});

test("the daemon stops when the standard input of its launcher closes", async () => {
  const child = start({ args: ["--exit-with-parent"], stdin: "pipe" });
  await until("the connect", () => network.heard.births.length === 1, 15_000);
  const exited = once(child, "exit");
  child.stdin?.destroy();
  await exited;
  assert.equal(child.exitCode, 0);
  assert.match(output, /standard input closed/);
});

test("an idle daemon whose compile cache is filled stays under 100 MB of resident memory", async () => {
  const first = start();
  await until("a start that fills the cache", () => network.ledger.sequences.length >= 1, 15_000);
  await stop(first, "SIGTERM");
  network.ledger.sequences.length = 0;
  const child = start();
  await until("batches", () => network.ledger.sequences.length >= 3, 15_000);
  network.beacon();
  await until("evidence", () => network.heard.evidence.length === 1);
  const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
  const resident = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1_024;
  assert.ok(resident < 100_000_000, `${resident} bytes`);
  await stop(child, "SIGTERM");
});

test("each fault of the start has its own exit code and names the input, the reason and the remedy", () => {
  const fails = (...args: string[]) => {
    try {
      command(...args);
    } catch (fault) {
      const { status, stderr } = fault as { status: number; stderr: string };
      return { status, stderr };
    }
    assert.fail("did not fail");
  };
  const run = ["run", "--data", folder, "--network", join(folder, "network.json"), "--broker", network.url];
  const usage = fails("run", "--data", folder);
  assert.equal(usage.status, 2);
  assert.match(usage.stderr, /--network is missing/);
  const serial = fails(...run, "--serial", "replay:nowhere");
  assert.equal(serial.status, 2);
  assert.match(serial.stderr, /--serial replay:nowhere/);
  chmodSync(join(folder, "device.key"), 0o644);
  const wide = fails(...run);
  assert.equal(wide.status, 3);
  assert.match(wide.stderr, /may be read by others[\s\S]*chmod 600/);
  assert.equal(fails("status", "--data", join(folder, "nowhere")).status, 4);
  chmodSync(join(folder, "device.key"), 0o600);
  writeFileSync(join(folder, "network.json"), "[]");
  assert.equal(fails(...run).status, 5);
});

test("a key is printed as one JSON line, the same at every call", () => {
  const line = command("key", "--data", folder);
  assert.deepEqual(JSON.parse(line), { nodeId: key.nodeId, publicKey: key.publicKey });
  assert.equal(line.trim().split("\n").length, 1);
});
