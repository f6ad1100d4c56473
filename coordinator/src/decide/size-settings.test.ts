import assert from "node:assert/strict";
import { test } from "node:test";
import { CoordinatorFault } from "../fault.ts";
import { parseSizeSettings, sizeUsage } from "./size-settings.ts";

test("without a word it sizes a million nodes that speak once a minute", () => {
  const settings = parseSizeSettings([]);
  assert.partialDeepStrictEqual(settings, {
    json: false,
    load: { nodes: 1_000_000, intervalSeconds: 60, slotSeconds: 60, broker: "nats", ledger: "postgres", headRoom: 2 },
  });
  assert.equal(settings?.load.payloadBytes, undefined);
});

test("every setting that is named is taken", () => {
  const line =
    "--nodes 5 --interval 2.5 --readings 7 --payload-bytes 900 --slot-seconds 10 --slots-per-epoch 6 --keep-days 3 --keep-evidence-days 4 --nodes-per-operator 2.5 --broker mqtt --ledger sqlite --reconnect-seconds 30 --head-room 1.5 --json";
  assert.deepEqual(parseSizeSettings(line.split(" ")), {
    json: true,
    load: {
      nodes: 5,
      intervalSeconds: 2.5,
      readings: 7,
      payloadBytes: 900,
      slotSeconds: 10,
      slotsPerEpoch: 6,
      keepReadingsDays: 3,
      keepEvidenceDays: 4,
      nodesPerOperator: 2.5,
      broker: "mqtt",
      ledger: "sqlite",
      reconnectSeconds: 30,
      headRoom: 1.5,
    },
  });
  for (const [name] of line.matchAll(/--[a-z-]+/g)) assert.ok(sizeUsage().includes(`${name} `), name);
});

test("an embedded broker goes with SQLite, any other with PostgreSQL", () => {
  const ledgerWith = (broker: string) => parseSizeSettings(["--broker", broker])?.load.ledger;
  assert.deepEqual(["embedded", "mqtt", "nats"].map(ledgerWith), ["sqlite", "postgres", "postgres"]);
});

test("a bad setting is refused with its name, its value and what is needed", () => {
  const cases: readonly [args: string, words: RegExp][] = [
    ["--nodes 0", /--nodes is "0": a whole number from 1 to 100000000 is needed/],
    ["--nodes 1.5", /--nodes is "1\.5"/],
    ["--interval 0", /--interval is "0": a number from 0\.1 to 86400 \(s\) is needed/],
    ["--readings many", /--readings is "many"/],
    ["--head-room 0.5", /--head-room is "0\.5"/],
    ["--payload-bytes 0", /--payload-bytes is "0"/],
    ["--broker kafka", /--broker is "kafka": one of embedded, mqtt, nats is needed/],
    ["--ledger mysql", /--ledger is "mysql": one of sqlite, postgres is needed/],
    ["--node 5", /--node.*size --help/s],
  ];
  for (const [args, words] of cases)
    assert.throws(
      () => parseSizeSettings(args.split(" ")),
      (error) => error instanceof CoordinatorFault && error.code === "setting-refused" && words.test(error.message),
      args,
    );
});

test("asked for help it answers nothing else", () => {
  assert.equal(parseSizeSettings(["--help", "--nodes", "0"]), undefined);
});
