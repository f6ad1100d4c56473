/**
 * Device keys of a simulated fleet. Whoever knows the seed knows every private key: they stand for nobody's device, and must never be
 * enrolled in a network whose rewards are worth anything.
 */
import { createECDH, createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { type Address, addressOfKey, type NodeId, nodeIdOf, type Signer, signerOf, ueidOf } from "@cairn/protocol";
import type { RosterEntry } from "../nodes.ts";
import { bytesFor } from "./random.ts";

export type SimulatedKey = {
  readonly nodeId: NodeId;
  /** Base64url, as evidence claims it. */
  readonly ueid: string;
  readonly publicKey: KeyObject;
  readonly sign: Signer;
};

/** PKCS #8 of a P-256 key with its public point (RFC 5958, RFC 5915): what stands before the scalar, and between scalar and point. */
const pkcs8Head = Buffer.from("308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420", "hex");
const pkcs8Middle = Buffer.from("a144034200", "hex");
/** Order of P-256 (SEC 2, section 2.4.2). A scalar is 1 to one less. */
const order = Buffer.from("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "hex");
const zero = Buffer.alloc(32);

/** The key of node `index` (from 0) of the fleet with this seed. */
export function simulatedKey(seed: string, index: number): SimulatedKey {
  const scalar = scalarOf(seed, index);
  const point = createECDH("prime256v1");
  point.setPrivateKey(scalar);
  const der = Buffer.concat([pkcs8Head, scalar, pkcs8Middle, point.getPublicKey()]);
  const privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const publicKey = createPublicKey(privateKey);
  return {
    nodeId: nodeIdOf(publicKey),
    ueid: ueidOf(publicKey).toString("base64url"),
    publicKey,
    sign: signerOf(privateKey),
  };
}

function scalarOf(seed: string, index: number): Buffer {
  for (let draw = 0; ; draw++) {
    const scalar = bytesFor(seed, "device key", index, draw);
    if (scalar.compare(zero) > 0 && scalar.compare(order) < 0) return scalar;
  }
}

/** What enrols the fleet: names and public keys (SPKI PEM), in the order of the nodes. */
export function fleetKeys(seed: string, nodes: number): readonly Omit<RosterEntry, "operator">[] {
  return Array.from({ length: nodes }, (_, index) => ({
    name: `sim-${index + 1}`,
    publicKey: simulatedKey(seed, index).publicKey.export({ format: "pem", type: "spki" }).toString(),
  }));
}

/** The same with the operators that are paid for them, in turn; their addresses come from the seed too. */
export function fleetRoster(seed: string, nodes: number, operators: number): readonly RosterEntry[] {
  const addresses = Array.from({ length: operators }, (_, index) => operatorOf(seed, index));
  return fleetKeys(seed, nodes).map((entry, index) => ({ ...entry, operator: addresses[index % operators] ?? "0x" }));
}

function operatorOf(seed: string, index: number): Address {
  return addressOfKey(bytesFor(seed, "operator", index));
}
