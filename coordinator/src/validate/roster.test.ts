import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { makeDevice } from "../../testing/devices.ts";
import { operatorAddress } from "../../testing/founding.ts";
import { parseRoster } from "./roster.ts";

const [north, south] = [makeDevice(), makeDevice()];
const entry = { name: "north", publicKey: north.publicKey, operator: operatorAddress(1) };

test("a roster is read into enrolments of level software, with the NodeId of each key", () => {
  const second = { name: "south", publicKey: south.publicKey, operator: operatorAddress(2) };
  const roster = parseRoster(bytesOf({ nodes: [entry, second] }));
  assert.ok(roster.ok);
  assert.deepEqual(
    roster.value.map(({ nodeId, name, operator, evidenceLevel }) => [nodeId, name, operator, evidenceLevel]),
    [
      [north.nodeId, "north", operatorAddress(1), "software"],
      [south.nodeId, "south", operatorAddress(2), "software"],
    ],
  );
  assert.ok(roster.value[0]?.publicKey.equals(north.enrolment.publicKey));
});

test("an empty roster is a roster", () => {
  assert.deepEqual(parseRoster(bytesOf({ nodes: [] })), { ok: true, value: [] });
});

const otherCurve = generateKeyPairSync("ec", { namedCurve: "secp256k1" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const refusals: Readonly<Record<string, [string, Buffer, RegExp]>> = {
  "that is not JSON": ["payload-malformed", Buffer.from("nodes:"), /roster/],
  "that is not UTF-8": ["payload-malformed", Buffer.from([0x7b, 0xff, 0x7d]), /roster/],
  "without nodes": ["schema-mismatch", bytesOf({}), /roster/],
  "with a field that it does not know": ["schema-mismatch", bytesOf({ nodes: [], more: 1 }), /roster/],
  "with a nameless node": ["schema-mismatch", bytesOf({ nodes: [{ ...entry, name: "" }] }), /\/nodes\/0\/name/],
  "with an operator in mixed case": [
    "schema-mismatch",
    bytesOf({ nodes: [{ ...entry, operator: `0x${"Ab".repeat(20)}` }] }),
    /\/nodes\/0\/operator/,
  ],
  "with a field too many in a node": [
    "schema-mismatch",
    bytesOf({ nodes: [{ ...entry, level: "tpm" }] }),
    /\/nodes\/0/,
  ],
  "with a key that is no PEM": ["credential-malformed", bytesOf({ nodes: [{ ...entry, publicKey: "key" }] }), /north/],
  "with a key of another curve": ["credential-malformed", pemOf(otherCurve.publicKey), /north.*P-256/],
  "with an RSA key": ["credential-malformed", pemOf(rsa.publicKey), /north.*P-256/],
  "with one key under two names": [
    "schema-mismatch",
    bytesOf({ nodes: [entry, { ...entry, name: "twin" }] }),
    /twin and north have the same key/,
  ],
};
for (const [what, [code, bytes, named]] of Object.entries(refusals))
  test(`a roster ${what} is refused whole, and says where`, () => {
    const roster = parseRoster(bytes);
    assert.ok(!roster.ok);
    assert.equal(roster.rejection.code, code);
    assert.match(roster.rejection.detail, named);
  });

test("a roster with a private key in a key's place does not repeat it", () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = privateKey.export({ format: "pem", type: "pkcs8" }).toString();
  const roster = parseRoster(bytesOf({ nodes: [{ ...entry, publicKey: pem }] }));
  assert.ok(!JSON.stringify(roster).includes(pem.split("\n")[1] ?? pem));
});

test("any JSON is read or refused, never an exception", () => {
  const anyNode = fc.record({ name: fc.anything(), publicKey: fc.anything(), operator: fc.anything() });
  const anyRoster = fc.oneof(fc.anything(), fc.record({ nodes: fc.array(anyNode, { maxLength: 3 }) }));
  fc.assert(
    fc.property(anyRoster, (value) => {
      const text = JSON.stringify(value, (_, item) => (typeof item === "bigint" ? Number(item) : item)) ?? "";
      assert.equal(typeof parseRoster(Buffer.from(text)).ok, "boolean");
    }),
  );
});

function bytesOf(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function pemOf(key: typeof rsa.publicKey): Buffer {
  const publicKey = key.export({ format: "pem", type: "spki" }).toString();
  return bytesOf({ nodes: [{ ...entry, publicKey }] });
}
