import assert from "node:assert/strict";
import { test } from "node:test";
import { operatorAddress } from "../../testing/founding.ts";
import { parseDeployment } from "./deployment.ts";

const deployment = {
  chainId: 31_337,
  token: operatorAddress(1),
  verifierSet: operatorAddress(2),
  rewards: operatorAddress(3),
};

test("a deployment is its chain and its three contracts, and may say more", () => {
  assert.deepEqual(parseDeployment(bytesOf(deployment)), { ok: true, value: deployment });
  assert.ok(parseDeployment(bytesOf({ ...deployment, deployedAt: "yesterday" })).ok);
});

const refusals: Readonly<Record<string, [unknown, RegExp]>> = {
  "without a token": [{ ...deployment, token: undefined }, /deployment/],
  "on chain 0": [{ ...deployment, chainId: 0 }, /\/chainId/],
  "whose chain is a text": [{ ...deployment, chainId: "31337" }, /\/chainId/],
  "with an address in mixed case": [{ ...deployment, rewards: `0x${"Ab".repeat(20)}` }, /\/rewards/],
  "with an address that is too short": [{ ...deployment, verifierSet: "0x12" }, /\/verifierSet/],
  "that is a list": [[deployment], /deployment/],
};
for (const [what, [value, named]] of Object.entries(refusals))
  test(`a deployment ${what} is refused, and says where`, () => {
    const parsed = parseDeployment(bytesOf(value));
    assert.ok(!parsed.ok);
    assert.equal(parsed.rejection.code, "schema-mismatch");
    assert.match(parsed.rejection.detail, named);
  });

test("bytes that are no JSON are refused", () => {
  for (const bytes of [Buffer.alloc(0), Buffer.from("{"), Buffer.from([0xff])]) {
    const parsed = parseDeployment(bytes);
    assert.ok(!parsed.ok);
    assert.equal(parsed.rejection.code, "payload-malformed");
  }
});

function bytesOf(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
