/**
 * ES256 over node:crypto. JOSE writes a signature as r || s (RFC 7518 section 3.4), OpenSSL as DER. node:crypto converts when it is asked
 * to by an options object, but reading a key out of such an object costs as much again as half a verification (98 against 65 µs) and
 * more than a signature (54 against 25 µs, Node 24.21): so the key is handed over bare, and the conversion is done here.
 */
import { type KeyObject, sign, verify } from "node:crypto";

/** Signs bytes with P-256 and SHA-256; returns r || s, 64 bytes. The key may live in a file, a TPM or a token. */
export type Signer = (bytes: Uint8Array) => Uint8Array;

/** A signer over a private key held in this process. */
export function signerOf(privateKey: KeyObject): Signer {
  return (bytes) => rawOf(sign("sha256", bytes, privateKey));
}

/** @param signature r || s; any other length is not a signature. */
export function verifyEs256(publicKey: KeyObject, bytes: Uint8Array, signature: Uint8Array): boolean {
  return signature.length === 64 && verify("sha256", bytes, publicKey, derOf(signature));
}

/** SEQUENCE { INTEGER r, INTEGER s } (RFC 3279 section 2.2.3) from r || s: at most 72 bytes, so every length fits one byte. */
function derOf(raw: Uint8Array): Buffer {
  const der = Buffer.allocUnsafe(72);
  const middle = writeInteger(der, 2, raw.subarray(0, 32));
  const end = writeInteger(der, middle, raw.subarray(32));
  der[0] = 0x30;
  der[1] = end - 2;
  return der.subarray(0, end);
}

/** Writes a positive integer without leading zeros, with one where its first bit is set; returns where it ends. */
function writeInteger(der: Buffer, at: number, bytes: Uint8Array): number {
  let skip = 0;
  while (skip < bytes.length - 1 && bytes[skip] === 0) skip += 1;
  const pad = (bytes[skip] ?? 0) >= 0x80 ? 1 : 0;
  const length = bytes.length - skip + pad;
  der[at] = 0x02;
  der[at + 1] = length;
  if (pad === 1) der[at + 2] = 0;
  der.set(bytes.subarray(skip), at + 2 + pad);
  return at + 2 + length;
}

/** r || s from the DER that OpenSSL makes. */
function rawOf(der: Uint8Array): Buffer {
  const raw = Buffer.alloc(64);
  const rLength = der[3] ?? 0;
  const sAt = 4 + rLength + 2;
  placeInteger(raw, 32, der.subarray(4, 4 + rLength));
  placeInteger(raw, 64, der.subarray(sAt, sAt + (der[sAt - 1] ?? 0)));
  return raw;
}

/** Puts an integer's last 32 bytes so that they end at `end`. */
function placeInteger(raw: Buffer, end: number, integer: Uint8Array): void {
  const bytes = integer.length > 32 ? integer.subarray(integer.length - 32) : integer;
  raw.set(bytes, end - bytes.length);
}
