import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { CoordinatorFault, type FaultCode } from "../fault.ts";
import { coordinatorKey, readInput, secp256k1Key, writeDurably } from "./files.ts";

let folder = "";
const at = (name: string) => join(folder, name);
const key = `0x${"5a".repeat(32)}`;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cairn-files-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("an input file", () => {
  test("is read as it is", () => {
    writeFileSync(at("roster.json"), Buffer.from([1, 0xff, 0]));
    assert.deepEqual(readInput(at("roster.json"), "roster"), Buffer.from([1, 0xff, 0]));
  });

  test("that is missing, or a folder, is refused with its name and what it is for", () => {
    for (const path of [at("nowhere.json"), folder]) {
      const message = refusedWith("file-missing", () => readInput(path, "roster"));
      assert.ok(message.includes(path) && message.includes("roster"), message);
    }
  });
});

describe("a secret key", () => {
  test("is 0x and 64 hex digits, with or without an end of line", () => {
    for (const text of [key, `${key}\n`, `  ${key.toUpperCase().replace("0X", "0x")}\r\n`]) {
      writeFileSync(at("key"), text, { mode: 0o600 });
      assert.deepEqual(secp256k1Key(at("key"), "verifier's key"), Buffer.alloc(32, 0x5a));
    }
  });

  for (const mode of [0o640, 0o604, 0o620, 0o601, 0o666, 0o777])
    test(`whose file has the mode ${mode.toString(8)} is refused, with the command that mends it`, () => {
      writeFileSync(at("key"), key);
      chmodSync(at("key"), mode);
      const message = refusedWith("key-exposed", () => secp256k1Key(at("key"), "verifier's key"));
      assert.ok(message.includes(`chmod 600 ${at("key")}`), message);
      assert.ok(!message.includes(key.slice(2)));
    });

  test("that only its owner may read is taken, also when he may not write it", () => {
    for (const mode of [0o600, 0o400]) {
      writeFileSync(at("key"), key, { mode: 0o600 });
      chmodSync(at("key"), mode);
      assert.equal(secp256k1Key(at("key"), "key").length, 32);
      chmodSync(at("key"), 0o600);
    }
  });

  test("behind a link is judged by the file that the link leads to", () => {
    writeFileSync(at("real"), key, { mode: 0o644 });
    symlinkSync(at("real"), at("link"));
    refusedWith("key-exposed", () => secp256k1Key(at("link"), "key"));
  });

  test("of another form is refused, and its text is in no message", () => {
    const secret = "5a".repeat(31);
    for (const text of [
      "",
      "0x",
      secret,
      `0x${secret}`,
      `${key}00`,
      `0x${"zz".repeat(32)}`,
      "-----BEGIN PRIVATE KEY-----",
    ]) {
      writeFileSync(at("key"), text, { mode: 0o600 });
      const message = refusedWith("key-malformed", () => secp256k1Key(at("key"), "settlement key"));
      assert.ok(message.includes(at("key")) && !message.includes(secret), message);
    }
  });

  test("that is missing is refused with its name", () => {
    assert.match(
      refusedWith("file-missing", () => secp256k1Key(at("key"), "verifier's key")),
      /verifier's key/,
    );
  });
});

describe("the coordinator's own key", () => {
  test("is made on the first start, P-256, for its owner alone, and is the same on the next", () => {
    const first = coordinatorKey(at("own.key"));
    assert.equal(first.asymmetricKeyDetails?.namedCurve, "prime256v1");
    assert.equal(statSync(at("own.key")).mode & 0o777, 0o600);
    assert.ok(createPublicKey(first).equals(createPublicKey(coordinatorKey(at("own.key")))));
  });

  test("that others may read is refused, not made anew", () => {
    coordinatorKey(at("own.key"));
    const before = readFileSync(at("own.key"));
    chmodSync(at("own.key"), 0o644);
    refusedWith("key-exposed", () => coordinatorKey(at("own.key")));
    assert.deepEqual(readFileSync(at("own.key")), before);
  });

  test("that is no key is refused with its name, not made anew", () => {
    for (const text of ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]) {
      writeFileSync(at("own.key"), text, { mode: 0o600 });
      const message = refusedWith("key-malformed", () => coordinatorKey(at("own.key")));
      assert.ok(message.includes(at("own.key")), message);
      assert.equal(readFileSync(at("own.key"), "utf8"), text);
    }
  });
});

describe("a durable write", () => {
  test("puts the whole text in the place of the old one and leaves no draft", () => {
    writeDurably(at("network.json"), "old text, which was longer");
    writeDurably(at("network.json"), "new");
    assert.equal(readFileSync(at("network.json"), "utf8"), "new");
    assert.deepEqual(readdirSync(folder), ["network.json"]);
  });

  test("has the mode that was asked for", () => {
    writeDurably(at("secret"), "s", 0o600);
    writeDurably(at("public"), "p");
    assert.deepEqual([statSync(at("secret")).mode & 0o777, statSync(at("public")).mode & 0o777], [0o600, 0o644]);
  });

  test("of a secret never goes through a file that others may read", () => {
    writeFileSync(at("secret.new"), "left by a crash", { mode: 0o644 });
    writeDurably(at("secret"), "s", 0o600);
    assert.equal(statSync(at("secret")).mode & 0o777, 0o600);
  });

  test("writes a text that needs more than one write, to the last byte", () => {
    const text = "ä".repeat(3_000_000);
    writeDurably(at("large"), text);
    assert.equal(readFileSync(at("large"), "utf8"), text);
  });

  test("that cannot be done leaves the old text", () => {
    writeDurably(at("network.json"), "old");
    assert.throws(() => writeDurably(join(at("nowhere"), "network.json"), "new"));
    assert.equal(readFileSync(at("network.json"), "utf8"), "old");
    assert.ok(!existsSync(at("nowhere")));
  });
});

function refusedWith(code: FaultCode, read: () => unknown): string {
  let message = "";
  assert.throws(read, (error) => {
    assert.ok(error instanceof CoordinatorFault, String(error));
    assert.equal(error.code, code);
    message = error.message;
    return true;
  });
  return message;
}
