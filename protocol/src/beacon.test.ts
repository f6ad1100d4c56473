import assert from "node:assert/strict";
import { test } from "node:test";
import { accepted, domain, refusalOf, verifierNamed } from "../testing/parties.ts";
import { encodeBeacon, parseBeacon } from "./beacon.ts";
import type { Beacon } from "./typed-data.ts";

const verifier = verifierNamed("first");
const second = verifierNamed("second");
const stranger = verifierNamed("stranger");
const trusted = [second.address, verifier.address];
const beacon: Beacon = {
  epoch: 7,
  slot: 39,
  nonce: `0x${"5a".repeat(32)}`,
  opensAt: 1_790_000_000_000,
  closesAt: 1_790_000_060_000,
};
const message = JSON.parse(encodeBeacon(beacon, domain, verifier).toString());
const judge = (value: unknown, trust = trusted) => parseBeacon(Buffer.from(JSON.stringify(value)), domain, trust);

test("a beacon of a trusted verifier comes back as it was signed, with the verifier's name", () => {
  assert.deepEqual(accepted(judge(message)), { ...beacon, verifier: verifier.address });
});

test("a beacon is refused when its signer is not trusted, however well it is signed", () => {
  const foreign = encodeBeacon(beacon, domain, stranger);
  assert.equal(refusalOf(parseBeacon(foreign, domain, trusted)).code, "signature-invalid");
  assert.equal(refusalOf(judge(message, [])).code, "signature-invalid");
});

test("a beacon cannot borrow the name of another trusted verifier", () => {
  assert.equal(refusalOf(judge({ ...message, verifier: second.address })).code, "signature-invalid");
  const borrowed = { address: verifier.address, key: stranger.key };
  assert.equal(
    refusalOf(parseBeacon(encodeBeacon(beacon, domain, borrowed), domain, trusted)).code,
    "signature-invalid",
  );
});

test("no field of a beacon can change under its signature", () => {
  for (const change of [
    { epoch: 8 },
    { slot: 40 },
    { nonce: `0x${"5b".repeat(32)}` },
    { opensAt: beacon.opensAt + 1 },
    { closesAt: beacon.closesAt + 1 },
  ])
    assert.equal(refusalOf(judge({ ...message, ...change })).code, "signature-invalid");
});

test("a beacon of another chain or another rewards contract is none of this network", () => {
  const bytes = encodeBeacon(beacon, domain, verifier);
  for (const foreign of [
    { ...domain, chainId: 8822 },
    { ...domain, verifyingContract: verifier.address },
  ])
    assert.equal(refusalOf(parseBeacon(bytes, foreign, trusted)).code, "signature-invalid");
});

test("a signature with a high s is refused: each beacon has one signature only", () => {
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const { signature } = message;
  const high = (order - BigInt(`0x${signature.slice(66, 130)}`)).toString(16).padStart(64, "0");
  const mirrored = `${signature.slice(0, 66)}${high}${signature.endsWith("1b") ? "1c" : "1b"}`;
  assert.equal(refusalOf(judge({ ...message, signature: mirrored })).code, "signature-invalid");
});

test("a signature that is none is refused and no exception", () => {
  for (const signature of ["00", "ff", "1b"])
    assert.equal(refusalOf(judge({ ...message, signature: `0x${signature.repeat(65)}` })).code, "signature-invalid");
});

test("a beacon of another shape is refused", () => {
  const wrong: Record<string, unknown[]> = {
    verifier: ["", "0x", verifier.address.toUpperCase(), 1],
    epoch: [-1, 0.5, "7", 2 ** 53, 1e300],
    slot: [-1, 0.5, null, 2 ** 53],
    nonce: ["0x", `0x${"5A".repeat(32)}`, `0x${"5a".repeat(33)}`],
    opensAt: [-1, 2 ** 53],
    closesAt: [-1, "later"],
    signature: ["", `0x${"0".repeat(128)}`, `0x${"g".repeat(130)}`],
    extra: [1],
  };
  for (const [field, values] of Object.entries(wrong))
    for (const value of values)
      assert.equal(refusalOf(judge({ ...message, [field]: value })).code, "schema-mismatch", `${field}: ${value}`);
  for (const field of Object.keys(message)) {
    const rest = Object.fromEntries(Object.entries(message).filter(([name]) => name !== field));
    assert.match(refusalOf(judge(rest)).detail, new RegExp(field));
  }
});

test("a beacon of more than 8192 bytes is refused unread, and what is not JSON is malformed", () => {
  const bytes = Buffer.concat([encodeBeacon(beacon, domain, verifier), Buffer.alloc(8_192, " ")]);
  assert.equal(refusalOf(parseBeacon(bytes, domain, trusted)).code, "payload-too-large");
  assert.equal(refusalOf(parseBeacon(bytes.subarray(0, 100), domain, trusted)).code, "payload-malformed");
});
