/** Who takes part in the protocol's tests: devices, verifiers, a network. Device keys are new in every run, the rest stands still. */
import { createHash, generateKeyPairSync, type KeyObject } from "node:crypto";
import {
  type Address,
  addressOfKey,
  type Domain,
  type NodeId,
  nodeIdOf,
  type Rejection,
  type Result,
  type Signer,
  signerOf,
} from "../src/index.ts";

export type Device = {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly nodeId: NodeId;
  readonly sign: Signer;
};

export function newDevice(): Device {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { privateKey, publicKey, nodeId: nodeIdOf(publicKey), sign: signerOf(privateKey) };
}

export function pemOf(key: KeyObject): string {
  return key.export({ format: "pem", type: "spki" }).toString();
}

export type Verifier = { readonly address: Address; readonly key: Buffer };

export function verifierNamed(name: string): Verifier {
  const key = createHash("sha256").update(name).digest();
  return { address: addressOfKey(key), key };
}

export const domain: Domain = { chainId: 31337, verifyingContract: "0x5fbdb2315678afecb367f032d93f642f64180aa3" };

/** The code of a refusal; throws when there was none. */
export function refusalOf(result: Result<unknown>): Rejection {
  if (result.ok) throw new Error(`accepted: ${JSON.stringify(result.value)?.slice(0, 300)}`);
  return result.rejection;
}

/** What was accepted; throws when it was refused. */
export function accepted<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(`refused: ${result.rejection.code}: ${result.rejection.detail}`);
  return result.value;
}
