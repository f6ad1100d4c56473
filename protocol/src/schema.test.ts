import assert from "node:assert/strict";
import { test } from "node:test";
import Type from "typebox";
import { accepted, refusalOf } from "../testing/parties.ts";
import { checker, parseJson, printablePattern, Whole } from "./schema.ts";

const Point = Type.Object({ x: Whole, name: Type.String() }, { additionalProperties: false });
const check = checker("point", Point);

test("a value that fits is handed on as it is", () => {
  const point = { x: 1, name: "a" };
  assert.equal(accepted(check(point)), point);
});

test("a refusal names the schema and the place that does not fit", () => {
  assert.deepEqual(refusalOf(check({ x: "1", name: "a" })), {
    code: "schema-mismatch",
    detail: "point: /x must be integer",
  });
  assert.match(refusalOf(check(null)).detail, /^point: the whole must be object/);
  assert.equal(refusalOf(check({ x: 1, name: "a", z: 1 })).detail, "point: /z is not a field of it");
});

test("fields that every object inherits are not taken for fields of the message", () => {
  for (const key of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
    const value = JSON.parse(`{"x":1,"name":"a","${key}":{"x":2}}`);
    assert.equal(refusalOf(check(value)).detail, `point: /${key} is not a field of it`);
  }
  assert.match(refusalOf(check(JSON.parse('{"__proto__":{"x":1,"name":"a"}}'))).detail, /required properties x, name/);
});

test("a detail is at most 200 printable characters, whatever a sender called its fields", () => {
  for (const key of ["\u0000", "\u001b[2J", "a\nb", "\ud800", "ü", "x".repeat(5_000)]) {
    const { detail } = refusalOf(check({ x: 1, name: "a", [key]: 1 }));
    assert.match(detail, /^[ -~]{1,200}$/);
  }
});

test("a value of more members than are explained is refused without a place, on whatever level they are", () => {
  const brief = checker("point", Point, 10);
  assert.match(refusalOf(brief({ x: "1", name: "a" })).detail, /\/x must be integer/);
  for (const value of [Array(11).fill(0), { x: [[Array(9).fill(0)]] }, Object.fromEntries(Array(11).entries())])
    assert.equal(refusalOf(brief(value)).detail, "point: does not fit, and has too many members");
});

test("a whole number is one that a double and a 64-bit column both hold exactly", () => {
  const whole = checker("whole", Whole);
  for (const value of [0, -0, 1, 2 ** 53 - 1]) assert.ok(whole(value).ok, String(value));
  for (const value of [-1, 0.5, 2 ** 53, 1e300, Number.NaN, Number.POSITIVE_INFINITY, "1", null, 1n])
    assert.equal(refusalOf(whole(value)).code, "schema-mismatch", String(value));
});

test("printable text has no control characters, no line breaks and no halves of characters", () => {
  const text = checker("text", Type.String({ pattern: printablePattern }));
  for (const good of ["a", "cairn-node/0.1.0", "Büro 2", "आँगन", "设备", "🛰 1"]) assert.ok(text(good).ok, good);
  for (const bad of ["", "a\u0000", "\t", "a\nb", "\u001b[31mred", "\u007f", "\u0085", "\u2028", "\u202e", "\ud800"])
    assert.equal(refusalOf(text(bad)).code, "schema-mismatch", JSON.stringify(bad));
});

test("bytes that are not complete JSON in UTF-8 are malformed: nothing is replaced or guessed", () => {
  assert.deepEqual(accepted(parseJson(Buffer.from('{"a":"ü"}'), "it")), { a: "ü" });
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.from("{"),
    Buffer.from("{}{}"),
    Buffer.from("{'a':1}"),
    Buffer.from('{"a":"ü"}', "latin1"),
    Buffer.of(0x22, 0xed, 0xa0, 0x80, 0x22),
    Buffer.of(0x22, 0xc0, 0x80, 0x22),
    Buffer.from("{}", "utf16le"),
  ]) {
    const { code, detail } = refusalOf(parseJson(bytes, "the message"));
    assert.equal(code, "payload-malformed");
    assert.equal(detail, `the message is not complete JSON (${bytes.length} bytes)`);
  }
});
