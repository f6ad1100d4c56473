import assert from "node:assert/strict";
import { test } from "node:test";
import { domain, newDevice, verifierNamed } from "../testing/parties.ts";
import { type EvidenceClaims, encodeEvidence, evidenceProfile } from "./evidence.ts";
import type { BootId } from "./identity.ts";
import { limits } from "./limits.ts";
import { encodeSlotReceipt, encodeStorageReceipt } from "./receipt.ts";
import { rejections } from "./rejections.ts";

const { nodeId, sign } = newDevice();
const most = Number.MAX_SAFE_INTEGER;

test("the largest slot receipt fits into a small message", () => {
  const bits = `0x${"ff".repeat(1_024)}` as const;
  const receipt = { nodeId, epoch: most, firstSlot: most, slotCount: 8_192, credited: bits, void: bits };
  const { length } = encodeSlotReceipt(receipt, domain, verifierNamed("first"));
  assert.ok(length <= limits.smallMessageBytes, `${length} bytes`);
});

test("the largest evidence and the largest storage receipt fit into a small message", () => {
  const text = "設".repeat(128);
  const claims: EvidenceClaims = {
    eat_profile: evidenceProfile,
    eat_nonce: "A".repeat(43),
    ueid: "A".repeat(44),
    iat: most,
    uptime: most,
    bootcount: most,
    bootseed: "A".repeat(22),
    swname: text,
    swversion: [text, text],
    location: { latitude: -89.12345678901234, longitude: -179.1234567890123, altitude: -Number.MIN_VALUE, age: most },
    cairn: { slot: most, storedUpTo: most },
  };
  const { length } = encodeEvidence(claims, nodeId, sign);
  assert.ok(length <= limits.smallMessageBytes, `${length} bytes`);
  const refused = { sequence: most, code: "credential-malformed" } as const;
  const receipt = encodeStorageReceipt({ nodeId, boot: "f".repeat(32) as BootId, upTo: most, refused }, sign);
  assert.ok(receipt.length <= limits.smallMessageBytes, `${receipt.length} bytes`);
});

test("the remedy for messages that are too large tells the limits that are held", () => {
  const told = rejections["payload-too-large"].remedy.match(/\d+/g)?.map(Number);
  assert.deepEqual(told, [limits.messageBytes, limits.inflatedBytes, limits.smallMessageBytes]);
});

test("a small message is smaller than a message, and a message than what it may unpack to", () => {
  assert.ok(limits.smallMessageBytes < limits.messageBytes && limits.messageBytes < limits.inflatedBytes);
});
