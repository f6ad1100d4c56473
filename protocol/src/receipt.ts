/**
 * Two receipts go to a node on the same topic. The storage receipt says up to which batch everything is durable in the ledger; only
 * it frees outbox rows. It is a JWS by the coordinator's P-256 key. The slot receipt says which slots a verifier credited; it is
 * EIP-712 typed data by the verifier's key, kept by the node and usable against the network.
 */
import type { KeyObject } from "node:crypto";
import Type, { type Static } from "typebox";
import { signaturePattern } from "./beacon.ts";
import { type Signer, verifyEs256 } from "./es256.ts";
import { type Address, addressPattern, type BootId, bootIdPattern, type NodeId, nodeIdPattern } from "./identity.ts";
import { encodeJws, parseJws } from "./jws.ts";
import { limits } from "./limits.ts";
import { type RejectionCode, rejectionCodes } from "./rejections.ts";
import { accept, type Result, reject } from "./result.ts";
import { checker, parseJson, Whole } from "./schema.ts";
import { type Domain, recoverSigner, type SlotReceipt, signDigest, slotReceiptDigest } from "./typed-data.ts";

/** Every batch of `boot` up to `upTo` is durable. `refused`: the first of those that came behind it and were refused, and why. */
export type StorageReceipt = {
  readonly nodeId: NodeId;
  readonly boot: BootId;
  readonly upTo: number;
  readonly refused?: { readonly sequence: number; readonly code: RejectionCode };
};

const StorageClaims = Type.Object(
  {
    aud: Type.String({ pattern: nodeIdPattern }),
    boot: Type.String({ pattern: bootIdPattern }),
    upTo: Whole,
    refused: Type.Optional(
      Type.Object({ sequence: Whole, code: Type.Enum([...rejectionCodes]) }, { additionalProperties: false }),
    ),
  },
  { additionalProperties: false },
);
const checkStorage = checker("storage receipt", StorageClaims);
const storageType = "cairn-stored+jwt";

export const SlotReceiptMessage = Type.Object(
  {
    verifier: Type.String({ pattern: addressPattern }),
    nodeId: Type.String({ pattern: nodeIdPattern }),
    epoch: Whole,
    firstSlot: Whole,
    slotCount: Type.Integer({ minimum: 1, maximum: 8_192 }),
    credited: Type.String({ pattern: "^0x([0-9a-f]{2}){1,1024}$" }),
    void: Type.String({ pattern: "^0x([0-9a-f]{2}){1,1024}$" }),
    signature: Type.String({ pattern: signaturePattern }),
  },
  { additionalProperties: false },
);
export type SlotReceiptMessage = Static<typeof SlotReceiptMessage>;
const checkSlots = checker("slot receipt", SlotReceiptMessage);

export function encodeStorageReceipt(receipt: StorageReceipt, signer: Signer): Buffer {
  const { nodeId, ...claims } = receipt;
  return Buffer.from(encodeJws({ typ: storageType }, { aud: nodeId, ...claims }, signer));
}

export function encodeSlotReceipt(
  receipt: SlotReceipt,
  domain: Domain,
  verifier: { address: Address; key: Uint8Array },
): Buffer {
  const signature = signDigest(slotReceiptDigest(domain, receipt), verifier.key);
  return Buffer.from(
    JSON.stringify({ verifier: verifier.address, ...receipt, signature } satisfies SlotReceiptMessage),
  );
}

export type Receipt =
  | { readonly kind: "stored"; readonly receipt: StorageReceipt }
  | { readonly kind: "slots"; readonly receipt: SlotReceipt; readonly verifier: Address };

/** Whom a node trusts to sign receipts. */
export type ReceiptTrust = {
  readonly nodeId: NodeId;
  readonly coordinatorKey: KeyObject;
  readonly domain: Domain;
  readonly verifiers: readonly Address[];
};

/** Reads either receipt, with its signature checked and addressed to this node. */
export function parseReceipt(bytes: Buffer, trust: ReceiptTrust): Result<Receipt> {
  if (bytes.length > limits.smallMessageBytes) return reject("payload-too-large", `receipt of ${bytes.length} bytes`);
  return bytes[0] === 0x7b ? parseSlots(bytes, trust) : parseStored(bytes.toString("latin1"), trust);
}

function parseStored(text: string, trust: ReceiptTrust): Result<Receipt> {
  const parsed = parseJws(text);
  if (!parsed.ok) return parsed;
  const { header, payload, signingInput, signature } = parsed.value;
  if (header.typ !== storageType) return reject("envelope-malformed", `typ is not ${storageType}`);
  if (!verifyEs256(trust.coordinatorKey, signingInput, signature))
    return reject("signature-invalid", "the storage receipt is not signed by this network's coordinator");
  const json = parseJson(payload, "storage receipt");
  const claims = json.ok ? checkStorage(json.value) : json;
  if (!claims.ok) return claims;
  const { aud, boot, upTo, refused } = claims.value;
  if (aud !== trust.nodeId) return reject("identity-mismatch", "the receipt is for another node");
  return accept({
    kind: "stored",
    receipt: {
      nodeId: trust.nodeId,
      boot: boot as BootId,
      upTo,
      ...(refused ? { refused: { sequence: refused.sequence, code: refused.code as RejectionCode } } : {}),
    },
  });
}

function parseSlots(bytes: Buffer, trust: ReceiptTrust): Result<Receipt> {
  const json = parseJson(bytes, "slot receipt");
  const message = json.ok ? checkSlots(json.value) : json;
  if (!message.ok) return message;
  const { verifier, signature, ...fields } = message.value;
  const receipt = fields as SlotReceipt;
  const bitmapDigits = 2 + 2 * Math.ceil(receipt.slotCount / 8);
  if (receipt.credited.length !== bitmapDigits || receipt.void.length !== bitmapDigits)
    return reject("schema-mismatch", `slot receipt: a bitmap that is not of ${receipt.slotCount} slots`);
  if (receipt.nodeId !== trust.nodeId) return reject("identity-mismatch", "the receipt is for another node");
  const signer = recoverSigner(slotReceiptDigest(trust.domain, receipt), signature);
  if (!signer || signer !== verifier || !trust.verifiers.includes(signer))
    return reject("signature-invalid", "the slot receipt is not signed by a verifier of this network");
  return accept({ kind: "slots", receipt, verifier: signer });
}
