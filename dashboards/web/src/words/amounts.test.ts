import assert from "node:assert/strict";
import { test } from "node:test";
import { exactAmount, exactReadableAmount, readableAmount, sumAmounts } from "./amounts.ts";

test("an amount is the exact decimal number of its smallest units", () => {
  assert.equal(exactAmount("1500", 3), "1.5");
  assert.equal(exactAmount("7", 18), "0.000000000000000007");
  assert.equal(exactAmount("100000000000000000000", 18), "100");
  assert.equal(exactAmount("0", 18), "0");
  assert.equal(exactAmount("42", 0), "42");
});

test("a readable amount has at most six significant digits and never loses precision before rounding", () => {
  assert.equal(readableAmount("148809523809523809523", 18, "en-GB"), "148.81");
  assert.equal(readableAmount("23809523809523809523", 18, "en-GB"), "23.8095");
  assert.equal(readableAmount("123456789000000000000000", 18, "en-GB"), "123,457");
  assert.equal(readableAmount("600000000000000000000", 18, "de-DE"), "600");
  assert.equal(readableAmount("0", 18, "en-GB"), "0");
});

test("from a million on a readable amount takes the locale's word, so that no rounded digit looks exact", () => {
  assert.equal(readableAmount("1234567890000000000000000", 18, "en-GB"), "1.23457 million");
  assert.match(readableAmount("1234567890000000000000000", 18, "de-DE"), /^1,23457\sMillionen$/);
});

test("dust is shown as less than a millionth, not as zero", () => {
  assert.equal(readableAmount("1", 18, "en-GB"), "< 0.000001");
});

test("the exact amount keeps all 18 decimals", () => {
  assert.equal(exactReadableAmount("1234809523809523809523", 18, "en-GB"), "1,234.809523809523809523");
});

test("sums are exact beyond the range of numbers", () => {
  assert.equal(sumAmounts(["9007199254740993", "1"]), "9007199254740994");
  assert.equal(sumAmounts([]), "0");
});
