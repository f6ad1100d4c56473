/**
 * JSON Web Signatures with ES256 (RFC 7515, RFC 7518 section 3.4): compact, and detached with unencoded payload (RFC 7797).
 * Only parsing, signing input and the check of one signature; keys stay with the caller.
 */
import type { Signer } from "./es256.ts";
import { accept, type Result, reject } from "./result.ts";
import { parseJson } from "./schema.ts";

/** What a signature covers, and the signature: ready for `verifyEs256`. */
export type Signed = { readonly signingInput: Buffer; readonly signature: Buffer };

export type ParsedJws = Signed & { readonly header: Record<string, unknown>; readonly payload: Buffer };

export function encodeJws(header: Record<string, unknown>, payload: unknown, signer: Signer): string {
  const input = `${base64url(JSON.stringify({ alg: "ES256", ...header }))}.${base64url(JSON.stringify(payload))}`;
  return `${input}.${Buffer.from(signer(Buffer.from(input))).toString("base64url")}`;
}

/** Takes apart a JWS compact. The payload is not yet trusted: verify `signingInput` first. */
export function parseJws(text: string): Result<ParsedJws> {
  const parts = text.split(".");
  const [head, body, tail] = parts;
  if (parts.length !== 3 || !head || !body || !tail) return reject("envelope-malformed", "not three parts with dots");
  if (!isBase64url(head) || !isBase64url(body) || !isBase64url(tail))
    return reject("envelope-malformed", "not base64url");
  const header = rememberedHeader(head);
  if (!header.ok) return header;
  const { b64 = true, crit } = header.value;
  if (b64 !== true) return reject("envelope-malformed", "unencoded payload where an encoded one is expected");
  if (crit !== undefined) return reject("envelope-malformed", "the header marks as critical what is not understood");
  const signature = Buffer.from(tail, "base64url");
  if (signature.length !== 64)
    return reject("envelope-malformed", `signature of ${signature.length} bytes, ES256 has 64`);
  return accept({
    header: header.value,
    payload: Buffer.from(body, "base64url"),
    signingInput: Buffer.from(`${head}.${body}`),
    signature,
  });
}

const newline = 0x0a;
const detachedLineLimit = 1_024;

/** One line `header..signature`, then the payload's bytes as they are. The signature covers exactly those bytes. */
export function encodeDetached(header: Record<string, unknown>, payload: Uint8Array, signer: Signer): Buffer {
  const head = base64url(JSON.stringify({ alg: "ES256", b64: false, crit: ["b64"], ...header }));
  const signature = signer(Buffer.concat([Buffer.from(`${head}.`), payload]));
  return Buffer.concat([Buffer.from(`${head}..${Buffer.from(signature).toString("base64url")}\n`), payload]);
}

/** Takes apart what `encodeDetached` makes. */
export function parseDetached(message: Buffer): Result<ParsedJws> {
  const end = message.subarray(0, detachedLineLimit).indexOf(newline);
  if (end < 0) return reject("envelope-malformed", `no signature line in the first ${detachedLineLimit} bytes`);
  const line = message.toString("latin1", 0, end);
  const parts = line.split(".");
  const [head, body, tail] = parts;
  if (parts.length !== 3 || !head || body !== "" || !tail)
    return reject("envelope-malformed", "the first line is not header..signature");
  if (!isBase64url(head) || !isBase64url(tail)) return reject("envelope-malformed", "not base64url");
  const header = parseHeader(head);
  if (!header.ok) return header;
  const { b64, crit } = header.value;
  if (b64 !== false || !Array.isArray(crit) || crit.length !== 1 || crit[0] !== "b64")
    return reject("envelope-malformed", 'the header lacks "b64":false with crit ["b64"]');
  const signature = Buffer.from(tail, "base64url");
  if (signature.length !== 64)
    return reject("envelope-malformed", `signature of ${signature.length} bytes, ES256 has 64`);
  const payload = message.subarray(end + 1);
  const signingInput = Buffer.allocUnsafe(head.length + 1 + payload.length);
  signingInput.write(`${head}.`, 0, "latin1");
  payload.copy(signingInput, head.length + 1);
  return accept({ header: header.value, payload, signingInput, signature });
}

/**
 * One sender repeats the same header of a compact message for days: the last ones read are kept, by their exact text. Detached
 * messages name themselves in their headers, no two of which are alike: those are not kept.
 */
const headers = new Map<string, Record<string, unknown>>();
const headersKept = 4_096;
/** Characters of an encoded header. Ours have at most 248; what is kept of 4,096 longer ones would fill the memory. */
const headerLimit = 512;

function rememberedHeader(text: string): Result<Record<string, unknown>> {
  const known = headers.get(text);
  if (known) return accept(known);
  const header = parseHeader(text);
  if (!header.ok) return header;
  if (headers.size >= headersKept) headers.clear();
  headers.set(text, header.value);
  return header;
}

function parseHeader(text: string): Result<Record<string, unknown>> {
  if (text.length > headerLimit) return reject("envelope-malformed", `a protected header of ${text.length} characters`);
  const json = parseJson(Buffer.from(text, "base64url"), "the protected header");
  if (!json.ok) return reject("envelope-malformed", json.rejection.detail);
  const header = json.value;
  if (typeof header !== "object" || header === null || Array.isArray(header))
    return reject("envelope-malformed", "the protected header is not an object");
  const record = Object.freeze(header as Record<string, unknown>);
  if (record.alg !== "ES256") return reject("envelope-malformed", "the algorithm is not ES256");
  return accept(record);
}

export function base64url(text: string | Uint8Array): string {
  return (typeof text === "string" ? Buffer.from(text) : Buffer.from(text)).toString("base64url");
}

const base64urlRegExp = /^[A-Za-z0-9_-]+$/;

function isBase64url(text: string): boolean {
  return base64urlRegExp.test(text);
}
