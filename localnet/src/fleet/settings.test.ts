import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { LocalnetFault } from "../fault.ts";
import { quietShape } from "./plan.ts";
import { fleetUsage, parseBrokers, parseFleetSettings, type RunSettings } from "./settings.ts";

const folder = mkdtempSync(join(tmpdir(), "cairn-fleet-"));
after(() => rmSync(folder, { recursive: true }));

function run(line: string): RunSettings {
  const settings = parseFleetSettings(["run", "--network", "net.json", ...line.split(" ").filter(Boolean)], "/srv");
  assert.equal(settings?.command, "run");
  return settings as RunSettings;
}

function refusal(args: readonly string[]): string {
  try {
    parseFleetSettings(args, "/srv");
  } catch (error) {
    assert.ok(error instanceof LocalnetFault);
    assert.equal(error.exitCode, 2);
    return error.message;
  }
  throw new assert.AssertionError({ message: `${args.join(" ")} was accepted` });
}

describe("the settings of cairn-fleet", () => {
  test("without flags the fleet is a quiet one of 100 nodes against the broker of this machine", () => {
    const { shape, brokers, network, durationMs, boot, verifiedShare, window } = run("");
    assert.deepEqual(shape, quietShape);
    assert.deepEqual(brokers, [{ host: "127.0.0.1", port: 1_883, tls: false }]);
    assert.equal(network, "/srv/net.json");
    assert.deepEqual([durationMs, boot, verifiedShare, window], [undefined, undefined, 1, 8]);
  });

  test("every flag reaches its setting in its unit", () => {
    const { shape, ...rest } = run(
      "--nodes 7 --seed x --sites 3 --join 1 --readings 5 --batch-ms 250 --day-seconds 60 --swing-percent 50 " +
        "--outage-every 20 --outage-seconds 4 --backlog-batches 9 --backlog-percent 25 --backlog-hours 2 --storm-every 30 " +
        "--storm-percent 80 --storm-jitter-ms 0 --misbehaving-percent 10 --skew-ms 1500 --duration 12 --settle 3 --report-every 2 " +
        "--window 4 --keepalive 20 --verify-percent 10 --boot 5 --journal j --ca c --credentials d --json",
    );
    assert.deepEqual(shape, {
      ...{ seed: "x", nodes: 7, sites: 3, joinMs: 1_000, readingsPerBatch: 5, batchMs: 250, dayMs: 60_000, swing: 0.5 },
      ...{ outageEveryMs: 20_000, outageMs: 4_000, backlogBatches: 9, backlogShare: 0.25, backlogMs: 7_200_000 },
      ...{ stormEveryMs: 30_000, stormShare: 0.8, stormJitterMs: 0, misbehavingShare: 0.1, skewMs: 1_500 },
    });
    assert.deepEqual(rest, {
      ...{ command: "run", network: "/srv/net.json", brokers: [{ host: "127.0.0.1", port: 1_883, tls: false }] },
      ...{
        journal: "/srv/j",
        ca: "/srv/c",
        credentials: "/srv/d",
        durationMs: 12_000,
        settleMs: 3_000,
        reportMs: 2_000,
      },
      ...{ window: 4, keepaliveSeconds: 20, verifiedShare: 0.1, boot: 5, json: true },
    });
  });

  test("a fleet has no more sites than nodes", () => {
    assert.equal(run("--nodes 3").shape.sites, 3);
  });

  test("a number out of its range is refused by name, with range and unit", () => {
    for (const value of ["99", "1.5", "86400001", "1e4", "ten"])
      assert.equal(
        refusal(["run", "--network", "n", "--batch-ms", value]),
        `--batch-ms ${value}: a whole number from 100 to 86400000 (ms) is needed`,
      );
    assert.match(refusal(["roster", "--out", "r", "--operators", "0"]), /--operators 0: .* 1 to 1000/);
  });

  test("an unknown command or flag, and a setting that is missing, are refused by name", () => {
    assert.match(refusal(["walk"]), /walk/);
    assert.match(refusal(["run", "--knots", "3"]), /--knots/);
    assert.match(refusal(["run"]), /--network is missing/);
    assert.match(refusal(["roster"]), /--out is missing/);
    assert.match(refusal(["roster", "--out", "r", "--broker", "mqtt://x"]), /--broker/);
  });

  test("brokers are a list with default ports, and a password in an address is refused and not repeated", () => {
    assert.deepEqual(parseBrokers("mqtt://a,mqtts://b,mqtt://[::1]:99"), [
      { host: "a", port: 1_883, tls: false },
      { host: "b", port: 8_883, tls: true },
      { host: "::1", port: 99, tls: false },
    ]);
    for (const bad of ["a:1883", "http://a", "mqtt://a,", "mqtt://a/topic"])
      assert.throws(() => parseBrokers(bad), /is needed|only host and port/);
    assert.throws(
      () => parseBrokers("mqtt://me:geheim@a"),
      (error: Error) => !error.message.includes("geheim"),
    );
  });

  test("a scenario sets what the command line leaves out", () => {
    const file = join(folder, "scenario.json");
    writeFileSync(file, JSON.stringify({ nodes: 40, "batch-ms": 500, seed: "s", json: true }));
    const { shape, json } = run(`--scenario ${file} --nodes 50`);
    assert.deepEqual([shape.nodes, shape.batchMs, shape.seed, json], [50, 500, "s", true]);
  });

  test("a scenario with an unknown name, a bad value or no JSON is refused by file and name", () => {
    const file = join(folder, "bad.json");
    for (const [text, said] of [
      ['{"knots": 3}', /bad\.json: knots is no setting/],
      ['{"nodes": true}', /bad\.json: nodes is true/],
      ['{"nodes": 0}', /--nodes 0: a whole number from 1/],
      ['{"scenario": "x"}', /scenario is no setting/],
      ["[]", /not a JSON object/],
      ["{", /bad\.json/],
    ] as const) {
      writeFileSync(file, text);
      assert.match(refusal(["run", "--network", "n", "--scenario", file]), said);
    }
    assert.match(refusal(["run", "--network", "n", "--scenario", join(folder, "none")]), /ENOENT/);
  });

  test("the help names every flag with unit, range and default, and says that it is a simulation", () => {
    assert.equal(parseFleetSettings(["--help"], "/"), undefined);
    assert.equal(parseFleetSettings(["run", "--help"], "/"), undefined);
    const help = fleetUsage();
    for (const part of [
      "--batch-ms N",
      "100 to 86400000 ms; default 10000",
      "--operators N",
      "simulated",
      "130 stopped",
    ])
      assert.ok(help.includes(part), `the help does not say "${part}"`);
  });
});
