import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CompactSign, compactVerify } from "jose";
import { accepted, newDevice, refusalOf } from "../testing/parties.ts";
import { verifyEs256 } from "./es256.ts";
import {
  claimToNonce,
  type EvidenceClaims,
  encodeEvidence,
  evidenceProfile,
  nonceToClaim,
  parseEvidenceClaims,
  parseEvidenceEnvelope,
} from "./evidence.ts";
import type { Hex } from "./identity.ts";
import { ueidOf } from "./identity.ts";
import { base64url, encodeJws } from "./jws.ts";

const { nodeId, privateKey, publicKey, sign } = newDevice();
const nonce: Hex = `0x${"5a".repeat(32)}`;

const claims: EvidenceClaims = {
  eat_profile: evidenceProfile,
  eat_nonce: nonceToClaim(nonce),
  ueid: ueidOf(publicKey).toString("base64url"),
  iat: 1_790_000_000,
  uptime: 3_600,
  bootcount: 7,
  bootseed: base64url(Buffer.alloc(16, 9)),
  swname: "cairn-node",
  swversion: ["0.1.0"],
  location: { latitude: 52.5, longitude: 13.4, altitude: 34.5, age: 2 },
  cairn: { slot: 39, storedUpTo: 12 },
};

/** Claims as if their signature had been verified. */
function judge(content: unknown) {
  const payload = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
  return parseEvidenceClaims({ nodeId, payload, signingInput: Buffer.alloc(0), signature: Buffer.alloc(64) });
}

test("evidence comes back with the claims it was made with, signed by the node that it names", () => {
  const envelope = accepted(parseEvidenceEnvelope(encodeEvidence(claims, nodeId, sign)));
  assert.equal(envelope.nodeId, nodeId);
  assert.ok(verifyEs256(publicKey, envelope.signingInput, envelope.signature));
  assert.equal(verifyEs256(newDevice().publicKey, envelope.signingInput, envelope.signature), false);
  assert.deepEqual(accepted(parseEvidenceClaims(envelope)), claims);
});

test("every claim but our own has a name that RFC 9711 or RFC 7519 registers", () => {
  // RFC 9711 section 10.2 (sections 4.1, 4.2 and 4.3 define them); `iat` is of RFC 7519 section 4.1.6.
  const registered = new Set([
    ...["eat_nonce", "ueid", "sueids", "oemid", "hwmodel", "hwversion", "swname", "swversion", "oemboot", "dbgstat"],
    ...["location", "uptime", "bootcount", "bootseed", "dloas", "manifests", "measurements", "measres", "submods"],
    ...["eat_profile", "intuse", "iat"],
  ]);
  assert.deepEqual(
    Object.keys(claims).filter((name) => !registered.has(name)),
    ["cairn"],
  );
  // RFC 9711 section 4.2.10.
  const place = new Set(["latitude", "longitude", "altitude", "accuracy", "altitude-accuracy", "heading", "speed"]);
  for (const name of Object.keys(claims.location ?? {})) assert.ok(place.has(name) || name === "age", name);
});

test("jose verifies our evidence", async () => {
  const { protectedHeader, payload } = await compactVerify(encodeEvidence(claims, nodeId, sign), publicKey);
  assert.deepEqual(protectedHeader, { alg: "ES256", typ: "eat+jwt", kid: nodeId });
  assert.deepEqual(JSON.parse(Buffer.from(payload).toString()), claims);
});

test("evidence that jose made is ours", async () => {
  const token = await new CompactSign(Buffer.from(JSON.stringify(claims, null, 2)))
    .setProtectedHeader({ kid: nodeId, typ: "eat+jwt", alg: "ES256" })
    .sign(privateKey);
  const envelope = accepted(parseEvidenceEnvelope(Buffer.from(token)));
  assert.ok(verifyEs256(publicKey, envelope.signingInput, envelope.signature));
  assert.deepEqual(accepted(parseEvidenceClaims(envelope)), claims);
});

test("a nonce and its claim turn into each other", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const hex: Hex = `0x${Buffer.from(bytes).toString("hex")}`;
      assert.equal(claimToNonce(nonceToClaim(hex)), hex);
      assert.ok(judge({ ...claims, eat_nonce: nonceToClaim(hex) }).ok);
    }),
  );
});

test("each claim is missed when it is not there, except the location", () => {
  for (const name of Object.keys(claims)) {
    const judged = judge(without(claims, name));
    if (name === "location") assert.ok(judged.ok);
    else assert.match(refusalOf(judged).detail, new RegExp(`\\b${name}\\b`));
  }
  for (const name of Object.keys(claims.cairn))
    assert.match(refusalOf(judge({ ...claims, cairn: without(claims.cairn, name) })).detail, new RegExp(name));
  for (const name of ["latitude", "longitude"])
    assert.match(
      refusalOf(judge({ ...claims, location: without(claims.location ?? {}, name) })).detail,
      new RegExp(name),
    );
  assert.ok(judge({ ...claims, location: { latitude: 0, longitude: 0 } }).ok);
});

test("a claim that the profile does not know is refused by name, on every level", () => {
  const { cairn, location } = claims;
  for (const extra of [
    { ...claims, eat_nonce2: "x" },
    { ...claims, cairn: { ...cairn, extra: 1 } },
    { ...claims, location: { ...location, speed: 1 } },
  ])
    assert.match(refusalOf(judge(extra)).detail, /\/(eat_nonce2|extra|speed) is not a field of it/);
});

test("a claim out of its range or of another type is refused", () => {
  const wrong: Record<keyof EvidenceClaims, unknown[]> = {
    eat_profile: ["", "urn:x-cairn:evidence:2", null, ["urn:x-cairn:evidence:1"]],
    eat_nonce: ["", "A".repeat(42), "A".repeat(44), `${"A".repeat(42)}=`, `${"A".repeat(42)}+`, 1, ["A".repeat(43)]],
    ueid: ["", "A".repeat(43), "A".repeat(45), "/".repeat(44), null],
    iat: [-1, 1.5, "1", 2 ** 53, 1e300, null],
    uptime: [-1, 0.5, 2 ** 53, 1e300, "1"],
    bootcount: [0, -1, 1.5, 2 ** 53, 1e300, "7"],
    bootseed: ["", "A".repeat(21), "A".repeat(23), "ü".repeat(22)],
    swname: ["", "x".repeat(129), "a\u0000b", "a\nb", "\u001b[31m", "\ud800", 1],
    swversion: [
      ...["", "0.1.0", 1, [], [1], [""], ["x".repeat(129)], ["1\t2"]],
      ...[
        ["1", ""],
        ["1", null],
        ["1", 0.5],
        ["1", "semver", "more"],
      ],
    ],
    location: [
      null,
      [],
      {},
      { latitude: 90.1, longitude: 0 },
      { latitude: -90.1, longitude: 0 },
      { latitude: 0, longitude: 180.1 },
      { latitude: 0, longitude: -180.1 },
      { latitude: 0, longitude: 0, age: -1 },
      { latitude: 0, longitude: 0, age: 0.5 },
      { latitude: 0, longitude: 0, age: 2 ** 53 },
      { latitude: 0, longitude: 0, altitude: "34" },
    ],
    cairn: [
      null,
      {},
      { slot: -1, storedUpTo: 0 },
      { slot: 0.5, storedUpTo: 0 },
      { slot: 2 ** 53, storedUpTo: 0 },
      { slot: 0, storedUpTo: -1 },
      { slot: 0, storedUpTo: 1e300 },
    ],
  };
  for (const [name, values] of Object.entries(wrong))
    for (const value of values)
      assert.equal(refusalOf(judge({ ...claims, [name]: value })).code, "schema-mismatch", `${name} ${value}`);
});

test("claims at the ends of their ranges pass", () => {
  const most = Number.MAX_SAFE_INTEGER;
  for (const change of [
    { iat: 0, uptime: 0, bootcount: 1, cairn: { slot: 0, storedUpTo: 0 } },
    { iat: most, uptime: most, bootcount: most, cairn: { slot: most, storedUpTo: most } },
    { location: { latitude: -90, longitude: 180, altitude: -10_000.5, age: 0 } },
    { swname: "x".repeat(128), swversion: ["Ünïcode ✓ 1.0-β"] },
    { swversion: ["1.2.3", "semver"] },
    { swversion: ["1.2.3", 16_384] },
  ])
    assert.ok(judge({ ...claims, ...change }).ok);
});

test("a token of another type, without a node id or of more than 8192 bytes is no evidence", () => {
  const made = (header: Record<string, unknown>, body: unknown = claims) =>
    parseEvidenceEnvelope(Buffer.from(encodeJws(header, body, sign)));
  assert.ok(made({ typ: "eat+jwt", kid: nodeId }).ok);
  for (const typ of [undefined, "JWT", "EAT+JWT", "cairn-connect+jwt", 1])
    assert.match(refusalOf(made({ typ, kid: nodeId })).detail, /typ/);
  for (const kid of [undefined, "", nodeId.slice(1), nodeId.toUpperCase(), 1, [nodeId]])
    assert.match(refusalOf(made({ typ: "eat+jwt", kid })).detail, /kid/);
  assert.equal(refusalOf(made({ typ: "eat+jwt", kid: nodeId }, "x".repeat(9_000))).code, "payload-too-large");
});

test("claims that are not complete JSON in UTF-8 are malformed", () => {
  const json = Buffer.from(JSON.stringify(claims));
  for (const broken of [Buffer.alloc(0), json.subarray(0, -1), Buffer.concat([json, json]), Buffer.of(0xff, 0xfe)])
    assert.equal(refusalOf(judge(broken)).code, "payload-malformed");
});

function without(value: object, field: string): object {
  return Object.fromEntries(Object.entries(value).filter(([key]) => key !== field));
}
