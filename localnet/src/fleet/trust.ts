/**
 * What a simulated node believes. The checks are those of a real one; a beacon that came to thousands of nodes is checked once, and of
 * receipts a share may go unchecked, where one process must stand for a fleet.
 */
import {
  type Address,
  type Beacon,
  type Network,
  type NodeId,
  parseBeacon,
  parseReceipt,
  type Receipt,
  type Result,
  reject,
  type StorageReceipt,
} from "@cairn/protocol";
import type { Chance } from "./random.ts";

export type CheckedBeacon = Beacon & { readonly verifier: Address };

export type Trust = {
  beacon(payload: Buffer): Result<CheckedBeacon>;
  receipt(nodeId: NodeId, payload: Buffer): Result<Receipt>;
};

/** Messages of different bytes remembered: some for each verifier. */
const remembered = 64;

/** @param verifiedShare of the receipts, 0 to 1 */
export function createTrust(network: Network, verifiedShare: number, chance: Chance): Trust {
  const beacons = new Map<string, Result<CheckedBeacon>>();
  const { coordinatorKey, domain, verifiers } = network;
  return {
    beacon(payload) {
      const bytes = payload.toString("latin1");
      const known = beacons.get(bytes);
      if (known) return known;
      const checked = parseBeacon(payload, domain, verifiers);
      const oldest = beacons.keys().next();
      if (beacons.size >= remembered && !oldest.done) beacons.delete(oldest.value);
      beacons.set(bytes, checked);
      return checked;
    },
    receipt(nodeId, payload) {
      if (verifiedShare >= 1 || chance() < verifiedShare)
        return parseReceipt(payload, { nodeId, coordinatorKey, domain, verifiers });
      return unverified(nodeId, payload);
    },
  };
}

/** Takes the sender's word for it. */
function unverified(nodeId: NodeId, payload: Buffer): Result<Receipt> {
  try {
    if (payload[0] === 0x7b) {
      const { verifier, signature: _, ...receipt } = JSON.parse(payload.toString("utf8"));
      return { ok: true, value: { kind: "slots", receipt, verifier } };
    }
    const body = payload.toString("latin1").split(".")[1] ?? "";
    const { aud, ...claims } = JSON.parse(Buffer.from(body, "base64url").toString("utf8"));
    if (aud !== nodeId) return reject("identity-mismatch", "the receipt is for another node");
    return { ok: true, value: { kind: "stored", receipt: { nodeId, ...(claims as Omit<StorageReceipt, "nodeId">) } } };
  } catch {
    return reject("payload-malformed", "the receipt cannot be read");
  }
}
