/** The beacon on the wire: a verifier's signed nonce of one slot, JSON, retained. */
import Type, { type Static } from "typebox";
import { type Address, addressPattern, type Hex, hex32Pattern } from "./identity.ts";
import { limits } from "./limits.ts";
import { accept, type Result, reject } from "./result.ts";
import { checker, parseJson, Whole } from "./schema.ts";
import { type Beacon, beaconDigest, type Domain, recoverSigner, signDigest } from "./typed-data.ts";

export const signaturePattern = "^0x[0-9a-f]{130}$";

export const BeaconMessage = Type.Object(
  {
    verifier: Type.String({ pattern: addressPattern }),
    epoch: Whole,
    slot: Whole,
    nonce: Type.String({ pattern: hex32Pattern }),
    opensAt: Whole,
    closesAt: Whole,
    signature: Type.String({ pattern: signaturePattern }),
  },
  { additionalProperties: false },
);
export type BeaconMessage = Static<typeof BeaconMessage>;
const check = checker("beacon", BeaconMessage);

export function encodeBeacon(beacon: Beacon, domain: Domain, verifier: { address: Address; key: Uint8Array }): Buffer {
  const signature = signDigest(beaconDigest(domain, beacon), verifier.key);
  return Buffer.from(JSON.stringify({ verifier: verifier.address, ...beacon, signature } satisfies BeaconMessage));
}

/** Reads a beacon and checks that one of the trusted verifiers signed it. */
export function parseBeacon(
  bytes: Uint8Array,
  domain: Domain,
  verifiers: readonly Address[],
): Result<Beacon & { verifier: Address }> {
  if (bytes.length > limits.smallMessageBytes) return reject("payload-too-large", `beacon of ${bytes.length} bytes`);
  const json = parseJson(bytes, "beacon");
  const message = json.ok ? check(json.value) : json;
  if (!message.ok) return message;
  const { verifier, signature, nonce, ...numbers } = message.value;
  const beacon: Beacon = { ...numbers, nonce: nonce as Hex };
  const signer = recoverSigner(beaconDigest(domain, beacon), signature);
  if (!signer || signer !== verifier || !verifiers.includes(signer))
    return reject("signature-invalid", "the beacon is not signed by a verifier of this network");
  return accept({ ...beacon, verifier: signer });
}
