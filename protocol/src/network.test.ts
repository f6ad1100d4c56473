import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { accepted, newDevice, pemOf, refusalOf, verifierNamed } from "../testing/parties.ts";
import {
  epochOfSlot,
  firstSlotOf,
  type NetworkDescriptor,
  parseNetwork,
  type SlotTime,
  slotAt,
  slotOpensAt,
} from "./network.ts";

const coordinator = newDevice();
const verifier = verifierNamed("first").address;
const descriptor: NetworkDescriptor = {
  network: "harbour",
  chainId: 31337,
  rewards: "0x5fbdb2315678afecb367f032d93f642f64180aa3",
  verifiers: [verifier],
  coordinatorKey: pemOf(coordinator.publicKey),
  genesisAt: 1_790_000_000_000,
  slotMs: 60_000,
  slotsPerEpoch: 60,
};
const judge = (value: unknown) => parseNetwork(Buffer.from(JSON.stringify(value)));

test("a descriptor becomes a network whose keys are ready for use", () => {
  const { coordinatorKey, ...rest } = accepted(judge(descriptor));
  assert.ok(coordinatorKey.equals(coordinator.publicKey));
  assert.deepEqual(rest, {
    network: "harbour",
    domain: { chainId: 31337, verifyingContract: descriptor.rewards },
    verifiers: [verifier],
    time: { genesisAt: descriptor.genesisAt, slotMs: 60_000, slotsPerEpoch: 60 },
  });
});

test("a coordinator's key must be a P-256 public key: with another kind no receipt could be checked", () => {
  const { privateKey } = coordinator;
  for (const coordinatorKey of [
    "",
    "a key",
    privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    pemOf(generateKeyPairSync("ed25519").publicKey),
    pemOf(generateKeyPairSync("x25519").publicKey),
    pemOf(generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey),
  ]) {
    const { code, detail } = refusalOf(judge({ ...descriptor, coordinatorKey }));
    assert.equal(code, "schema-mismatch");
    assert.match(detail, /coordinatorKey/);
  }
});

test("a descriptor of another shape is refused, and the refusal names the place", () => {
  const wrong: Record<string, unknown[]> = {
    network: ["", "A", "a/b", "+", "a".repeat(33), 1],
    chainId: [0, -1, 1.5, 2 ** 53, "1"],
    rewards: ["", descriptor.rewards.toUpperCase(), descriptor.rewards.slice(0, -1)],
    verifiers: [[], ["0x"], verifier, Array(65).fill(verifier)],
    coordinatorKey: [1, "x".repeat(513)],
    genesisAt: [-1, 0.5, 2 ** 53, 1e300, "now"],
    slotMs: [0, 999, 3_600_001, 60_000.5],
    slotsPerEpoch: [0, 8_193, 1.5],
    extra: [1],
  };
  for (const [field, values] of Object.entries(wrong))
    for (const value of values) {
      const { code, detail } = refusalOf(judge({ ...descriptor, [field]: value }));
      assert.equal(code, "schema-mismatch");
      assert.match(detail, new RegExp(field));
    }
  for (const field of Object.keys(descriptor)) {
    const rest = Object.fromEntries(Object.entries(descriptor).filter(([name]) => name !== field));
    assert.match(refusalOf(judge(rest)).detail, new RegExp(field));
  }
  assert.equal(refusalOf(parseNetwork(Buffer.from("{"))).code, "payload-malformed");
});

const times: fc.Arbitrary<SlotTime> = fc.record({
  genesisAt: fc.integer({ min: 0, max: 2e12 }),
  slotMs: fc.integer({ min: 1_000, max: 3_600_000 }),
  slotsPerEpoch: fc.integer({ min: 1, max: 8_192 }),
});

test("every moment since genesis lies in exactly one slot, from its opening to the next one's", () => {
  fc.assert(
    fc.property(times, fc.nat({ max: 1e12 }), (time, after) => {
      const at = time.genesisAt + after;
      const slot = slotAt(time, at);
      assert.ok(slotOpensAt(time, slot) <= at && at < slotOpensAt(time, slot + 1));
    }),
  );
});

test("a slot opens in itself, and the millisecond before belongs to the slot before", () => {
  fc.assert(
    fc.property(times, fc.nat({ max: 1e9 }), (time, slot) => {
      assert.equal(slotAt(time, slotOpensAt(time, slot)), slot);
      assert.equal(slotAt(time, slotOpensAt(time, slot) - 1), slot - 1);
    }),
  );
});

test("epochs count from 1, slots from 0, and an epoch's slots follow each other without gap or overlap", () => {
  const time = { genesisAt: 1_000, slotMs: 60_000, slotsPerEpoch: 60 };
  assert.equal(slotAt(time, 1_000), 0);
  assert.equal(slotAt(time, 999), -1);
  assert.equal(epochOfSlot(time, 0), 1);
  assert.equal(epochOfSlot(time, 59), 1);
  assert.equal(epochOfSlot(time, 60), 2);
  assert.equal(firstSlotOf(time, 1), 0);
  fc.assert(
    fc.property(times, fc.integer({ min: 1, max: 1e6 }), (any, epoch) => {
      const first = firstSlotOf(any, epoch);
      assert.equal(epochOfSlot(any, first), epoch);
      assert.equal(epochOfSlot(any, first - 1), epoch - 1);
      assert.equal(firstSlotOf(any, epoch + 1), first + any.slotsPerEpoch);
    }),
  );
});
