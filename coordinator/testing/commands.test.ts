import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { makeDevice } from "./devices.ts";
import { operatorAddress } from "./founding.ts";
import { fill } from "./ledger/life.ts";
import { coordinator } from "./program.ts";
import { openTemporaryLedger } from "./temporary-ledger.ts";

let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "cairn-commands-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

describe("cairn-coordinator size", () => {
  test("prints cores, memory, brokers, network and storage with the assumption behind each, and as JSON", () => {
    const { code, out } = coordinator("size", "--nodes", "1000000", "--interval", "60");
    assert.equal(code, 0);
    for (const word of ["CORES", "MEMORY", "BROKERS", "NETWORK", "STORAGE", "16,667/s"])
      assert.ok(out.includes(word), word);
    const json = coordinator("size", "--nodes", "10", "--json");
    assert.ok(JSON.parse(json.out).lines.length > 10);
  });
});

describe("cairn-coordinator access", () => {
  const nodes = [1, 2].map((number) => {
    const { nodeId, enrolment } = makeDevice();
    const publicKey = enrolment.publicKey.export({ format: "pem", type: "spki" }).toString();
    return { nodeId, entry: { name: `node-${number}`, publicKey, operator: operatorAddress(number) } };
  });
  const roster = () => {
    const file = join(folder, "roster.json");
    writeFileSync(file, JSON.stringify({ nodes: nodes.map(({ entry }) => entry) }));
    return file;
  };

  for (const [kind, file, ...more] of [
    ["mosquitto", "mosquitto.conf"],
    ["emqx", "emqx.conf"],
    ["hivemq", "config.xml"],
    ["vernemq", "vernemq.conf"],
    ["nats", "a.conf", "--servers", "a=10.0.0.1,b=10.0.0.2,c=10.0.0.3"],
  ] as const)
    test(`writes the configuration of ${kind}, a credential per node that nobody else may read, and what to do next`, () => {
      const out = join(folder, kind);
      const args = ["access", "--broker", kind, "--roster", roster(), "--out", out, ...more];
      const { code, out: said, err } = coordinator(...args);
      assert.equal(code, 0, err);
      assert.ok(existsSync(join(out, file)) || readdirSync(out, { recursive: true }).join().includes(file), said);
      assert.match(said, /next: start the broker/);
      for (const { nodeId } of nodes) assert.equal(statSync(join(out, "nodes", `${nodeId}.json`)).mode & 0o777, 0o600);
      const first = readFileSync(join(out, "nodes", `${nodes[0]?.nodeId}.json`), "utf8");
      assert.match(coordinator(...args).out, /0 new, 2 kept/);
      assert.equal(readFileSync(join(out, "nodes", `${nodes[0]?.nodeId}.json`), "utf8"), first);
      assert.match(coordinator(...args, "--rotate").out, /2 new, 0 kept/);
    });

  test("refuses what no broker can be written from, each by name, and writes nothing", () => {
    const common = ["access", "--roster", roster(), "--out", join(folder, "refused")];
    for (const [args, message] of [
      [["--broker", "rabbitmq"], /--broker is rabbitmq/],
      [["--broker", "mosquitto", "--listen", "0.0.0.0"], /--listen is 0\.0\.0\.0: HOST:PORT/],
      [["--broker", "nats", "--servers", "10.0.0.1"], /--servers has "10\.0\.0\.1"/],
      [["--broker", "mosquitto", "--tls-cert", "a.pem"], /--tls-cert and --tls-key/],
      [["--broker", "mosquitto", "--network", "My Net"], /--network is My Net: lower-case/],
      [["--broker", "nats", "--servers", "a=10.0.0.1,b=10.0.0.2,a=10.0.0.3"], /--servers has a twice/],
      [["--broker", "emqx", "--listen", "0.0.0.0:1884"], /--listen 0\.0\.0\.0:1884 and --coordinators .* one port/],
      [["--broker", "nats", "--listen", "0.0.0.0:1883"], /--listen is not for nats/],
      [["--broker", "nats", "--coordinators=127.0.0.1:1884"], /--coordinators is not for nats/],
      [["--broker", "nats", "--user", "nats"], /--user is not for nats/],
      [["--broker", "emqx", "--user", "emqx"], /--user is not for emqx/],
      [["--broker", "mosquitto", "--servers", "a=10.0.0.1"], /--servers is not for mosquitto/],
      [["--broker", "vernemq", "--store=/data"], /--store is not for vernemq/],
      [["--broker", "hivemq", "--token-days", "9"], /--token-days is not for hivemq/],
    ] as const) {
      const { code, err } = coordinator(...common, ...args);
      assert.equal(code, 2);
      assert.match(err, message);
    }
    assert.ok(!existsSync(join(folder, "refused")));
  });

  test("refuses a folder of another broker or network", () => {
    const out = join(folder, "taken");
    const common = ["access", "--roster", roster(), "--out", out];
    assert.equal(coordinator(...common, "--broker", "mosquitto", "--network", "north").code, 0);
    for (const args of [
      ["--broker", "nats", "--network", "north"],
      ["--broker", "mosquitto", "--network", "south"],
    ]) {
      const { code, err } = coordinator(...common, ...args);
      assert.equal(code, 2);
      assert.ok(err.includes(`${out} holds the access of network north for mosquitto: use another --out`), err);
    }
  });
});

describe("cairn-coordinator ledger", () => {
  test("backs a ledger up into a folder, proves the newest backup, and restores it", async () => {
    const store = await openTemporaryLedger();
    try {
      await fill(store.ledger);
      const address = `sqlite:${store.path}`;
      const backups = mkdtempSync(join(folder, "backups-"));
      const made = coordinator("ledger", "backup", "--ledger", address, "--out", backups, "--json");
      assert.equal(made.code, 0, made.err);
      const files = readdirSync(backups);
      const name = files.find((file) => file.endsWith(".cairn-ledger")) ?? "";
      assert.equal(JSON.parse(made.out).file, join(backups, name));
      const drill = coordinator("ledger", "verify", "--from", backups, "--ledger", address);
      assert.equal(drill.code, 0, drill.err);
      assert.match(drill.out, /can be restored: \d+ rows came back as they were/);
      assert.deepEqual(readdirSync(backups), files);
      const restored = `sqlite:${join(folder, "restored.sqlite")}`;
      assert.equal(coordinator("ledger", "restore", "--from", backups, "--ledger", restored).code, 0);
      const again = coordinator("ledger", "restore", "--from", backups, "--ledger", restored);
      assert.notEqual(again.code, 0);
      assert.match(again.err, /there/);
    } finally {
      await store.remove();
    }
  });

  test("a ledger that is not there is refused and not made", () => {
    const path = join(folder, "mistyped.sqlite");
    for (const args of [
      ["backup", "--out", folder],
      ["backup", "--out", join(folder, "backup")],
      ["verify", "--from", folder],
    ]) {
      const { code, err } = coordinator("ledger", ...args, "--ledger", `sqlite:${path}`);
      assert.notEqual(code, 0);
      assert.ok(err.includes(`there is no ledger ${path}`) && err.includes("file-missing"), err);
      assert.ok(!existsSync(path));
    }
  });

  test("lists its commands, and refuses one that is none and a move to SQLite", () => {
    const { code, out } = coordinator("ledger");
    assert.equal(code, 0);
    for (const name of ["copy", "backup", "restore", "verify"]) assert.match(out, new RegExp(`ledger ${name}:`));
    assert.equal(coordinator("ledger", "move").code, 2);
    assert.match(coordinator("ledger", "copy", "--from", "sqlite:a", "--to", "sqlite:b").err, /postgres/);
  });
});

test("an address of a ledger that is none is refused, and its password is not printed", () => {
  const { code, err } = coordinator(
    "ledger",
    "backup",
    "--ledger",
    "mysql://cairn:secret@db/cairn",
    "--out",
    join(folder, "none"),
  );
  assert.equal(code, 2);
  assert.ok(!err.includes("secret"), err);
});
