/** A network's public description: what a node or a page must know and trust. Written by the coordinator as JSON. */
import type { KeyObject } from "node:crypto";
import Type, { type Static } from "typebox";
import { type Address, addressPattern, parseDevicePublicKey } from "./identity.ts";
import { accept, type Result, reject } from "./result.ts";
import { checker, parseJson, Whole } from "./schema.ts";
import { networkPattern } from "./topics.ts";
import type { Domain } from "./typed-data.ts";

const EvmAddress = Type.String({ pattern: addressPattern });

export const NetworkDescriptor = Type.Object(
  {
    network: Type.String({ pattern: networkPattern }),
    chainId: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    rewards: EvmAddress,
    verifiers: Type.Array(EvmAddress, { minItems: 1, maxItems: 64 }),
    /** The coordinator's P-256 public key, SPKI PEM: signs storage receipts and desired state. */
    coordinatorKey: Type.String({ maxLength: 512 }),
    /** Unix ms at which slot 0 of epoch 1 opens. */
    genesisAt: Whole,
    slotMs: Type.Integer({ minimum: 1_000, maximum: 3_600_000 }),
    slotsPerEpoch: Type.Integer({ minimum: 1, maximum: 8_192 }),
  },
  { additionalProperties: false },
);
export type NetworkDescriptor = Static<typeof NetworkDescriptor>;
const check = checker("network descriptor", NetworkDescriptor);

/** The descriptor with its keys ready for use. */
export type Network = {
  readonly network: string;
  readonly domain: Domain;
  readonly verifiers: readonly Address[];
  readonly coordinatorKey: KeyObject;
  readonly time: SlotTime;
};

/** How time is cut into slots and epochs. Epochs count from 1, slots from 0 and go on through all epochs. */
export type SlotTime = { readonly genesisAt: number; readonly slotMs: number; readonly slotsPerEpoch: number };

export function parseNetwork(bytes: Uint8Array): Result<Network> {
  const json = parseJson(bytes, "network descriptor");
  const descriptor = json.ok ? check(json.value) : json;
  if (!descriptor.ok) return descriptor;
  const { network, chainId, rewards, verifiers, coordinatorKey, genesisAt, slotMs, slotsPerEpoch } = descriptor.value;
  const key = parseDevicePublicKey(coordinatorKey);
  if (!key.ok) return reject("schema-mismatch", `network descriptor: /coordinatorKey: ${key.rejection.detail}`);
  return accept({
    network,
    domain: { chainId, verifyingContract: rewards as Address },
    verifiers: verifiers as Address[],
    coordinatorKey: key.value,
    time: { genesisAt, slotMs, slotsPerEpoch },
  });
}

export function slotAt(time: SlotTime, atMs: number): number {
  return Math.floor((atMs - time.genesisAt) / time.slotMs);
}

export function epochOfSlot(time: SlotTime, slot: number): number {
  return Math.floor(slot / time.slotsPerEpoch) + 1;
}

export function slotOpensAt(time: SlotTime, slot: number): number {
  return time.genesisAt + slot * time.slotMs;
}

export function firstSlotOf(time: SlotTime, epoch: number): number {
  return (epoch - 1) * time.slotsPerEpoch;
}
