import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { readBrokerCredentials } from "./broker-credentials.ts";

const folder = mkdtempSync(join(tmpdir(), "cairn-credentials-"));
const file = join(folder, "node.json");
after(() => rmSync(folder, { recursive: true }));

function written(text: string, mode = 0o600): void {
  writeFileSync(file, text);
  chmodSync(file, mode);
}

test("a file with a name and a password is what the node signs in with; without a name it is the node's id", () => {
  written('{"username":"u","password":"p","expiresAt":1}');
  assert.deepEqual(readBrokerCredentials(file, "node"), { username: "u", password: "p" });
  written('{"password":"p"}');
  assert.deepEqual(readBrokerCredentials(file, "node"), { username: "node", password: "p" });
});

test("a file that others may read, that is absent or that holds no password is refused by its name", () => {
  written('{"password":"p"}', 0o640);
  assert.throws(() => readBrokerCredentials(file, "node"), { code: "setting-refused", message: /mode 640/ });
  for (const text of [
    "",
    "null",
    "[]",
    '"p"',
    "{}",
    '{"password":""}',
    '{"password":7}',
    '{"username":"","password":"p"}',
  ]) {
    written(text);
    assert.throws(
      () => readBrokerCredentials(file, "node"),
      (fault: Error & { code?: string }) => {
        assert.equal(fault.code, "setting-refused", text);
        assert.ok(fault.message.includes(file), text);
        return true;
      },
    );
  }
  assert.throws(() => readBrokerCredentials(join(folder, "absent.json"), "node"), { code: "setting-refused" });
});
