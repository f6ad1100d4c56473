import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CompactSign, compactVerify, FlattenedSign, flattenedVerify } from "jose";
import { accepted, newDevice, refusalOf } from "../testing/parties.ts";
import { verifyEs256 } from "./es256.ts";
import { base64url, encodeDetached, encodeJws, parseDetached, parseJws } from "./jws.ts";

const { privateKey, publicKey, sign } = newDevice();
const stranger = newDevice();
const blank = base64url(Buffer.alloc(64));
const headed = (header: unknown, payload = "e30", signature = blank) =>
  `${base64url(typeof header === "string" ? header : JSON.stringify(header))}.${payload}.${signature}`;
const lined = (header: unknown, signature = blank) =>
  Buffer.from(`${base64url(JSON.stringify(header))}..${signature}\npayload`);
const detachedHeader = { alg: "ES256", b64: false, crit: ["b64"] };

test("jose verifies what we sign as JWS compact", async () => {
  const token = encodeJws({ typ: "x+jwt", kid: "k" }, { grüße: "aus Köln", n: 1.5 }, sign);
  const { protectedHeader, payload } = await compactVerify(token, publicKey);
  assert.deepEqual(protectedHeader, { alg: "ES256", typ: "x+jwt", kid: "k" });
  assert.deepEqual(JSON.parse(Buffer.from(payload).toString()), { grüße: "aus Köln", n: 1.5 });
});

test("jose verifies what we sign detached with an unencoded payload (RFC 7797)", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (payload) => {
      const message = encodeDetached({ kid: "k", cty: "y" }, payload, sign);
      const end = message.indexOf("\n");
      const [protectedHeader = "", nothing, signature = ""] = message.toString("latin1", 0, end).split(".");
      assert.equal(nothing, "");
      assert.deepEqual(message.subarray(end + 1), Buffer.from(payload));
      const verified = await flattenedVerify({ protected: protectedHeader, payload, signature }, publicKey);
      assert.deepEqual(verified.protectedHeader, { ...detachedHeader, kid: "k", cty: "y" });
    }),
    { numRuns: 30 },
  );
});

test("we verify what jose signs as JWS compact", async () => {
  const token = await new CompactSign(Buffer.from('{"a":1}'))
    .setProtectedHeader({ alg: "ES256", kid: "k", typ: "x+jwt" })
    .sign(privateKey);
  const { header, payload, signingInput, signature } = accepted(parseJws(token));
  assert.deepEqual(header, { alg: "ES256", kid: "k", typ: "x+jwt" });
  assert.equal(payload.toString(), '{"a":1}');
  assert.ok(verifyEs256(publicKey, signingInput, signature));
});

test("we verify what jose signs detached with an unencoded payload", async () => {
  const payload = Buffer.from('{"with":"a dot . and a\nnew line"}');
  const { protected: head, signature: tail } = await new FlattenedSign(payload)
    .setProtectedHeader({ alg: "ES256", b64: false, crit: ["b64"], kid: "k" })
    .sign(privateKey);
  const message = Buffer.concat([Buffer.from(`${head}..${tail}\n`), payload]);
  const parsed = accepted(parseDetached(message));
  assert.deepEqual(parsed.payload, payload);
  assert.ok(verifyEs256(publicKey, parsed.signingInput, parsed.signature));
});

test("a detached message is its signature line and then the payload's bytes as they are, line breaks included", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), (payload) => {
      const parsed = accepted(parseDetached(encodeDetached({}, payload, sign)));
      assert.deepEqual(parsed.payload, Buffer.from(payload));
    }),
    { numRuns: 50 },
  );
});

test("a signature holds for its exact bytes and its own key only", () => {
  const token = encodeJws({}, { a: 1 }, sign);
  const [head, , tail] = token.split(".");
  const genuine = accepted(parseJws(token));
  const respaced = accepted(parseJws(`${head}.${base64url('{"a": 1}')}.${tail}`));
  for (const [key, parsed, holds] of [
    [publicKey, genuine, true],
    [stranger.publicKey, genuine, false],
    [publicKey, respaced, false],
  ] as const) {
    assert.equal(verifyEs256(key, parsed.signingInput, parsed.signature), holds);
  }
});

test("a flipped bit anywhere in a message costs it its form or its signature", () => {
  const compact = Buffer.from(encodeJws({ kid: "k" }, { a: [1, 2, 3] }, sign));
  const detached = encodeDetached({ kid: "k" }, Buffer.from("0123456789"), sign);
  // The last character of an encoded signature carries four bits that belong to no byte.
  const spare = new Set([`${compact.length - 1} compact`, `${detached.indexOf("\n") - 1} detached`]);
  for (const [form, message, parse] of [
    ["compact", compact, (bytes: Buffer) => parseJws(bytes.toString("latin1"))],
    ["detached", detached, parseDetached],
  ] as const)
    for (let at = 0; at < message.length; at++)
      for (let bit = 0; bit < 8; bit++) {
        if (spare.has(`${at} ${form}`)) continue;
        const bent = Buffer.from(message);
        bent[at] = (bent[at] ?? 0) ^ (1 << bit);
        const parsed = parse(bent);
        if (parsed.ok) assert.equal(verifyEs256(publicKey, parsed.value.signingInput, parsed.value.signature), false);
      }
});

test("signatures that are no point's are invalid and no exception", () => {
  for (const signature of [Buffer.alloc(64), Buffer.alloc(64, 0xff), Buffer.alloc(63), Buffer.alloc(0)]) {
    assert.equal(verifyEs256(publicKey, Buffer.from("x"), signature), false);
  }
});

test("a compact message needs three parts in base64url without padding", () => {
  for (const text of [
    "",
    "..",
    "a.b",
    "a.b.c.d",
    `${headed({ alg: "ES256" })}.`,
    headed({ alg: "ES256" }).replace(".e30.", ".."),
    headed({ alg: "ES256" }, "e30="),
    headed({ alg: "ES256" }, "e3+0"),
    headed({ alg: "ES256" }, "e3 0"),
    headed({ alg: "ES256" }, "e30\n"),
    headed({ alg: "ES256" }, "ünï"),
  ])
    assert.equal(refusalOf(parseJws(text)).code, "envelope-malformed", text);
});

test("ES256 is the only algorithm", () => {
  for (const alg of ["none", "HS256", "RS256", "ES384", "es256", "", null, 1, undefined, ["ES256"]]) {
    assert.equal(refusalOf(parseJws(headed({ alg }))).code, "envelope-malformed", String(alg));
    assert.equal(refusalOf(parseDetached(lined({ ...detachedHeader, alg }))).code, "envelope-malformed", String(alg));
  }
});

test("a header must be one JSON object", () => {
  for (const header of ["null", "[]", '["ES256"]', '"ES256"', "1"])
    assert.match(refusalOf(parseJws(headed(header))).detail, /not an object/, header);
  for (const header of ["{", '{"alg":"ES256"}x', "ÿ", "'alg'"])
    assert.match(refusalOf(parseJws(headed(header))).detail, /not complete JSON/, header);
});

test("a header is not believed when it calls something critical that we do not know (RFC 7515 section 4.1.11)", () => {
  for (const crit of [["exp"], ["b64"], [], "b64", null])
    assert.equal(refusalOf(parseJws(headed({ alg: "ES256", crit }))).code, "envelope-malformed", String(crit));
  for (const crit of [["b64", "exp"], ["exp"], [], "b64", undefined, { 0: "b64", length: 1 }])
    assert.equal(refusalOf(parseDetached(lined({ ...detachedHeader, crit }))).code, "envelope-malformed", String(crit));
});

test("encoded and unencoded payloads are not taken for each other", () => {
  for (const b64 of [false, 0, null, "false"])
    assert.equal(refusalOf(parseJws(headed({ alg: "ES256", b64 }))).code, "envelope-malformed");
  assert.ok(parseJws(headed({ alg: "ES256", b64: true })).ok);
  for (const b64 of [true, 0, null, undefined])
    assert.equal(refusalOf(parseDetached(lined({ ...detachedHeader, b64 }))).code, "envelope-malformed");
});

test("a signature is 64 bytes long", () => {
  for (const length of [1, 63, 65, 70]) {
    const signature = base64url(Buffer.alloc(length));
    assert.match(refusalOf(parseJws(headed({ alg: "ES256" }, "e30", signature))).detail, /64/);
    assert.match(refusalOf(parseDetached(lined(detachedHeader, signature))).detail, /64/);
  }
});

test("a detached message begins with a line of at most 1024 bytes that has nothing between its two dots", () => {
  const line = lined(detachedHeader).toString();
  assert.ok(parseDetached(Buffer.from(line)).ok);
  for (const text of [
    "",
    "\n",
    line.replace("\n", " "),
    line.replace("..", ".x."),
    line.replace("..", "."),
    line.replace("..", "..."),
    ` ${line}`,
    `\n${line}`,
  ])
    assert.equal(refusalOf(parseDetached(Buffer.from(text))).code, "envelope-malformed", text.slice(0, 80));
  const longer = line.replace(blank, "A".repeat(1_024));
  assert.match(refusalOf(parseDetached(Buffer.from(longer))).detail, /no signature line/);
});

test("a header of more than 512 characters is refused: those that are kept must not fill the memory", () => {
  const pad = (length: number) => ({ alg: "ES256", pad: "x".repeat(length) });
  const longest = Array.from({ length: 600 }, (_, length) => pad(length))
    .filter((header) => base64url(JSON.stringify(header)).length <= 512)
    .at(-1);
  assert.ok(parseJws(headed(longest)).ok);
  assert.match(refusalOf(parseJws(headed(pad(600)))).detail, /characters/);
  assert.match(refusalOf(parseDetached(lined({ ...detachedHeader, pad: "x".repeat(600) }))).detail, /characters/);
});

test("headers that were read before are read the same again, and nobody can change them", () => {
  const first = headed({ alg: "ES256", kid: "first" });
  const { header } = accepted(parseJws(first));
  assert.throws(() => Object.assign(header, { kid: "other" }), TypeError);
  for (let index = 0; index < 5_000; index++) assert.ok(parseJws(headed({ alg: "ES256", kid: `${index}` })).ok);
  assert.equal(accepted(parseJws(first)).header.kid, "first");
});

test("headers of detached messages, each of which is another, do not drive out those that come again", () => {
  const again = headed({ alg: "ES256", kid: "again" });
  const { header } = accepted(parseJws(again));
  for (let seq = 0; seq < 5_000; seq++) assert.ok(parseDetached(lined({ ...detachedHeader, seq })).ok);
  assert.equal(accepted(parseJws(again)).header, header);
});
