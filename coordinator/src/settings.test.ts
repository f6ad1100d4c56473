import assert from "node:assert/strict";
import { resolve } from "node:path";
import { describe, test } from "node:test";
import { CoordinatorFault } from "./fault.ts";
import { type CoordinatorSettings, parseSettings, usage } from "./settings.ts";

/** Of all roles. */
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
  ledger: "sqlite:/var/lib/cairn/ledger.sqlite",
  ledgerPasswordFile: undefined,
  roles: ["ingest", "verifier", "placer", "settler", "api"],
  replica: "north",
  dutySeconds: 6,
  broker: { kind: "embedded" },
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

test("brokers are named with everything that reaching them takes", () => {
  const credentials = "coordinator.json";
  const common = { credentials, ca: undefined, gateway: [], streamReplicas: 1 };
  assert.deepEqual(
    parseSettings(args({ broker: "mqtt://a:1,mqtts://b:2", "broker-credentials": credentials }))?.broker,
    {
      ...common,
      kind: "mqtt",
      urls: ["mqtt://a:1", "mqtts://b:2"],
    },
  );
  const nats = { broker: "nats://a:4222,nats://b:4222", "broker-gateway": "mqtt://a:1883", "stream-replicas": "3" };
  assert.deepEqual(parseSettings(args({ ...nats, "broker-credentials": credentials, "broker-ca": "ca.pem" }))?.broker, {
    kind: "nats",
    urls: ["nats://a:4222", "nats://b:4222"],
    gateway: ["mqtt://a:1883"],
    credentials,
    ca: "ca.pem",
    streamReplicas: 3,
  });
});

test("a replica that only takes in or only answers needs no chain and no keys", () => {
  const lean = { rpc: "", deployment: "", "verifier-key": "", "settlement-key": "" };
  for (const roles of ["ingest", "api", "placer,api"]) assert.ok(parseSettings(args({ roles, ...lean })));
});

test("every setting takes another value, in both ways to write it", () => {
  const others: Readonly<Record<string, [string, keyof CoordinatorSettings, unknown]>> = {
    network: ["north-1", "network", "north-1"],
    ledger: ["postgres://cairn@db/cairn", "ledger", "postgres://cairn@db/cairn"],
    "ledger-password-file": ["password", "ledgerPasswordFile", "password"],
    roles: ["api, ingest", "roles", ["ingest", "api"]],
    "duty-seconds": ["2", "dutySeconds", 2],
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
    "duty-seconds": [2, 60],
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

  test("when a role is unknown, or one lacks what it needs", () => {
    assert.match(refuses(args({ roles: "ingest,broker" }), "roles"), /"broker"/);
    refuses(args({ roles: "" }), "roles");
    for (const name of ["rpc", "deployment", "verifier-key", "settlement-key"])
      refuses(args({ roles: "settler", [name]: "" }), name);
    refuses(args({ roles: "verifier,ingest", "verifier-key": "" }), "verifier-key");
    refuses(args({ roles: "api", rpc: "" }), "rpc");
  });

  test("when the verifier shall run without the embedded broker that it speaks through", () => {
    refuses(args({ roles: "verifier" }), "roles");
  });

  test("when the ledger's address is neither of SQLite nor of PostgreSQL", () => {
    for (const text of ["sqlite:", "mysql://db/cairn", "ledger.sqlite", "postgres:db"])
      refuses(args({ ledger: text }), "ledger");
  });

  test("when a broker's address has another scheme or no host, or its credentials are missing", () => {
    const other = { "broker-credentials": "coordinator.json" };
    for (const broker of ["tcp://host", "mqtt://", "mqtt://one,nats://two", "mqtt", ""])
      refuses(args({ broker, ...other }), "broker");
    refuses(args({ broker: "mqtt://host:1883" }), "broker-credentials");
    assert.match(refuses(args({ broker: "nats://host:4222", ...other }), "broker-gateway"), /missing/);
  });

  test("when the replica's name has other characters or too many", () => {
    for (const text of ["a b", "-a", "a".repeat(64), "a/b"]) refuses(args({ replica: text }), "replica");
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
    const grown = ["ledger", "ledger-password-file", "roles", "replica", "duty-seconds"];
    const brokers = ["broker", "broker-gateway", "broker-credentials", "broker-ca", "stream-replicas"];
    const all = [...Object.keys(needed), ...taken, ...kept, ...grown, ...brokers, "exit-with-parent"];
    assert.deepEqual(listed.sort(), all.sort());
    assert.match(usage(), /--slot-seconds .*\bs\b.*default 60/);
    assert.match(usage(), /--work-share .*basis points.*default 5000/);
    assert.match(usage(), /--verifier-key .*0600/);
  });
});

function args(changes: Readonly<Record<string, string | undefined>> = {}): string[] {
  return Object.entries({ replica: "north", ...needed, ...changes }).flatMap(([name, value]) =>
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
