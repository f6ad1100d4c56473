import assert from "node:assert/strict";
import { generateKeyPairSync, sign, verify } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { signerOf, verifyEs256 } from "./es256.ts";

const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const p1363 = { dsaEncoding: "ieee-p1363" } as const;

test("node:crypto accepts our r || s, and we accept the one it makes", () => {
  const signer = signerOf(privateKey);
  // Five hundred signatures hold integers of 31, 32 and 33 bytes in DER.
  for (let index = 0; index < 500; index++) {
    const bytes = Buffer.from(`message ${index}`);
    const ours = signer(bytes);
    assert.equal(ours.length, 64);
    assert.ok(verify("sha256", bytes, { key: publicKey, ...p1363 }, ours));
    assert.ok(verifyEs256(publicKey, bytes, sign("sha256", bytes, { key: privateKey, ...p1363 })));
    assert.equal(verifyEs256(publicKey, Buffer.from("another message"), ours), false);
  }
});

test("no signature of any length and content throws, and we judge it as node:crypto does", () => {
  const bytes = Buffer.from("message");
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), (signature) => {
      const theirs = verify("sha256", bytes, { key: publicKey, ...p1363 }, signature);
      assert.equal(verifyEs256(publicKey, bytes, signature), theirs);
    }),
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (signature) => !verifyEs256(publicKey, bytes, signature)));
  for (const fill of [0x00, 0xff, 0x80]) assert.equal(verifyEs256(publicKey, bytes, Buffer.alloc(64, fill)), false);
});
