import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { zstdCompressSync } from "node:zlib";
import {
  base64url,
  encodeCredential,
  limits,
  type NodeChannel,
  nodeChannels,
  type RejectionCode,
  topicsOf,
} from "@cairn/protocol";
import fc from "fast-check";
import { bootId, type Device, makeDevice, reading } from "../../testing/devices.ts";
import { founding, slotTime } from "../../testing/founding.ts";
import { batchInput, slotRow } from "../../testing/inputs.ts";
import type { Arrival, Input } from "../model.ts";
import { type AdmissionFacts, judgeArrival, judgeConnect, refusedInput, unstorableInput } from "./admission.ts";

const { time, network } = founding;
const topics = topicsOf(network);
const [device, other, stranger] = [makeDevice(), makeDevice(), makeDevice()];
const beacon = slotRow(4);
const enrolled = new Map([device, other].map(({ nodeId, enrolment }) => [nodeId, enrolment.publicKey]));
const facts: AdmissionFacts = {
  time,
  keyOf: (nodeId) => enrolled.get(nodeId),
  beaconOf: (nonce) => (nonce === beacon.nonce ? beacon : undefined),
};
const receivedAt = slotTime(4) + 30_000;

describe("a batch", () => {
  test("that its node signed is an input with its readings counted and the slot of its arrival", () => {
    const boot = bootId();
    const readings = [reading("host.load", 1), reading("host.load", 2), reading("air.temp", 3)];
    const payload = device.batch({ boot, bootCount: 7, sequence: 9, readings });
    const input = judged("batch", payload);
    assert.ok(input.kind === "batch");
    assert.partialDeepStrictEqual(input, {
      nodeId: device.nodeId,
      receivedAt,
      slot: 4,
      bytes: payload.length,
      readings: 3,
    });
    assert.partialDeepStrictEqual(input.payload, { boot, n: 7, seq: 9 });
    assert.deepEqual(
      input.payload.series.map(({ s, v }) => [s, v]),
      [
        ["host.load", [1, 2]],
        ["air.temp", [3]],
      ],
    );
  });

  const small = { n: 1, series: [] };
  const refusals: Readonly<Record<string, [RejectionCode, () => Buffer]>> = {
    "larger than any message": ["payload-too-large", () => Buffer.alloc(limits.messageBytes + 1)],
    "of no bytes": ["envelope-malformed", () => Buffer.alloc(0)],
    "without a signature line": ["envelope-malformed", () => Buffer.from(JSON.stringify(small))],
    "whose signature line does not end": ["envelope-malformed", () => Buffer.alloc(2_000, "a")],
    "with a signature that is too short": ["envelope-malformed", () => signed(small, {}, () => Buffer.alloc(63))],
    "whose header names another algorithm": ["envelope-malformed", () => signed(small, { alg: "none" })],
    "whose header does not say how the payload stands": [
      "envelope-malformed",
      () => signed(small, { crit: undefined }),
    ],
    "of another content type": ["envelope-malformed", () => signed(small, { cty: "text/plain" })],
    "whose header names no node": ["envelope-malformed", () => signed(small, { kid: "me" })],
    "whose header names no boot": ["envelope-malformed", () => signed(small, { boot: "b" })],
    "whose header names no sequence": ["envelope-malformed", () => signed(small, { seq: 0 })],
    "that another node signed in its own name": ["key-mismatch", () => other.batch()],
    "that another node signed in the sender's name": ["signature-invalid", () => signed(small, {}, other.signer)],
    "with one byte changed": ["signature-invalid", () => changed(device.batch())],
    "that is signed, but not JSON": ["payload-malformed", () => signed("{")],
    "that is signed, but not UTF-8": ["payload-malformed", () => signed(Buffer.from([0x22, 0xff, 0x22]))],
    "that is signed, but not zstd": ["payload-malformed", () => packed(Buffer.from("{}"))],
    "that is signed, but half a zstd frame": [
      "payload-malformed",
      () => packed(zstdCompressSync(JSON.stringify(small)).subarray(0, 20)),
    ],
    "that unpacks to more than is allowed": [
      "payload-too-large",
      () => packed(zstdCompressSync(Buffer.alloc(limits.inflatedBytes + 1, " "))),
    ],
    "of another shape": ["schema-mismatch", () => signed({ ...small, series: 0 })],
    "with a field too many": ["schema-mismatch", () => signed({ ...small, more: 1 })],
    "whose boot counter is not whole": ["schema-mismatch", () => signed({ ...small, n: 1.5 })],
    "with a value that is no finite number": [
      "schema-mismatch",
      () => signed(JSON.stringify({ ...small, series: [column()] }).replace('"v":[1]', '"v":[1e999]')),
    ],
    "whose columns differ in length": ["schema-mismatch", () => signed({ ...small, series: [column({ v: [1, 2] })] })],
    "with too many readings over all series": [
      "schema-mismatch",
      () => {
        const half = { d: Array(300).fill(0), v: Array(300).fill(0) };
        return signed({ ...small, series: [column(half), column({ s: "a.c", ...half })] });
      },
    ],
    "with a unit that is none": ["schema-mismatch", () => signed({ ...small, series: [column({ u: "furlong" })] })],
    "with a dropped range that ends before it begins": [
      "schema-mismatch",
      () => signed({ ...small, dropped: [{ first: 2, last: 1, readings: 0, reason: "refused" }] }),
    ],
  };
  refuses("batch", refusals);

  test("that is refused behind a signature that holds is named, so that it can be answered; any other is not", () => {
    const namedBatch = (payload: Buffer) => {
      const input = judged("batch", payload);
      assert.ok(input.kind === "refused");
      return input.batch;
    };
    const boot = bootId();
    const tooLarge = zstdCompressSync(Buffer.alloc(limits.inflatedBytes + 1, " "));
    for (const [payload, cty] of [
      ["{", undefined],
      [{ ...small, n: 0 }, undefined],
      [tooLarge, "cairn-batch+json+zstd"],
    ] as const)
      assert.deepEqual(namedBatch(signed(payload, { boot, seq: 9, ...(cty ? { cty } : {}) })), { boot, sequence: 9 });
    assert.equal(namedBatch(signed("{", {}, other.signer)), undefined);
    assert.equal(namedBatch(changed(signed("{"))), undefined);
    assert.equal(namedBatch(signed("{", { kid: other.nodeId }, other.signer)), undefined);
    assert.equal(namedBatch(signed("{", { seq: "9" })), undefined);
  });

  test("from a node that is not enrolled is refused before its signature is looked at", () => {
    assert.equal(codeOf(judged("batch", stranger.batch(), stranger)), "key-unknown");
    assert.equal(codeOf(judged("batch", changed(stranger.batch()), stranger)), "key-unknown");
  });

  test("is not unpacked before its signature holds", () => {
    const bomb = zstdCompressSync(Buffer.alloc(limits.inflatedBytes * 4, " "));
    assert.equal(codeOf(judged("batch", packed(bomb, other.signer))), "signature-invalid");
  });
});

describe("evidence", () => {
  test("that answers the slot's nonce is an input with boot, software and the token itself", () => {
    const seed = "0123456789abcdef0123456789abcdef";
    const claims = { bootseed: Buffer.from(seed, "hex").toString("base64url"), bootcount: 5, uptime: 77 };
    const token = device.evidence(beacon, claims);
    assert.deepEqual(judged("evidence", token), {
      kind: "evidence",
      nodeId: device.nodeId,
      topic: topics.node(device.nodeId, "evidence"),
      receivedAt,
      slot: 4,
      boot: seed,
      bootCount: 5,
      uptimeSeconds: 77,
      software: "cairn-node 0.1.0",
      token: token.toString(),
    });
  });

  test("counts until the last millisecond of its slot, and names how late it is afterwards", () => {
    const at = (ms: number) => judged("evidence", device.evidence(beacon), device, ms);
    assert.equal(at(beacon.closesAt - 1).kind, "evidence");
    assert.equal(codeOf(at(beacon.closesAt)), "evidence-late");
    const late = at(beacon.closesAt + 1_234);
    assert.ok(late.kind === "refused" && late.rejection.detail.includes("1234 ms"));
  });

  const token = () => device.evidence(beacon).toString();
  refuses("evidence", {
    "larger than a small message": ["payload-too-large", () => Buffer.alloc(limits.smallMessageBytes + 1)],
    "of no bytes": ["envelope-malformed", () => Buffer.alloc(0)],
    "of two parts": ["envelope-malformed", () => Buffer.from(token().split(".").slice(0, 2).join("."))],
    "of another type": ["envelope-malformed", () => Buffer.from(compact({ typ: "jwt" }, {}))],
    "whose header names no node": ["envelope-malformed", () => Buffer.from(compact({ kid: 7 }, {}))],
    "that another node signed in its own name": ["key-mismatch", () => other.evidence(beacon)],
    "with a letter of its claims changed": [
      "signature-invalid",
      () => {
        const [head = "", body = "", tail = ""] = token().split(".");
        return Buffer.from(`${head}.${body.slice(0, -1)}${body.endsWith("A") ? "B" : "A"}.${tail}`);
      },
    ],
    "that is signed, but not JSON": ["payload-malformed", () => Buffer.from(compact({}, "{", device))],
    "without a claim": ["schema-mismatch", () => device.evidence(beacon, { eat_nonce: undefined })],
    "of another profile": ["schema-mismatch", () => device.evidence(beacon, { eat_profile: "urn:another" })],
    "with a boot counter of zero": ["schema-mismatch", () => device.evidence(beacon, { bootcount: 0 })],
    "with the identity of another node": [
      "identity-mismatch",
      () => device.evidence(beacon, { ueid: claimOf(other.evidence(beacon), "ueid") }),
    ],
    "for a nonce that was never issued": ["nonce-unknown", () => device.evidence(slotRow(4))],
    "with the right nonce for another slot": [
      "nonce-unknown",
      () => device.evidence(beacon, { cairn: { slot: 5, storedUpTo: 0 } }),
    ],
  });

  test("from a node that is not enrolled is refused", () => {
    assert.equal(codeOf(judged("evidence", stranger.evidence(beacon), stranger)), "key-unknown");
  });
});

describe("messages about who is there", () => {
  const boot = bootId();
  const birth = { boot, bootCount: 2, software: "s", profile: "p", capabilities: ["sensor.host"], desiredVersion: 0 };

  test("birth and last will are inputs with what they say", () => {
    const born = judged("birth", Buffer.from(JSON.stringify(birth)));
    assert.deepEqual(born.kind === "birth" && born.birth, birth);
    const died = judged("death", Buffer.from(JSON.stringify({ boot })));
    assert.deepEqual(died.kind === "death" && died.boot, boot);
  });

  refuses("birth", {
    "larger than a small message": ["payload-too-large", () => Buffer.alloc(limits.smallMessageBytes + 1, " ")],
    "that is not JSON": ["payload-malformed", () => Buffer.from("{")],
    "without capabilities": [
      "schema-mismatch",
      () => Buffer.from(JSON.stringify({ ...birth, capabilities: undefined })),
    ],
  });
  refuses("death", {
    "larger than a small message": ["payload-too-large", () => Buffer.alloc(limits.smallMessageBytes + 1, " ")],
    "of no bytes": ["payload-malformed", () => Buffer.alloc(0)],
    "of an unknown shape of boot": ["schema-mismatch", () => Buffer.from('{"boot":"b"}')],
  });
  refuses("reported", { "of any kind": ["topic-unknown", () => Buffer.from("{}")] });
});

describe("a connection", () => {
  const now = receivedAt;
  const refusalOf = (connect: ReturnType<Device["connect"]>) => judgeConnect(connect, network, now, facts.keyOf)?.code;

  test("whose token the named node signed just now is let in", () => {
    assert.equal(judgeConnect(device.connect(now), network, now, facts.keyOf), null);
    assert.equal(judgeConnect(device.connect(now - limits.credentialSkewMs), network, now, facts.keyOf), null);
  });

  const good = device.connect(now);
  const refusals: Readonly<Record<string, [RejectionCode, ReturnType<Device["connect"]>]>> = {
    "without user name": ["credential-malformed", { ...good, username: "" }],
    "with another client id": ["credential-malformed", { ...good, clientId: other.nodeId }],
    "without password": ["credential-malformed", { ...good, password: "" }],
    "with a password of any length": ["credential-malformed", { ...good, password: "x".repeat(100_000) }],
    "with a token of another kind": ["credential-malformed", { ...good, password: device.evidence(beacon).toString() }],
    "with a token for another network": ["credential-malformed", device.connect(now, "another")],
    "with the token of another node": ["credential-malformed", { ...good, password: other.connect(now).password }],
    "with a token from long ago": ["credential-stale", device.connect(now - limits.credentialSkewMs - 1_000)],
    "with a token from the future": ["credential-stale", device.connect(now + limits.credentialSkewMs + 2_000)],
    "of a node that is not enrolled": ["key-unknown", stranger.connect(now)],
    "with a token that another key signed": [
      "signature-invalid",
      { ...good, password: encodeCredential(network, device.nodeId, now, other.signer) },
    ],
  };
  for (const [what, [code, connect]] of Object.entries(refusals))
    test(`${what} is refused as ${code}`, () => assert.equal(refusalOf(connect), code));

  test("of any texts is refused without an exception", () => {
    const anyText = fc.oneof(fc.string(), fc.constantFrom(...Object.values(good)), fc.base64String());
    fc.assert(
      fc.property(anyText, anyText, anyText, (clientId, username, password) => {
        const admitted = refusalOf({ clientId, username, password }) === undefined;
        assert.equal(admitted, clientId === device.nodeId && username === device.nodeId && password === good.password);
      }),
    );
  });
});

describe("whatever bytes come in", () => {
  const anyChannel = fc.constantFrom<NodeChannel>(...nodeChannels);
  const genuine: Readonly<Partial<Record<NodeChannel, Buffer>>> = {
    batch: device.batch({ readings: [reading("host.load", 0.5)] }),
    evidence: device.evidence(beacon),
  };

  test("random ones are refused with a code, never with an exception", () => {
    fc.assert(
      fc.property(anyChannel, fc.uint8Array({ maxLength: 400 }), (channel, bytes) => {
        assert.equal(judged(channel, Buffer.from(bytes)).kind, "refused");
      }),
      { numRuns: 500 },
    );
  });

  test("a genuine message that is cut, doubled or changed is refused, or says the same as before", () => {
    const anyDamage = fc.record({
      channel: fc.constantFrom<NodeChannel>("batch", "evidence"),
      at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      how: fc.constantFrom("cut", "flip", "double", "insert", "remove"),
      bit: fc.nat({ max: 7 }),
    });
    fc.assert(
      fc.property(anyDamage, ({ channel, at, how, bit }) => {
        const message = genuine[channel] ?? Buffer.alloc(0);
        const position = Math.floor(at * message.length);
        const input = judged(channel, damaged(message, position, how, bit));
        if (input.kind !== "refused") assert.deepEqual(meaning(input), meaning(judged(channel, message)));
      }),
      { numRuns: 1_500 },
    );
  });

  test("a refusal keeps topic, size and the first bytes, and not the whole message", () => {
    const payload = Buffer.alloc(100_000, "ab");
    const input = refusedInput(
      { sender: null, topic: "some/topic", payload, receivedAt: 5 },
      { code: "topic-unknown", detail: "d" },
    );
    assert.ok(input.kind === "refused");
    const { sample, ...rest } = input;
    assert.deepEqual(rest, {
      kind: "refused",
      nodeId: null,
      topic: "some/topic",
      receivedAt: 5,
      bytes: 100_000,
      rejection: { code: "topic-unknown", detail: "d" },
    });
    assert.ok(sample.length > 0 && sample.length <= 1_024);
    assert.deepEqual(Buffer.from(sample), payload.subarray(0, sample.length));
    assert.ok(sample.buffer.byteLength <= 1_024, "the sample holds on to the message that it was cut from");
  });
});

function judged(channel: NodeChannel, payload: Buffer, sender = device, at = receivedAt): Input {
  const arrival: Arrival = {
    sender: sender.nodeId,
    channel,
    topic: topics.node(sender.nodeId, channel),
    payload,
    receivedAt: at,
  };
  return judgeArrival(arrival, facts);
}

function codeOf(input: Input): string {
  return input.kind === "refused" ? input.rejection.code : "accepted";
}

/** One test per way to be refused. */
function refuses(channel: NodeChannel, refusals: Readonly<Record<string, [RejectionCode, () => Buffer]>>): void {
  for (const [what, [code, payload]] of Object.entries(refusals))
    test(`${channel} ${what} is refused as ${code}, in the sender's name`, () => {
      const bytes = payload();
      const input = judged(channel, bytes);
      assert.equal(codeOf(input), code);
      assert.partialDeepStrictEqual(input, { nodeId: device.nodeId, bytes: bytes.length, receivedAt });
    });
}

/** A detached JWS over any payload: what the protocol's own encoder would not write. */
function signed(payload: unknown, header: Record<string, unknown> = {}, signer = device.signer): Buffer {
  const body = Buffer.isBuffer(payload)
    ? payload
    : Buffer.from(typeof payload === "string" ? payload : JSON.stringify(payload));
  const names = { kid: device.nodeId, cty: "cairn-batch+json", boot: "9f3c1e07b5a84d62c0e1f7a9348bd25e", seq: 1 };
  const whole = { alg: "ES256", b64: false, crit: ["b64"], ...names, ...header };
  const head = base64url(JSON.stringify(whole));
  const signature = Buffer.from(signer(Buffer.concat([Buffer.from(`${head}.`), body])));
  return Buffer.concat([Buffer.from(`${head}..${signature.toString("base64url")}\n`), body]);
}

function packed(bytes: Buffer, signer = device.signer): Buffer {
  return signed(bytes, { cty: "cairn-batch+json+zstd" }, signer);
}

/** A compact JWS over any payload. */
function compact(header: Record<string, unknown>, payload: unknown, { nodeId, signer } = device): string {
  const head = base64url(JSON.stringify({ alg: "ES256", typ: "eat+jwt", kid: nodeId, ...header }));
  const body = base64url(typeof payload === "string" ? payload : JSON.stringify(payload));
  return `${head}.${body}.${Buffer.from(signer(Buffer.from(`${head}.${body}`))).toString("base64url")}`;
}

function claimOf(token: Buffer, name: string): unknown {
  return JSON.parse(Buffer.from(token.toString().split(".")[1] ?? "", "base64url").toString())[name];
}

function column(fields: Record<string, unknown> = {}) {
  return { s: "a.b", u: "/", t: 1, d: [0], v: [1], ...fields };
}

/** The last byte is another. */
function changed(message: Buffer): Buffer {
  return damaged(message, message.length - 1, "flip", 0);
}

function damaged(message: Buffer, at: number, how: string, bit: number): Buffer {
  const [before, after] = [message.subarray(0, at), message.subarray(at)];
  if (how === "cut") return before;
  if (how === "double") return Buffer.concat([message, after]);
  if (how === "insert") return Buffer.concat([before, Buffer.of(bit + 0x41), after]);
  if (how === "remove") return Buffer.concat([before, after.subarray(1)]);
  return Buffer.concat([before, Buffer.of((message[at] ?? 0) ^ (1 << bit)), after.subarray(1)]);
}

/** What an accepted input says, without the bytes it said it in. */
function meaning(input: Input): unknown {
  if (input.kind === "batch") return input.payload;
  if (input.kind === "evidence") return { ...input, token: "" };
  return input;
}

test("the refusal of what the ledger cannot hold names the batch, so that its sender is told, and the cause in plain characters", () => {
  const input = unstorableInput(batchInput(device.nodeId, bootId(), { seq: 7 }), new Error("too \u0000 large\n"));
  assert.ok(input.kind === "refused" && input.batch?.sequence === 7);
  assert.equal(input.rejection.detail, "batch: the ledger cannot hold it: Error: too ? large?");
});
