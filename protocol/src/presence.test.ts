import assert from "node:assert/strict";
import { test } from "node:test";
import { accepted, refusalOf } from "../testing/parties.ts";
import { type Birth, parseBirth, parseCoordinatorState, parseDeath } from "./presence.ts";
import type { Result } from "./result.ts";

const boot = "0123456789abcdef0123456789abcdef";
const birth: Birth = {
  boot,
  bootCount: 3,
  software: "cairn-node/0.1.0",
  profile: "Jetson Orin NX, Büro 2",
  capabilities: ["sensor.gnss", "sensor.host"],
  desiredVersion: 0,
};
const bytesOf = (value: unknown) => Buffer.from(JSON.stringify(value));

/** Checks that `good` passes as it is and that no single change of a field does. */
function holds<T>(parse: (bytes: Uint8Array) => Result<T>, good: object, wrong: Record<string, unknown[]>): void {
  assert.deepEqual(accepted(parse(bytesOf(good))), good);
  for (const [field, values] of Object.entries(wrong))
    for (const value of values) {
      const bytes = bytesOf({ ...good, [field]: value });
      assert.equal(refusalOf(parse(bytes)).code, "schema-mismatch", `${field}: ${JSON.stringify(value)}`);
    }
  for (const field of Object.keys(good)) {
    const rest = Object.fromEntries(Object.entries(good).filter(([name]) => name !== field));
    assert.equal(refusalOf(parse(bytesOf(rest))).code, "schema-mismatch", `without ${field}`);
  }
  assert.match(refusalOf(parse(bytesOf({ ...good, extra: 1 }))).detail, /\/extra is not a field of it/);
}

test("a birth says which boot, which software, what the node can do and which desired version it holds", () => {
  holds(parseBirth, birth, {
    boot: ["", boot.toUpperCase(), `${boot}0`, 1],
    bootCount: [0, -1, 1.5, 2 ** 53, "3"],
    software: ["", "x".repeat(65), "a\u0000", "a\u001b[2J", "\udc00", 1],
    profile: ["", "x".repeat(65), "a\r\nb", null],
    capabilities: [null, "sensor.gnss", ["Sensor"], [""], [`a${"b".repeat(64)}`], [1], Array(65).fill("a")],
    desiredVersion: [-1, 0.5, 2 ** 53, 1e300, "0"],
  });
  assert.ok(parseBirth(bytesOf({ ...birth, capabilities: Array(64).fill(`a${"b".repeat(63)}`) })).ok);
});

test("a death says which boot has died", () => {
  holds(parseDeath, { boot }, { boot: ["", null, boot.slice(1), `${boot}\n`] });
});

test("the coordinator says whether it is online, and since when", () => {
  holds(
    parseCoordinatorState,
    { online: false, at: 1_790_000_000_000 },
    { online: [0, "true", null], at: [-1, 1.5, 1e300, "now"] },
  );
});

test("a presence message of more than 8192 bytes is refused unread, also when it is only white space", () => {
  for (const parse of [parseBirth, parseDeath, parseCoordinatorState]) {
    const { code } = refusalOf(parse(Buffer.from(`${JSON.stringify(birth)}${" ".repeat(8_192)}`)));
    assert.equal(code, "payload-too-large");
  }
  const json = JSON.stringify({ boot });
  assert.ok(parseDeath(Buffer.from(json + " ".repeat(8_192 - json.length))).ok);
  assert.equal(refusalOf(parseDeath(Buffer.from(json + " ".repeat(8_193 - json.length)))).code, "payload-too-large");
});

test("presence that is not complete JSON in UTF-8 is malformed", () => {
  for (const parse of [parseBirth, parseDeath, parseCoordinatorState])
    for (const bytes of [Buffer.alloc(0), bytesOf(birth).subarray(0, -1), Buffer.of(0x22, 0xff, 0x22)])
      assert.equal(refusalOf(parse(bytes)).code, "payload-malformed");
});
