/**
 * How a node proves on connecting that it holds its device key: MQTT client id and user name are the NodeId, the password is a
 * token signed by the key. It opens the connection only; every message carries its own signature.
 */
import Type from "typebox";
import type { Signer } from "./es256.ts";
import { isNodeId, type NodeId } from "./identity.ts";
import { encodeJws, parseJws, type Signed } from "./jws.ts";
import { limits } from "./limits.ts";
import { accept, type Result, reject } from "./result.ts";
import { checker, parseJson, Whole } from "./schema.ts";

const Claims = Type.Object(
  { aud: Type.String({ maxLength: 64 }), sub: Type.String({ maxLength: 64 }), iat: Whole },
  { additionalProperties: false },
);
const checkClaims = checker("credential", Claims);
const mediaType = "cairn-connect+jwt";

/** `nowMs`: unix ms by the node's clock. */
export function encodeCredential(network: string, nodeId: NodeId, nowMs: number, signer: Signer): string {
  const claims = { aud: network, sub: nodeId, iat: Math.floor(nowMs / 1000) };
  return encodeJws({ typ: mediaType, kid: nodeId }, claims, signer);
}

export type Credential = Signed & { readonly nodeId: NodeId };

/** Checks everything but the signature, which the caller verifies with the key enrolled for `nodeId`. */
export function parseCredential(
  connect: { clientId: string; username: string; password: string },
  network: string,
  nowMs: number,
): Result<Credential> {
  const { clientId, username, password } = connect;
  if (!isNodeId(username)) return reject("credential-malformed", "the user name is not a NodeId");
  if (clientId !== username) return reject("credential-malformed", "client id and user name differ");
  if (password.length > 1024) return reject("credential-malformed", "the password is longer than a token");
  const parsed = parseJws(password);
  if (!parsed.ok) return reject("credential-malformed", `password: ${parsed.rejection.detail}`);
  if (parsed.value.header.typ !== mediaType) return reject("credential-malformed", `password: typ is not ${mediaType}`);
  const json = parseJson(parsed.value.payload, "the token");
  const claims = json.ok ? checkClaims(json.value) : json;
  if (!claims.ok) return reject("credential-malformed", claims.rejection.detail);
  if (claims.value.aud !== network) return reject("credential-malformed", "the token is for another network");
  if (claims.value.sub !== username) return reject("credential-malformed", "the token names another node");
  const skewMs = Math.abs(nowMs - claims.value.iat * 1000);
  if (skewMs > limits.credentialSkewMs)
    return reject("credential-stale", `the token is ${Math.round(skewMs / 1000)} s away from the coordinator's clock`);
  return accept({ nodeId: username, signingInput: parsed.value.signingInput, signature: parsed.value.signature });
}
