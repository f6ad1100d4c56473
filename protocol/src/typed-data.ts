/**
 * What verifiers sign with their secp256k1 keys, as EIP-712 typed data, so that each statement can be shown to a contract.
 * Encoded here field by field over the audited keccak and secp256k1 of @noble: a node needs only a hash and a recovery, and a
 * whole Ethereum library would cost it some 15 MB of memory. Golden vectors bind this file to ethers and to the contracts.
 */
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import type { Address, Hex, NodeId } from "./identity.ts";

/** The EIP-712 domain of one network: its chain and its EpochRewards contract. */
export type Domain = { readonly chainId: number; readonly verifyingContract: Address };

export const domainName = "Cairn";
export const domainVersion = "1";

/** A slot's unpredictable nonce. Times in unix ms by the verifier's clock. */
export type Beacon = {
  readonly epoch: number;
  readonly slot: number;
  readonly nonce: Hex;
  readonly opensAt: number;
  readonly closesAt: number;
};

/** Which slots of an epoch a verifier credited to a node so far: bit i of byte i/8 (least significant first) is slot firstSlot + i. */
export type SlotReceipt = {
  readonly nodeId: NodeId;
  readonly epoch: number;
  readonly firstSlot: number;
  readonly slotCount: number;
  readonly credited: Hex;
  readonly void: Hex;
};

/** An epoch's outcome. `total`: smallest token units minted for it; `evidence`: SHA-256 of the epoch's verdicts in canonical bytes. */
export type EpochRoot = { readonly epoch: number; readonly root: Hex; readonly total: bigint; readonly evidence: Hex };

/** The same types in the notation of EIP-712, for wallets and libraries. */
export const typedDataTypes = {
  Beacon: [
    { name: "epoch", type: "uint64" },
    { name: "slot", type: "uint64" },
    { name: "nonce", type: "bytes32" },
    { name: "opensAt", type: "uint64" },
    { name: "closesAt", type: "uint64" },
  ],
  SlotReceipt: [
    { name: "nodeId", type: "bytes20" },
    { name: "epoch", type: "uint64" },
    { name: "firstSlot", type: "uint64" },
    { name: "slotCount", type: "uint32" },
    { name: "credited", type: "bytes" },
    { name: "void", type: "bytes" },
  ],
  EpochRoot: [
    { name: "epoch", type: "uint64" },
    { name: "root", type: "bytes32" },
    { name: "total", type: "uint256" },
    { name: "evidence", type: "bytes32" },
  ],
} as const;

const typeHash = (name: keyof typeof typedDataTypes) =>
  keccak(Buffer.from(`${name}(${typedDataTypes[name].map((field) => `${field.type} ${field.name}`).join(",")})`));

const typeHashes = {
  Beacon: typeHash("Beacon"),
  SlotReceipt: typeHash("SlotReceipt"),
  EpochRoot: typeHash("EpochRoot"),
  domain: keccak(Buffer.from("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")),
};

export function keccak(bytes: Uint8Array): Buffer {
  return Buffer.from(keccak_256(bytes));
}

/** A whole number as 32 bytes, big endian: the ABI encoding of every uint type. */
export function wordOf(value: number | bigint): Buffer {
  const number = BigInt(value);
  if (number < 0n || number >= 1n << 256n) throw new RangeError(`not a uint256: ${number}`);
  return Buffer.from(number.toString(16).padStart(64, "0"), "hex");
}

/** Hex as 32 bytes: `left` pads in front (address), otherwise behind (bytesN). */
export function hexWord(hex: string, left = false): Buffer {
  const bytes = bytesOf(hex);
  const word = Buffer.alloc(32);
  bytes.copy(word, left ? 32 - bytes.length : 0);
  return word;
}

export function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.startsWith("0x") ? hex.slice(2) : hex, "hex");
}

export function hexOf(bytes: Uint8Array): Hex {
  return `0x${Buffer.from(bytes).toString("hex")}`;
}

export function domainSeparator(domain: Domain): Buffer {
  return keccak(
    Buffer.concat([
      typeHashes.domain,
      keccak(Buffer.from(domainName)),
      keccak(Buffer.from(domainVersion)),
      wordOf(domain.chainId),
      hexWord(domain.verifyingContract, true),
    ]),
  );
}

function digest(domain: Domain, struct: readonly Buffer[]): Buffer {
  return keccak(Buffer.concat([Buffer.of(0x19, 0x01), domainSeparator(domain), keccak(Buffer.concat(struct))]));
}

export function beaconDigest(domain: Domain, beacon: Beacon): Buffer {
  const { epoch, slot, nonce, opensAt, closesAt } = beacon;
  return digest(domain, [
    typeHashes.Beacon,
    wordOf(epoch),
    wordOf(slot),
    hexWord(nonce),
    wordOf(opensAt),
    wordOf(closesAt),
  ]);
}

export function slotReceiptDigest(domain: Domain, receipt: SlotReceipt): Buffer {
  return digest(domain, [
    typeHashes.SlotReceipt,
    hexWord(receipt.nodeId),
    wordOf(receipt.epoch),
    wordOf(receipt.firstSlot),
    wordOf(receipt.slotCount),
    keccak(bytesOf(receipt.credited)),
    keccak(bytesOf(receipt.void)),
  ]);
}

export function epochRootDigest(domain: Domain, root: EpochRoot): Buffer {
  return digest(domain, [
    typeHashes.EpochRoot,
    wordOf(root.epoch),
    hexWord(root.root),
    wordOf(root.total),
    hexWord(root.evidence),
  ]);
}

/** Signs a digest with a secp256k1 key (32 bytes): r || s || v with v 27 or 28, low s, deterministic (RFC 6979). */
export function signDigest(digestBytes: Uint8Array, privateKey: Uint8Array): Hex {
  const signature = secp256k1.sign(digestBytes, privateKey, { prehash: false });
  return hexOf(Buffer.concat([signature.toBytes("compact"), Buffer.of(27 + (signature.recovery ?? 0))]));
}

/** Address whose key signed the digest; undefined when the signature is not one (wrong length, v, or not on the curve). */
export function recoverSigner(digestBytes: Uint8Array, signature: string): Address | undefined {
  const bytes = bytesOf(signature);
  const v = bytes[64];
  if (bytes.length !== 65 || (v !== 27 && v !== 28)) return undefined;
  try {
    const parsed = secp256k1.Signature.fromBytes(bytes.subarray(0, 64), "compact").addRecoveryBit(v - 27);
    if (parsed.hasHighS()) return undefined;
    return addressOfPoint(parsed.recoverPublicKey(digestBytes).toBytes(false));
  } catch {
    return undefined;
  }
}

export function addressOfKey(privateKey: Uint8Array): Address {
  return addressOfPoint(secp256k1.getPublicKey(privateKey, false));
}

function addressOfPoint(uncompressed: Uint8Array): Address {
  return hexOf(keccak(uncompressed.subarray(1)).subarray(12)) as Address;
}
