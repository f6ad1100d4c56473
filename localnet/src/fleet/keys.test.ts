import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeIdOf, parseDevicePublicKey, ueidOf, verifyEs256 } from "@cairn/protocol";
import { fleetRoster, simulatedKey } from "./keys.ts";

test("a seed gives the same keys again, another seed or node none of them", () => {
  assert.equal(simulatedKey("one", 4).nodeId, simulatedKey("one", 4).nodeId);
  const ids = ["one", "two"].flatMap((seed) => [0, 1, 2].map((index) => simulatedKey(seed, index).nodeId));
  assert.equal(new Set(ids).size, 6);
});

test("a simulated key is a device key: it signs, and its identities are those of its public half", () => {
  const { nodeId, ueid, publicKey, sign } = simulatedKey("one", 0);
  const pem = parseDevicePublicKey(publicKey.export({ format: "pem", type: "spki" }).toString());
  assert.ok(pem.ok);
  assert.equal(nodeIdOf(pem.value), nodeId);
  assert.equal(ueidOf(pem.value).toString("base64url"), ueid);
  const bytes = Buffer.from("a statement");
  assert.ok(verifyEs256(pem.value, bytes, sign(bytes)));
  assert.ok(!verifyEs256(simulatedKey("one", 1).publicKey, bytes, sign(bytes)));
});

test("the roster names every node once and lets the operators take turns", () => {
  const roster = fleetRoster("one", 7, 3);
  assert.equal(new Set(roster.map(({ name }) => name)).size, 7);
  for (const [index, { publicKey, operator }] of roster.entries()) {
    const key = parseDevicePublicKey(publicKey);
    assert.ok(key.ok);
    assert.equal(nodeIdOf(key.value), simulatedKey("one", index).nodeId);
    assert.match(operator, /^0x[0-9a-f]{40}$/);
    assert.equal(operator, roster[index % 3]?.operator);
  }
  assert.equal(new Set(roster.map(({ operator }) => operator)).size, 3);
  assert.deepEqual(fleetRoster("one", 7, 3), roster);
});
