import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeFault } from "./fault.ts";
import { commands, helpText, readInvocation } from "./settings.ts";

const run = (...more: string[]) => [
  "run",
  "--data",
  "d",
  "--network",
  "n.json",
  "--broker",
  "mqtt://127.0.0.1:1883",
  ...more,
];

function refusal(args: readonly string[]): NodeFault {
  try {
    readInvocation(args);
  } catch (fault) {
    assert.ok(fault instanceof NodeFault);
    return fault;
  }
  assert.fail(`took ${args.join(" ")}`);
}

test("a run needs data, network and broker, everything else has its documented default", () => {
  const invocation = readInvocation(run());
  assert.equal(invocation.command, "run");
  assert.deepEqual(
    { ...("settings" in invocation ? invocation.settings : {}) },
    {
      data: "d",
      network: "n.json",
      broker: ["mqtt://127.0.0.1:1883"],
      "broker-credentials": undefined,
      ca: undefined,
      serial: undefined,
      baud: 9_600,
      "host-seconds": 5,
      "batch-seconds": 2,
      "batch-readings": 200,
      "store-mb": 256,
      profile: "generic",
      "log-level": "info",
      "exit-with-parent": false,
    },
  );
});

test("a bad value is refused with its setting, its value, its range and unit", () => {
  const cases: [string[], RegExp][] = [
    [["--batch-readings", "501"], /--batch-readings 501: must be a whole number, 1 to 500 readings/],
    [["--batch-readings", "2.5"], /--batch-readings 2.5: must be a whole number/],
    [["--batch-seconds", "0"], /--batch-seconds 0: must be a number, 0.1 to 3600 s/],
    [["--store-mb", "lots"], /--store-mb lots: must be a whole number, 1 to 65536 MB/],
    [["--store-mb", ""], /--store-mb : must be/],
    [["--host-seconds", "Infinity"], /--host-seconds Infinity: must be/],
    [["--broker", "http://x"], /--broker http:\/\/x: must be mqtt:\/\/HOST:PORT/],
    [["--broker", "mqtt://me:secret@x"], /must hold no user or password/],
    [["--broker", "mqtt://a,http://b"], /--broker mqtt:\/\/a,http:\/\/b: must be mqtt:\/\/HOST:PORT/],
    [["--broker", "mqtt://a,"], /must be mqtt:\/\/HOST:PORT/],
    [["--broker-credentials", ""], /--broker-credentials : must be not empty/],
    [["--profile", "a b"], /--profile a b: must be 1 to 64/],
    [["--profile", "a\nb"], /--profile a\nb: must be 1 to 64/],
    [["--profile", "\u001b[31m"], /--profile .*: must be 1 to 64/],
    [["--log-level", "loud"], /--log-level loud: must be one of debug/],
  ];
  for (const [more, message] of cases) {
    const fault = refusal(run(...more));
    assert.match(fault.message, message);
    assert.equal(fault.code, "setting-refused");
    assert.notEqual(fault.remedy, "");
  }
});

test("several brokers are taken apart at their commas", () => {
  const invocation = readInvocation(run("--broker", "mqtt://a:1, mqtts://b:2"));
  assert.ok(invocation.command === "run");
  assert.deepEqual(invocation.settings.broker, ["mqtt://a:1", "mqtts://b:2"]);
});

test("a missing setting, an unknown flag and an unknown command are refused by name", () => {
  assert.match(refusal(["run", "--data", "d", "--network", "n"]).message, /--broker is missing/);
  assert.match(refusal(["key"]).message, /--data is missing/);
  assert.match(refusal(run("--colour", "red")).message, /--colour/);
  assert.match(refusal(["fly"]).message, /no command fly/);
});

test("the help names every command and every setting with its default", () => {
  const help = helpText();
  for (const [name, { settings }] of Object.entries(commands)) {
    assert.ok(help.includes(`cairn-node ${name}`));
    for (const flag of Object.keys(settings)) assert.ok(help.includes(`--${flag}`), flag);
  }
  assert.match(help, /default 256/);
  assert.equal(readInvocation([]).command, "help");
  assert.equal(readInvocation(["run", "--help"]).command, "help");
});
