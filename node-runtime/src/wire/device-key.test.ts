import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { verifyEs256 } from "@cairn/protocol";
import { NodeFault } from "../fault.ts";
import { createDeviceKey, readDeviceKey } from "./device-key.ts";

let folder: string;
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "cairn-key-")), "data");
});
afterEach(() => rmSync(join(folder, ".."), { recursive: true }));

const refused = (pattern: RegExp) => (fault: unknown) =>
  fault instanceof NodeFault && fault.code === "key-refused" && pattern.test(fault.message) && fault.remedy !== "";

test("a key is made once, for its owner alone, and signs what its public key verifies", () => {
  const key = createDeviceKey(folder);
  assert.equal(statSync(join(folder, "device.key")).mode & 0o777, 0o600);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.deepEqual({ ...createDeviceKey(folder), sign: 0 }, { ...key, sign: 0 });
  assert.match(key.nodeId, /^[0-9a-f]{40}$/);
  assert.match(key.uri, /^file:\/\/\/.*device\.key$/);
  const bytes = Buffer.from("evidence");
  assert.ok(verifyEs256(createPublicKey(key.publicKey), bytes, key.sign(bytes)));
});

test("a key that others may read is refused, with what to do", () => {
  createDeviceKey(folder);
  for (const mode of [0o640, 0o604, 0o660]) {
    chmodSync(join(folder, "device.key"), mode);
    assert.throws(() => readDeviceKey(folder), refused(/may be read by others/));
  }
  chmodSync(join(folder, "device.key"), 0o400);
  readDeviceKey(folder);
});

test("an absent key, text that is no key and a key of another curve are refused", () => {
  assert.throws(() => readDeviceKey(folder), refused(/there is no device key/));
  createDeviceKey(folder);
  writeFileSync(join(folder, "device.key"), "not a key");
  assert.throws(() => readDeviceKey(folder), refused(/not a private key/));
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
  writeFileSync(join(folder, "device.key"), privateKey.export({ format: "pem", type: "pkcs8" }));
  assert.throws(() => readDeviceKey(folder), refused(/P-256/));
});
