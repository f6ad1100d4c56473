/** Devices for tests: a P-256 key, the enrolment that goes with it, and everything such a device would sign. */
import { createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import {
  type Batch,
  type Beacon,
  type BootId,
  type EvidenceClaims,
  encodeBatch,
  encodeCredential,
  encodeEvidence,
  evidenceProfile,
  type NodeId,
  nodeIdOf,
  nonceToClaim,
  type Reading,
  type Signer,
  signerOf,
  ueidOf,
} from "@cairn/protocol";
import type { Enrolment } from "../src/model.ts";
import { founding, operatorAddress } from "./founding.ts";

export type Device = {
  readonly nodeId: NodeId;
  readonly enrolment: Enrolment;
  /** SPKI PEM, as it stands in a roster. */
  readonly publicKey: string;
  readonly signer: Signer;
  batch(fields?: Partial<Batch>): Buffer;
  /** Evidence that answers the beacon; `claims` overrides what an honest device would say. */
  evidence(beacon: Beacon, claims?: Record<string, unknown>): Buffer;
  /** MQTT client id, user name and password. */
  connect(now: number, network?: string): { clientId: string; username: string; password: string };
};

export function makeDevice(name = "node", operator = operatorAddress(1)): Device {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const publicKey = createPublicKey(privateKey);
  const nodeId = nodeIdOf(publicKey);
  const signer = signerOf(privateKey);
  const boot = bootId();
  return {
    nodeId,
    enrolment: { nodeId, name, operator, publicKey, evidenceLevel: "software" },
    publicKey: publicKey.export({ format: "pem", type: "spki" }).toString(),
    signer,
    batch: (fields = {}) =>
      encodeBatch(
        { boot, bootCount: 1, sequence: 1, dropped: [], readings: [reading("host.load", 1)], ...fields },
        nodeId,
        signer,
      ),
    evidence: ({ nonce, slot }, claims = {}) =>
      encodeEvidence(
        {
          eat_profile: evidenceProfile,
          eat_nonce: nonceToClaim(nonce),
          ueid: ueidOf(publicKey).toString("base64url"),
          iat: 1_750_000_000,
          uptime: 60,
          bootcount: 1,
          bootseed: Buffer.from(boot, "hex").toString("base64url"),
          swname: "cairn-node",
          swversion: ["0.1.0"],
          cairn: { slot, storedUpTo: 0 },
          ...claims,
        } as EvidenceClaims,
        nodeId,
        signer,
      ),
    connect: (now, network = founding.network) => ({
      clientId: nodeId,
      username: nodeId,
      password: encodeCredential(network, nodeId, now, signer),
    }),
  };
}

export function bootId(): BootId {
  return randomBytes(16).toString("hex") as BootId;
}

export function reading(series: string, value: number, at = founding.time.genesisAt): Reading {
  return { series, unit: "/", at, value, quality: "good" };
}
