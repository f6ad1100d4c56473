import assert from "node:assert/strict";
import { resolve } from "node:path";
import { describe, test } from "node:test";
import { CoordinatorFault } from "./fault.ts";
import { type CoordinatorSettings, parseSettings, usage } from "./settings.ts";

const needed: Readonly<Record<string, string>> = {
  data: "/var/lib/cairn",
  rpc: "http://127.0.0.1:8545",
  deployment: "deployment.json",
  roster: "roster.json",
  "verifier-key": "verifier.key",
  "settlement-key": "settlement.key",
};
const defaults: CoordinatorSettings = {
  data: "/var/lib/cairn",
  network: "local",
  host: "127.0.0.1",
  mqttPort: 1_883,
  httpPort: 8_080,
  rpc: "http://127.0.0.1:8545",
  deployment: "deployment.json",
  roster: "roster.json",
  verifierKey: "verifier.key",
  settlementKey: "settlement.key",
  webDir: undefined,
  slotSeconds: 60,
  slotsPerEpoch: 60,
  workShareBps: 5_000,
  uptimeFloorBps: 5_000,
  keepReadingsDays: 30,
  keepEvidenceDays: 90,
  keepRejections: 10_000,
  exitWithParent: false,
};

test("what must be said is enough, the rest has the defaults that the help names", () => {
  assert.deepEqual(parseSettings(args()), defaults);
});

test("every setting takes another value, in both ways to write it", () => {
  const others: Readonly<Record<string, [string, keyof CoordinatorSettings, unknown]>> = {
    network: ["north-1", "network", "north-1"],
    host: ["0.0.0.0", "host", "0.0.0.0"],
    "mqtt-port": ["0", "mqttPort", 0],
    "http-port": ["65535", "httpPort", 65_535],
    "web-dir": ["page", "webDir", resolve("page")],
    "slot-seconds": ["1", "slotSeconds", 1],
    "slots-per-epoch": ["8192", "slotsPerEpoch", 8_192],
    "work-share": ["10000", "workShareBps", 10_000],
    "uptime-floor": ["0", "uptimeFloorBps", 0],
    "keep-readings-days": ["3650", "keepReadingsDays", 3_650],
    "keep-evidence-days": ["1", "keepEvidenceDays", 1],
    "keep-rejections": ["100", "keepRejections", 100],
  };
  for (const [name, [text, field, value]] of Object.entries(others)) {
    assert.deepEqual(parseSettings([...args(), `--${name}`, text]), { ...defaults, [field]: value });
    assert.deepEqual(parseSettings([...args(), `--${name}=${text}`]), { ...defaults, [field]: value });
  }
  assert.equal(parseSettings([...args(), "--exit-with-parent"])?.exitWithParent, true);
});

describe("a start is refused, and the setting is named,", () => {
  for (const name of Object.keys(needed)) {
    test(`when --${name} is missing or empty`, () => {
      for (const value of [undefined, ""]) assert.match(refuses(args({ [name]: value }), name), /missing/);
    });
  }

  const numbers: Readonly<Record<string, readonly [number, number]>> = {
    "mqtt-port": [0, 65_535],
    "http-port": [0, 65_535],
    "slot-seconds": [1, 3_600],
    "slots-per-epoch": [1, 8_192],
    "work-share": [0, 10_000],
    "uptime-floor": [0, 10_000],
    "keep-readings-days": [1, 3_650],
    "keep-evidence-days": [1, 3_650],
    "keep-rejections": [100, 1_000_000],
  };
  for (const [name, [least, most]] of Object.entries(numbers))
    test(`when --${name} is no whole number from ${least} to ${most}, whose range it tells`, () => {
      refuses(args({ [name]: "" }), name);
      for (const text of [`${least - 1}`, `${most + 1}`, `${least}.5`, "many", " ", "1e3", "0x10", "NaN", "-1"])
        assert.match(refuses(args({ [name]: text }), name), new RegExp(`${least} to ${most}`), `"${text}"`);
    });

  test("when the network's name has other characters or too many", () => {
    for (const text of ["", "North", "a_b", "-a", "a".repeat(33), "a/b", "a+"])
      refuses(args({ network: text }), "network");
  });

  test("when the chain's address is none of HTTP", () => {
    for (const text of ["127.0.0.1:8545", "ftp://chain", "chain", "http://"]) refuses(args({ rpc: text }), "rpc");
  });

  test("when the host is empty", () => {
    refuses(args({ host: "" }), "host");
  });

  test("when it is not known", () => {
    refuses([...args(), "--slot-second", "60"], "slot-second");
    refuses([...args(), "start"], "start");
  });

  test("when it lacks its value", () => {
    refuses([...args(), "--network"], "network");
  });
});

describe("the help", () => {
  test("is asked for with --help, whatever else is said", () => {
    assert.equal(parseSettings(["--help"]), undefined);
    assert.equal(parseSettings([...args(), "--help"]), undefined);
  });

  test("lists every setting with its default, and none that is not taken", () => {
    const listed = [...usage().matchAll(/^ {2}--([a-z-]+) /gm)].map(([, name]) => name);
    const taken = ["network", "host", "mqtt-port", "http-port", "web-dir", "slot-seconds", "slots-per-epoch"];
    const kept = ["work-share", "uptime-floor", "keep-readings-days", "keep-evidence-days", "keep-rejections"];
    assert.deepEqual(listed.sort(), [...Object.keys(needed), ...taken, ...kept, "exit-with-parent"].sort());
    assert.match(usage(), /--slot-seconds .*\bs\b.*default 60/);
    assert.match(usage(), /--work-share .*basis points.*default 5000/);
    assert.match(usage(), /--verifier-key .*0600/);
  });
});

function args(changes: Readonly<Record<string, string | undefined>> = {}): string[] {
  return Object.entries({ ...needed, ...changes }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}=${value}`],
  );
}

/** The message, which names the setting. */
function refuses(argv: readonly string[], name: string): string {
  let message = "";
  assert.throws(
    () => parseSettings(argv),
    (error) => {
      assert.ok(error instanceof CoordinatorFault, String(error));
      assert.equal(error.code, "setting-refused");
      message = error.message;
      return true;
    },
    `not refused: ${argv.join(" ")}`,
  );
  assert.ok(message.includes(name), message);
  return message;
}
