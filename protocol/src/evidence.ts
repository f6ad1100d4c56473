/**
 * Evidence: an Entity Attestation Token (RFC 9711) as JWS compact, signed by the device key, one per slot.
 * Claims of the RFC stand under their registered JSON names; ours stand in `cairn`, defined by the profile `evidenceProfile`.
 */
import Type, { type Static } from "typebox";
import type { Signer } from "./es256.ts";
import { type Hex, isNodeId, type NodeId } from "./identity.ts";
import { encodeJws, parseJws, type Signed } from "./jws.ts";
import { limits } from "./limits.ts";
import { accept, type Result, reject } from "./result.ts";
import { checker, parseJson, printablePattern, Whole } from "./schema.ts";

/** The eat_profile claim: which claims this token must hold and what those under `cairn` mean. */
export const evidenceProfile = "urn:x-cairn:evidence:1";

const mediaType = "eat+jwt";
const Text = Type.String({ pattern: printablePattern, maxLength: 128 });
/** A version scheme's name, or its number (RFC 9393 section 4.1). */
const VersionScheme = Type.Union([Text, Type.Integer({ minimum: -256, maximum: 65_535 })]);

export const EvidenceClaims = Type.Object(
  {
    eat_profile: Type.Literal(evidenceProfile),
    /** The beacon's nonce, base64url of 32 bytes. */
    eat_nonce: Type.String({ pattern: "^[A-Za-z0-9_-]{43}$" }),
    /** Base64url of 33 bytes, see `ueidOf`. */
    ueid: Type.String({ pattern: "^[A-Za-z0-9_-]{44}$" }),
    /** Unix seconds by the node's clock: told, never believed. */
    iat: Whole,
    /** Seconds since this boot of the daemon. */
    uptime: Whole,
    /** Rises by one with every boot. */
    bootcount: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    /** Base64url of the boot id's 16 bytes. */
    bootseed: Type.String({ pattern: "^[A-Za-z0-9_-]{22}$" }),
    swname: Text,
    /** The version, then the scheme that it is written in where that is told (RFC 9711 section 4.2.7). */
    swversion: Type.Union([Type.Tuple([Text]), Type.Tuple([Text, VersionScheme])]),
    /** Where the node believes to be (RFC 9711 section 4.2.10), degrees WGS 84, metres, whole seconds of age. */
    location: Type.Optional(
      Type.Object(
        {
          latitude: Type.Number({ minimum: -90, maximum: 90 }),
          longitude: Type.Number({ minimum: -180, maximum: 180 }),
          altitude: Type.Optional(Type.Number()),
          age: Type.Optional(Whole),
        },
        { additionalProperties: false },
      ),
    ),
    cairn: Type.Object(
      {
        slot: Whole,
        /** Last batch sequence of this boot for which the node holds a storage receipt. */
        storedUpTo: Whole,
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
);
export type EvidenceClaims = Static<typeof EvidenceClaims>;

const checkClaims = checker("evidence", EvidenceClaims);

export function encodeEvidence(claims: EvidenceClaims, nodeId: NodeId, signer: Signer): Buffer {
  return Buffer.from(encodeJws({ typ: mediaType, kid: nodeId }, claims, signer));
}

export type EvidenceEnvelope = Signed & { readonly nodeId: NodeId; readonly payload: Buffer };

export function parseEvidenceEnvelope(message: Buffer): Result<EvidenceEnvelope> {
  if (message.length > limits.smallMessageBytes)
    return reject("payload-too-large", `evidence of ${message.length} bytes`);
  const parsed = parseJws(message.toString("latin1"));
  if (!parsed.ok) return parsed;
  const { header, payload, signingInput, signature } = parsed.value;
  if (header.typ !== mediaType) return reject("envelope-malformed", `typ is not ${mediaType}`);
  if (typeof header.kid !== "string" || !isNodeId(header.kid))
    return reject("envelope-malformed", "kid is not a NodeId");
  return accept({ nodeId: header.kid, payload, signingInput, signature });
}

/** After the signature was verified. */
export function parseEvidenceClaims(envelope: EvidenceEnvelope): Result<EvidenceClaims> {
  const json = parseJson(envelope.payload, "evidence");
  return json.ok ? checkClaims(json.value) : json;
}

export function nonceToClaim(nonce: Hex): string {
  return Buffer.from(nonce.slice(2), "hex").toString("base64url");
}

export function claimToNonce(claim: string): Hex {
  return `0x${Buffer.from(claim, "base64url").toString("hex")}`;
}
