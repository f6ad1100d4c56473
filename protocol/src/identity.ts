import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import { accept, type Result, reject } from "./result.ts";

/** Lower-case hex of the first 20 bytes of SHA-256 over the device key's SPKI DER: 40 characters. */
export type NodeId = string & { readonly __brand: "NodeId" };

/** Random identity of one run of the node's daemon: 16 bytes, 32 lower-case hex characters. */
export type BootId = string & { readonly __brand: "BootId" };

/** EVM address, lower-case hex with 0x, 20 bytes. */
export type Address = `0x${string}`;

/** 0x-prefixed lower-case hex of any length. */
export type Hex = `0x${string}`;

export const nodeIdPattern = "^[0-9a-f]{40}$";
export const bootIdPattern = "^[0-9a-f]{32}$";
export const addressPattern = "^0x[0-9a-f]{40}$";
export const hex32Pattern = "^0x[0-9a-f]{64}$";

const nodeIdRegExp = new RegExp(nodeIdPattern);
const bootIdRegExp = new RegExp(bootIdPattern);

export function isNodeId(text: string): text is NodeId {
  return nodeIdRegExp.test(text);
}

export function isBootId(text: string): text is BootId {
  return bootIdRegExp.test(text);
}

/** NodeId of a P-256 public key. */
export function nodeIdOf(publicKey: KeyObject): NodeId {
  return createHash("sha256").update(spkiOf(publicKey)).digest("hex").slice(0, 40) as NodeId;
}

/**
 * UEID of a P-256 public key (RFC 9711 section 4.2.1): type byte 0x01, then the SHA-256 of the SPKI DER; 33 bytes.
 * Its bytes 1 to 20 are the NodeId.
 */
export function ueidOf(publicKey: KeyObject): Buffer {
  return Buffer.concat([Buffer.of(0x01), createHash("sha256").update(spkiOf(publicKey)).digest()]);
}

/** DER of an SPKI of P-256 with an uncompressed point, up to the point's coordinates (RFC 5480 section 2). */
const spkiPrefix = Buffer.from("3059301306072a8648ce3d020106082a8648ce3d03010703420004", "hex");

/** Always with the point in full: OpenSSL exports a point as compressed as it came, and one key would have two identities. */
function spkiOf(publicKey: KeyObject): Buffer {
  const { x = "", y = "" } = publicKey.export({ format: "jwk" });
  return Buffer.concat([spkiPrefix, Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]);
}

/** One block with the label of an SPKI: createPublicKey would also take a private key, a certificate, or the first block of many. */
const spkiPem = /^\s*-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]+-----END PUBLIC KEY-----\s*$/;

/** Reads a public key as every device and coordinator has one: EC P-256, PEM, SPKI. Refuses everything else. */
export function parseDevicePublicKey(pem: string): Result<KeyObject> {
  if (!spkiPem.test(pem)) return reject("credential-malformed", "not one PEM block that begins BEGIN PUBLIC KEY");
  let key: KeyObject;
  try {
    key = createPublicKey({ key: pem, format: "pem" });
  } catch (cause) {
    return reject("credential-malformed", `not a PEM public key: ${(cause as Error).message}`);
  }
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (key.asymmetricKeyType !== "ec" || curve !== "prime256v1")
    return reject("credential-malformed", `the key must be EC P-256, this one is ${curve ?? key.asymmetricKeyType}`);
  return accept(key);
}
