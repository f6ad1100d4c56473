/** The network that tests run on: its terms, its clock and its verifier. */
import { type Address, addressOfKey, firstSlotOf, slotOpensAt } from "@cairn/protocol";
import type { Founding } from "../src/model.ts";

const verifierKey = Buffer.alloc(32, 7);

/** A key that signs beacons, slot receipts and roots; of this network only. */
export const verifier = { address: addressOfKey(verifierKey), key: verifierKey };

export const founding: Founding = {
  network: "trial",
  chainId: 31_337,
  rewards: `0x${"5f".repeat(20)}`,
  token: { address: `0x${"70".repeat(20)}`, symbol: "CAIRN", decimals: 18 },
  verifiers: [verifier.address],
  time: { genesisAt: 1_750_000_000_000, slotMs: 60_000, slotsPerEpoch: 6 },
  parameters: {
    epochBudget: 1_000n * 10n ** 18n,
    workShareBps: 5_000,
    uptimeFloorBps: 5_000,
    evidenceWeightBps: { software: 5_000, "secure-element": 8_000, "tpm-measured": 10_000 },
  },
};

export const domain = { chainId: founding.chainId, verifyingContract: founding.rewards };

/** Unix ms at which the slot opens. */
export function slotTime(slot: number): number {
  return slotOpensAt(founding.time, slot);
}

/** The slots of an epoch, ascending. */
export function slotsOf(epoch: number): number[] {
  const first = firstSlotOf(founding.time, epoch);
  return Array.from({ length: founding.time.slotsPerEpoch }, (_, index) => first + index);
}

/** An operator's address, of a small number. */
export function operatorAddress(number: number): Address {
  return `0x${number.toString(16).padStart(40, "0")}`;
}
