import assert from "node:assert/strict";
import { test } from "node:test";
import { compactVerify, SignJWT } from "jose";
import { accepted, newDevice, refusalOf } from "../testing/parties.ts";
import { encodeCredential, parseCredential } from "./credential.ts";
import { verifyEs256 } from "./es256.ts";
import type { NodeId } from "./identity.ts";
import { encodeJws } from "./jws.ts";
import { limits } from "./limits.ts";

const { nodeId, privateKey, publicKey, sign } = newDevice();
const now = 1_790_000_000_500;
const typ = "cairn-connect+jwt";
const claims = { aud: "harbour", sub: nodeId, iat: 1_790_000_000 };
const token = encodeCredential("harbour", nodeId, now, sign);
const connect = { clientId: nodeId, username: nodeId, password: token };
const judge = (password: string, at = now) => parseCredential({ ...connect, password }, "harbour", at);

test("a token made for a network opens the connection of the node that signed it", () => {
  const credential = accepted(parseCredential(connect, "harbour", now));
  assert.equal(credential.nodeId, nodeId);
  assert.ok(verifyEs256(publicKey, credential.signingInput, credential.signature));
  assert.equal(verifyEs256(newDevice().publicKey, credential.signingInput, credential.signature), false);
});

test("jose verifies our token, and a token that jose made is ours", async () => {
  const { protectedHeader, payload } = await compactVerify(token, publicKey);
  assert.deepEqual(protectedHeader, { alg: "ES256", typ, kid: nodeId });
  assert.deepEqual(JSON.parse(Buffer.from(payload).toString()), claims);
  const made = await new SignJWT(claims).setProtectedHeader({ alg: "ES256", typ, kid: nodeId }).sign(privateKey);
  const { signingInput, signature } = accepted(judge(made));
  assert.ok(verifyEs256(publicKey, signingInput, signature));
});

test("client id and user name must both be the node id that the token names", () => {
  const other = newDevice();
  for (const change of [
    { username: "admin", clientId: "admin" },
    { username: "", clientId: "" },
    { username: nodeId.toUpperCase(), clientId: nodeId.toUpperCase() },
    { clientId: other.nodeId },
    { clientId: `${nodeId}-2` },
    { username: other.nodeId, clientId: other.nodeId },
  ])
    assert.equal(refusalOf(parseCredential({ ...connect, ...change }, "harbour", now)).code, "credential-malformed");
});

test("a name that is no node id opens nothing, also with a token that is signed for it", () => {
  const password = encodeCredential("harbour", "admin" as NodeId, now, sign);
  const { code, detail } = refusalOf(
    parseCredential({ clientId: "admin", username: "admin", password }, "harbour", now),
  );
  assert.deepEqual({ code, detail }, { code: "credential-malformed", detail: "the user name is not a NodeId" });
});

test("a token of another network opens nothing", () => {
  assert.equal(refusalOf(parseCredential(connect, "harbour2", now)).detail, "the token is for another network");
});

test("a token is good for ten minutes before and after the time it was signed at", () => {
  const signed = 1_790_000_000_000;
  for (const at of [signed - limits.credentialSkewMs, signed + limits.credentialSkewMs]) assert.ok(judge(token, at).ok);
  for (const at of [signed - limits.credentialSkewMs - 1, signed + limits.credentialSkewMs + 1, 0, signed * 2])
    assert.equal(refusalOf(judge(token, at)).code, "credential-stale");
});

test("what is not a token of ours is refused, whatever it is", () => {
  const made = (header: Record<string, unknown>, body: unknown) => encodeJws(header, body, sign);
  for (const password of [
    "",
    "secret",
    "a.b.c",
    `${token}x`.repeat(9),
    made({ typ: "eat+jwt" }, claims),
    made({}, claims),
    made({ typ }, { ...claims, extra: 1 }),
    made({ typ }, { aud: "harbour", sub: nodeId }),
    made({ typ }, { ...claims, iat: -1 }),
    made({ typ }, { ...claims, iat: 1.5 }),
    made({ typ }, { ...claims, iat: 1e300 }),
    made({ typ }, { ...claims, aud: ["harbour"] }),
    made({ typ }, { ...claims, sub: newDevice().nodeId }),
    made({ typ }, null),
  ])
    assert.equal(refusalOf(judge(password)).code, "credential-malformed", password.slice(0, 60));
});

test("a password of more than 1024 characters is refused unread", () => {
  assert.match(refusalOf(judge("x".repeat(1_025))).detail, /longer than a token/);
  assert.match(refusalOf(judge("x".repeat(1_024))).detail, /not three parts/);
  const longest = encodeCredential("n".repeat(32), nodeId, 9e15, sign);
  assert.ok(longest.length <= 1_024);
});
