import assert from "node:assert/strict";
import { createHash, createPublicKey, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { accepted, newDevice, pemOf, refusalOf } from "../testing/parties.ts";
import { isNodeId, nodeIdOf, parseDevicePublicKey, ueidOf } from "./identity.ts";

const { publicKey, privateKey } = newDevice();
const spki = publicKey.export({ format: "der", type: "spki" });

/** The same key as `publicKey`, its point compressed (SEC 1 section 2.3.3). */
function compressedPem(): string {
  const { x = "", y = "" } = publicKey.export({ format: "jwk" });
  const odd = (Buffer.from(y, "base64url").at(-1) ?? 0) & 1;
  const head = Buffer.from("3039301306072a8648ce3d020106082a8648ce3d030107032200", "hex");
  const der = Buffer.concat([head, Buffer.of(2 + odd), Buffer.from(x, "base64url")]);
  return `-----BEGIN PUBLIC KEY-----\n${der.toString("base64")}\n-----END PUBLIC KEY-----\n`;
}

test("a node's id is the first 20 bytes of SHA-256 over its key's SPKI DER, in lower-case hex", () => {
  assert.equal(nodeIdOf(publicKey), createHash("sha256").update(spki).digest("hex").slice(0, 40));
  assert.ok(isNodeId(nodeIdOf(publicKey)));
});

test("a UEID is a type byte 1 and the whole SHA-256, and begins with the node's id", () => {
  const ueid = ueidOf(publicKey);
  assert.equal(ueid.length, 33);
  assert.equal(ueid[0], 1);
  assert.deepEqual(ueid.subarray(1), createHash("sha256").update(spki).digest());
  assert.equal(ueid.subarray(1, 21).toString("hex"), nodeIdOf(publicKey));
});

test("one key has one identity, also when its point comes compressed", () => {
  const compressed = accepted(parseDevicePublicKey(compressedPem()));
  assert.ok(compressed.equals(publicKey));
  assert.equal(nodeIdOf(compressed), nodeIdOf(publicKey));
  assert.deepEqual(ueidOf(compressed), ueidOf(publicKey));
});

test("a P-256 public key in PEM is read, with any line ends and white space around it", () => {
  const pem = pemOf(publicKey);
  for (const text of [pem, pem.trimEnd(), `\n${pem}\n\n`, pem.replaceAll("\n", "\r\n")])
    assert.ok(accepted(parseDevicePublicKey(text)).equals(publicKey));
});

test("a private key is refused where a public one belongs, so that no secret ends up in a roster", () => {
  for (const type of ["pkcs8", "sec1"] as const) {
    const pem = privateKey.export({ format: "pem", type }).toString();
    assert.ok(createPublicKey(pem).equals(publicKey), "node:crypto alone would take it");
    assert.equal(refusalOf(parseDevicePublicKey(pem)).code, "credential-malformed");
  }
});

test("keys of every other kind are refused, and the refusal names the kind", () => {
  const others = {
    ed25519: generateKeyPairSync("ed25519"),
    x25519: generateKeyPairSync("x25519"),
    rsa: generateKeyPairSync("rsa", { modulusLength: 2048 }),
    secp384r1: generateKeyPairSync("ec", { namedCurve: "P-384" }),
    secp256k1: generateKeyPairSync("ec", { namedCurve: "secp256k1" }),
  };
  for (const [kind, { publicKey: key }] of Object.entries(others)) {
    const { code, detail } = refusalOf(parseDevicePublicKey(pemOf(key)));
    assert.equal(code, "credential-malformed");
    assert.match(detail, new RegExp(kind));
  }
});

test("text that is not exactly one PEM block of a public key is refused", () => {
  const pem = pemOf(publicKey);
  const off = Buffer.from(spki);
  off[off.length - 1] = (off.at(-1) ?? 0) ^ 1;
  const offCurve = `-----BEGIN PUBLIC KEY-----\n${off.toString("base64")}\n-----END PUBLIC KEY-----\n`;
  for (const text of ["", "hello", pem + pem, `see:\n${pem}`, `${pem}junk`, pem.slice(0, 60), offCurve])
    assert.equal(refusalOf(parseDevicePublicKey(text)).code, "credential-malformed");
});

test("only 40 lower-case hex digits are a node id", () => {
  assert.ok(isNodeId("0123456789abcdef0123456789abcdef01234567"));
  for (const text of ["", "0".repeat(39), "0".repeat(41), "A".repeat(40), `${"0".repeat(40)}\n`, `0x${"0".repeat(38)}`])
    assert.equal(isNodeId(text), false, text);
});
