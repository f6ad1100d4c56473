import assert from "node:assert/strict";
import { test } from "node:test";
import { CompactSign, compactVerify } from "jose";
import { accepted, domain, newDevice, refusalOf, verifierNamed } from "../testing/parties.ts";
import type { BootId } from "./identity.ts";
import { encodeJws } from "./jws.ts";
import { encodeSlotReceipt, encodeStorageReceipt, parseReceipt, type ReceiptTrust } from "./receipt.ts";
import { rejectionCodes } from "./rejections.ts";
import type { SlotReceipt } from "./typed-data.ts";

const coordinator = newDevice();
const node = newDevice();
const verifier = verifierNamed("first");
const second = verifierNamed("second");
const boot = "0123456789abcdef0123456789abcdef" as BootId;
const trust: ReceiptTrust = {
  nodeId: node.nodeId,
  coordinatorKey: coordinator.publicKey,
  domain,
  verifiers: [second.address, verifier.address],
};
const typ = "cairn-stored+jwt";
const storedClaims = { aud: node.nodeId, boot, upTo: 12 };
const signed = (body: unknown, header: Record<string, unknown> = { typ }, by = coordinator) =>
  parseReceipt(Buffer.from(encodeJws(header, body, by.sign)), trust);

const slots: SlotReceipt = {
  nodeId: node.nodeId,
  epoch: 7,
  firstSlot: 36,
  slotCount: 10,
  credited: "0x0f02",
  void: "0x1000",
};
const slotMessage = JSON.parse(encodeSlotReceipt(slots, domain, verifier).toString());
const judgeSlots = (value: unknown, by = trust) => parseReceipt(Buffer.from(JSON.stringify(value)), by);

test("a storage receipt comes back as the coordinator made it", () => {
  const receipt = { nodeId: node.nodeId, boot, upTo: 12 };
  const bytes = encodeStorageReceipt(receipt, coordinator.sign);
  assert.deepEqual(accepted(parseReceipt(bytes, trust)), { kind: "stored", receipt });
});

test("a storage receipt can name each code of the closed list, and no other", () => {
  for (const code of rejectionCodes) {
    const receipt = { nodeId: node.nodeId, boot, upTo: 0, refused: { sequence: 3, code } };
    const bytes = encodeStorageReceipt(receipt, coordinator.sign);
    assert.deepEqual(accepted(parseReceipt(bytes, trust)), { kind: "stored", receipt });
  }
  for (const code of ["", "accepted", "sequence-gap ", "toString", null])
    assert.equal(refusalOf(signed({ ...storedClaims, refused: { sequence: 3, code } })).code, "schema-mismatch");
});

test("jose verifies a storage receipt, and one that jose made is ours", async () => {
  const bytes = encodeStorageReceipt({ nodeId: node.nodeId, boot, upTo: 12 }, coordinator.sign);
  const { protectedHeader, payload } = await compactVerify(bytes, coordinator.publicKey);
  assert.deepEqual(protectedHeader, { alg: "ES256", typ });
  assert.deepEqual(JSON.parse(Buffer.from(payload).toString()), storedClaims);
  const made = await new CompactSign(Buffer.from(JSON.stringify(storedClaims)))
    .setProtectedHeader({ alg: "ES256", typ })
    .sign(coordinator.privateKey);
  assert.equal(accepted(parseReceipt(Buffer.from(made), trust)).kind, "stored");
});

test("only the coordinator's key frees what a node holds: not the node's own, not another's", () => {
  for (const by of [node, newDevice()])
    assert.equal(refusalOf(signed(storedClaims, { typ }, by)).code, "signature-invalid");
});

test("a storage receipt that was tampered with is refused", () => {
  const bytes = encodeStorageReceipt({ nodeId: node.nodeId, boot, upTo: 12 }, coordinator.sign);
  const [head = "", , tail = ""] = bytes.toString().split(".");
  const more = Buffer.from(JSON.stringify({ ...storedClaims, upTo: 13 })).toString("base64url");
  assert.equal(refusalOf(parseReceipt(Buffer.from(`${head}.${more}.${tail}`), trust)).code, "signature-invalid");
});

test("a receipt for another node is refused, of either kind", () => {
  const other = newDevice().nodeId;
  assert.equal(refusalOf(signed({ ...storedClaims, aud: other })).code, "identity-mismatch");
  const bytes = encodeSlotReceipt({ ...slots, nodeId: other }, domain, verifier);
  assert.equal(refusalOf(parseReceipt(bytes, trust)).code, "identity-mismatch");
});

test("what the coordinator signs for another purpose is no storage receipt", () => {
  for (const header of [{}, { typ: "eat+jwt" }, { typ: "JWT" }, { typ: `${typ}2` }])
    assert.equal(refusalOf(signed(storedClaims, header)).code, "envelope-malformed");
});

test("a storage receipt of another shape is refused", () => {
  for (const change of [
    { aud: "me" },
    { boot: "0" },
    { upTo: -1 },
    { upTo: 1.5 },
    { upTo: 2 ** 53 },
    { upTo: "12" },
    { refused: null },
    { refused: { sequence: 1 } },
    { refused: { sequence: 1, code: "sequence-gap", more: 1 } },
    { extra: 1 },
    { aud: undefined },
    { boot: undefined },
    { upTo: undefined },
  ])
    assert.equal(refusalOf(signed({ ...storedClaims, ...change })).code, "schema-mismatch", JSON.stringify(change));
});

test("a slot receipt comes back as the verifier made it, with the verifier's name", () => {
  assert.deepEqual(accepted(judgeSlots(slotMessage)), { kind: "slots", receipt: slots, verifier: verifier.address });
});

test("a slot receipt is refused when its signer is not trusted, or is another than it says", () => {
  const stranger = verifierNamed("stranger");
  const borrowed = { address: verifier.address, key: stranger.key };
  for (const by of [stranger, borrowed])
    assert.equal(refusalOf(parseReceipt(encodeSlotReceipt(slots, domain, by), trust)).code, "signature-invalid");
  assert.equal(refusalOf(judgeSlots({ ...slotMessage, verifier: second.address })).code, "signature-invalid");
  assert.equal(refusalOf(judgeSlots(slotMessage, { ...trust, verifiers: [] })).code, "signature-invalid");
});

test("no field of a slot receipt can change under its signature", () => {
  for (const change of [
    { epoch: 8 },
    { firstSlot: 37 },
    { slotCount: 11 },
    { credited: "0x0f03" },
    { void: "0x1001" },
    { credited: slotMessage.void, void: slotMessage.credited },
  ])
    assert.equal(
      refusalOf(judgeSlots({ ...slotMessage, ...change })).code,
      "signature-invalid",
      JSON.stringify(change),
    );
});

test("a slot receipt of another chain or contract is none of this network", () => {
  for (const foreign of [
    { ...domain, chainId: 1 },
    { ...domain, verifyingContract: verifier.address },
  ])
    assert.equal(refusalOf(judgeSlots(slotMessage, { ...trust, domain: foreign })).code, "signature-invalid");
});

test("a slot receipt's signature with a high s is refused", () => {
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const { signature } = slotMessage;
  const high = (order - BigInt(`0x${signature.slice(66, 130)}`)).toString(16).padStart(64, "0");
  const mirrored = `${signature.slice(0, 66)}${high}${signature.endsWith("1b") ? "1c" : "1b"}`;
  assert.equal(refusalOf(judgeSlots({ ...slotMessage, signature: mirrored })).code, "signature-invalid");
});

test("the bitmaps of a slot receipt hold exactly the slots that it counts", () => {
  for (const [slotCount, bytes] of [
    [1, 1],
    [8, 1],
    [9, 2],
    [8_192, 1_024],
  ] as const) {
    const bits = `0x${"00".repeat(bytes)}` as const;
    const receipt = { ...slots, slotCount, credited: bits, void: bits };
    assert.ok(parseReceipt(encodeSlotReceipt(receipt, domain, verifier), trust).ok);
    for (const wrong of [{ credited: `${bits}00` }, { void: `${bits}00` }, { slotCount: bytes * 8 + 1 }]) {
      const bytesOut = encodeSlotReceipt({ ...receipt, ...wrong } as SlotReceipt, domain, verifier);
      assert.equal(refusalOf(parseReceipt(bytesOut, trust)).code, "schema-mismatch");
    }
  }
});

test("a slot receipt of another shape is refused", () => {
  const wrong: Record<string, unknown[]> = {
    verifier: ["", "0x00", 1],
    nodeId: ["", `0x${node.nodeId}`, 1],
    epoch: [-1, 1.5, 1e300],
    firstSlot: [-1, "36"],
    slotCount: [0, -1, 8_193, 1.5],
    credited: ["", "0x", "0x0", "0xZZ", "0X0f02", `0x${"00".repeat(1_025)}`],
    void: ["", "0x", null],
    signature: ["", "0x", null],
    extra: [1],
  };
  for (const [field, values] of Object.entries(wrong))
    for (const value of values)
      assert.equal(
        refusalOf(judgeSlots({ ...slotMessage, [field]: value })).code,
        "schema-mismatch",
        `${field} ${value}`,
      );
  for (const field of Object.keys(slotMessage)) {
    const rest = Object.fromEntries(Object.entries(slotMessage).filter(([name]) => name !== field));
    assert.equal(refusalOf(judgeSlots(rest)).code, "schema-mismatch", `without ${field}`);
  }
});

test("a receipt of more than 8192 bytes is refused unread", () => {
  for (const first of ["{", "e", " "])
    assert.equal(refusalOf(parseReceipt(Buffer.from(first.padEnd(8_193)), trust)).code, "payload-too-large");
});
