import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { houseRoot, programFile } from "./house.ts";
import { operatorAddresses, verifierAddress, writeSettlementKey } from "./keys.ts";
import { enrolNodes, nodeFolder, nodeName, nodeProgramOf, readRoster, rosterFile } from "./nodes.ts";

const scratch = mkdtempSync(join(tmpdir(), "cairn-nodes-"));
after(() => rmSync(scratch, { recursive: true }));
const nodeProgram = programFile("cairn-node");
const operators = operatorAddresses();

describe("the nodes of the network", () => {
  const data = join(scratch, "a");

  test("are enrolled with a key of their own each, and the operators take turns", async () => {
    const nodes = await enrolNodes(data, 3, operators, nodeProgram);
    assert.deepEqual(
      nodes.map(({ name }) => name),
      ["city-drive", "harbour-mast", "host-3"],
    );
    assert.equal(new Set(nodes.map(({ nodeId }) => nodeId)).size, 3);
    assert.deepEqual(
      nodes.map(({ operator }) => operator),
      [operators[0], operators[1], operators[0]],
    );
    assert.deepEqual(
      readRoster(data).map(({ name }) => name),
      ["city-drive", "harbour-mast", "host-3"],
    );
  });

  test("stay the same at a later start, and more of them join without touching the first", async () => {
    const before = readRoster(data);
    const nodes = await enrolNodes(data, 4, operators, nodeProgram);
    assert.deepEqual(readRoster(data).slice(0, 3), before);
    assert.equal(nodes[3]?.name, "host-4");
    assert.equal(nodes[3]?.operator, operators[1]);
  });

  test("that are not run this time stay enrolled", async () => {
    const nodes = await enrolNodes(data, 1, operators, nodeProgram);
    assert.equal(nodes.length, 1);
    assert.equal(readRoster(data).length, 4);
  });

  test("whose folder was removed come back with a new key", async () => {
    const [before] = readRoster(data);
    rmSync(nodeFolder(data, 1), { recursive: true });
    await enrolNodes(data, 1, operators, nodeProgram);
    assert.notEqual(readRoster(data)[0]?.publicKey, before?.publicKey);
  });

  test("are not started from a torn roster", () => {
    writeFileSync(rosterFile(data), '{"nodes":[');
    assert.throws(() => readRoster(data), { code: "data-unusable", remedy: /--fresh/ });
  });

  test("replay the recordings in turn; only node 1 may have a real port", async () => {
    const nodes = await enrolNodes(join(scratch, "b"), 3, operators, nodeProgram);
    const sources = (serial: string | undefined) =>
      nodes.map((node) => {
        const { args } = nodeProgramOf(node, { nodeProgram, networkFile: "n.json", broker: "mqtt://b", serial });
        return args[args.indexOf("--serial") + 1];
      });
    const [city, harbour] = ["city-drive", "harbour-mast"].map((name) => `replay:hardware/recordings/${name}.jsonl`);
    assert.deepEqual(sources(undefined), [city, harbour, city]);
    assert.deepEqual(sources("/dev/ttyACM0"), ["/dev/ttyACM0", harbour, city]);
    for (const source of [city, harbour])
      assert.ok(statSync(join(houseRoot, source?.slice("replay:".length) ?? "")).size > 0);
  });

  test("have names of their own up to the largest network", () => {
    assert.equal(new Set(Array.from({ length: 50 }, (_, index) => nodeName(index + 1))).size, 50);
  });

  test("without a working key program are refused with what it said", async () => {
    const program = join(scratch, "broken.mjs");
    writeFileSync(program, "console.error('disk is full'); process.exit(3);");
    await assert.rejects(enrolNodes(join(scratch, "c"), 1, operators, program), /no device key in .*: disk is full/);
  });
});

describe("the keys of the network", () => {
  test("are written for their owner only, and the verifier's is made once", () => {
    const verifier = join(scratch, "keys", "verifier.key");
    const settlement = join(scratch, "keys", "settlement.key");
    const address = verifierAddress(verifier);
    writeSettlementKey(settlement);
    for (const file of [verifier, settlement]) {
      assert.equal(statSync(file).mode & 0o777, 0o600);
      assert.match(readFileSync(file, "utf8"), /^0x[0-9a-f]{64}\n$/);
    }
    assert.equal(verifierAddress(verifier), address);
    assert.match(address, /^0x[0-9a-f]{40}$/);
  });

  test("are two operators, neither of them the deployer or the settlement account", () => {
    assert.equal(new Set(operators).size, 2);
  });
});

test("a program that no workspace brings is refused by name", () => {
  assert.throws(() => programFile("cairn-nothing"), { code: "program-missing", message: /cairn-nothing/ });
});
