/**
 * Nothing that comes from outside makes the protocol throw or hang: every parser and every schema gets noise, bent messages and JSON as
 * nobody sane would write it, and answers with a value or with a code of the closed list. CAIRN_RANDOM_RUNS raises the number of runs.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import Type, { type TSchema } from "typebox";
import * as protocol from "../src/index.ts";
import { encodeDetached, encodeJws, parseDetached, parseJws } from "../src/jws.ts";
import { domain, newDevice, pemOf, verifierNamed } from "./parties.ts";

const runs = Number(process.env.CAIRN_RANDOM_RUNS ?? 150);
const longestMs = 2_000;

const coordinator = newDevice();
const { nodeId, publicKey, privateKey, sign } = newDevice();
const verifier = verifierNamed("first");
const boot = "9f3c1e07b5a84d62c0e1f7a9348bd25e" as protocol.BootId;
const now = 1_790_000_000_000;
const trust = { nodeId, coordinatorKey: coordinator.publicKey, domain, verifiers: [verifier.address] };

const jsonOf = (value: unknown) => Buffer.from(JSON.stringify(value));
const reading = { series: "a.b", unit: "V", at: now, value: 1.5, quality: "bad" } as const;
const manyReadings = Array.from({ length: 60 }, (_, index) => ({ ...reading, at: now + index, value: index / 3 }));
const dropped = [{ first: 1, last: 2, readings: 3, reason: "store-full" as const }];
const batches = [[], [reading], manyReadings].map((readings) =>
  protocol.encodeBatch({ boot, bootCount: 1, sequence: 3, dropped, readings }, nodeId, sign),
);
const batchPayload = {
  n: 1,
  dropped,
  series: [{ s: "a.b", u: "V", t: 5, d: [0, 1], v: [1, 2], q: [0, 2] }],
};
const claims: protocol.EvidenceClaims = {
  eat_profile: protocol.evidenceProfile,
  eat_nonce: "A".repeat(43),
  ueid: protocol.ueidOf(publicKey).toString("base64url"),
  iat: 1_790_000_000,
  uptime: 60,
  bootcount: 1,
  bootseed: "A".repeat(22),
  swname: "cairn-node",
  swversion: ["0.1.0"],
  location: { latitude: 52.5, longitude: 13.4, altitude: 34, age: 1 },
  cairn: { slot: 3, storedUpTo: 3 },
};
const beacon = { epoch: 1, slot: 3, nonce: `0x${"5a".repeat(32)}` as const, opensAt: now, closesAt: now + 60_000 };
const slots = { nodeId, epoch: 1, firstSlot: 0, slotCount: 4, credited: "0x0f", void: "0x00" } as const;
const beaconMessage = protocol.encodeBeacon(beacon, domain, verifier);
const slotMessage = protocol.encodeSlotReceipt(slots, domain, verifier);
const birth = { boot, bootCount: 1, software: "a/1", profile: "p", capabilities: ["sensor.host"], desiredVersion: 0 };
const storedClaims = { aud: nodeId, boot, upTo: 3, refused: { sequence: 4, code: "sequence-gap" } };
const connectClaims = { aud: "harbour", sub: nodeId, iat: now / 1_000 };
const descriptor = {
  network: "harbour",
  chainId: 1,
  rewards: verifier.address,
  verifiers: [verifier.address],
  coordinatorKey: pemOf(coordinator.publicKey),
  genesisAt: 0,
  slotMs: 60_000,
  slotsPerEpoch: 60,
};

/** One way into the protocol: what it reads, and messages that it takes. */
type Door = { readonly samples: readonly Buffer[]; read(bytes: Buffer): protocol.Result<unknown> };

const signedNothing = { signingInput: Buffer.alloc(0), signature: Buffer.alloc(64) };
const batchNames = { nodeId, boot, sequence: 3, ...signedNothing };
/** Puts a JSON payload into a JWS as its signer would: what is checked behind the signature is reached too. */
const signing = (header: Record<string, unknown>, bytes: Buffer, by = sign) => {
  const [head, , ...rest] = encodeJws(header, 0, by).split(".");
  const input = `${head}.${bytes.toString("base64url")}`;
  assert.equal(rest.length, 1);
  return Buffer.from(`${input}.${Buffer.from(by(Buffer.from(input))).toString("base64url")}`);
};
const connecting = (change: { clientId?: string; username?: string; password?: string }) => {
  const password = protocol.encodeCredential("harbour", nodeId, now, sign);
  return protocol.parseCredential({ clientId: nodeId, username: nodeId, password, ...change }, "harbour", now);
};

const doors: Record<string, Door> = {
  parseJson: { samples: [jsonOf(claims), jsonOf([1, "a", null])], read: (bytes) => protocol.parseJson(bytes, "it") },
  parseJws: {
    samples: [protocol.encodeEvidence(claims, nodeId, sign)],
    read: (bytes) => parseJws(bytes.toString("latin1")),
  },
  "parseJws, header": {
    samples: [jsonOf({ alg: "ES256" })],
    read: (bytes) => parseJws(`${bytes.toString("base64url")}.e30.AA`),
  },
  parseDetached: { samples: [...batches, encodeDetached({}, Buffer.alloc(0), sign)], read: parseDetached },
  parseBatchEnvelope: { samples: batches, read: protocol.parseBatchEnvelope },
  "parseBatchEnvelope, names": {
    samples: [jsonOf({ alg: "ES256", b64: false, crit: ["b64"], kid: nodeId, cty: "cairn-batch+json", boot, seq: 3 })],
    read: (bytes) => protocol.parseBatchEnvelope(Buffer.from(`${bytes.toString("base64url")}..${"A".repeat(86)}\n{}`)),
  },
  parseBatchPayload: {
    samples: [jsonOf(batchPayload)],
    read: (payload) => protocol.parseBatchPayload({ ...batchNames, compressed: false, payload }),
  },
  "parseBatchPayload, compressed": {
    samples: [zstdCompressSync(jsonOf(batchPayload)), zstdCompressSync(Buffer.alloc(4_000_000))],
    read: (payload) => protocol.parseBatchPayload({ ...batchNames, compressed: true, payload }),
  },
  parseEvidenceEnvelope: {
    samples: [protocol.encodeEvidence(claims, nodeId, sign)],
    read: protocol.parseEvidenceEnvelope,
  },
  parseEvidenceClaims: {
    samples: [jsonOf(claims)],
    read: (payload) => protocol.parseEvidenceClaims({ nodeId, payload, ...signedNothing }),
  },
  parseCredential: {
    samples: [Buffer.from(protocol.encodeCredential("harbour", nodeId, now, sign))],
    read: (bytes) => connecting({ password: bytes.toString() }),
  },
  "parseCredential, signed claims": {
    samples: [jsonOf(connectClaims)],
    read: (bytes) => connecting({ password: signing({ typ: "cairn-connect+jwt" }, bytes).toString() }),
  },
  "parseCredential, names": {
    samples: [Buffer.from(nodeId)],
    read: (bytes) => connecting({ username: bytes.toString(), clientId: bytes.toString() }),
  },
  parseBeacon: { samples: [beaconMessage], read: (bytes) => protocol.parseBeacon(bytes, domain, [verifier.address]) },
  parseReceipt: {
    samples: [
      slotMessage,
      protocol.encodeStorageReceipt({ nodeId, boot, upTo: 3 }, coordinator.sign),
      protocol.encodeStorageReceipt(
        { nodeId, boot, upTo: 3, refused: { sequence: 4, code: "sequence-gap" } },
        coordinator.sign,
      ),
    ],
    read: (bytes) => protocol.parseReceipt(bytes, trust),
  },
  "parseReceipt, signed claims": {
    samples: [jsonOf(storedClaims)],
    read: (bytes) => protocol.parseReceipt(signing({ typ: "cairn-stored+jwt" }, bytes, coordinator.sign), trust),
  },
  parseBirth: { samples: [jsonOf(birth)], read: protocol.parseBirth },
  parseDeath: { samples: [jsonOf({ boot })], read: protocol.parseDeath },
  parseCoordinatorState: { samples: [jsonOf({ online: true, at: now })], read: protocol.parseCoordinatorState },
  parseNetwork: { samples: [jsonOf(descriptor)], read: protocol.parseNetwork },
  parseDevicePublicKey: {
    samples: [Buffer.from(pemOf(publicKey)), privateKey.export({ format: "pem", type: "pkcs8" }) as Buffer],
    read(bytes) {
      const key = protocol.parseDevicePublicKey(bytes.toString("latin1"));
      if (key.ok) assert.ok(protocol.isNodeId(protocol.nodeIdOf(key.value)));
      return key;
    },
  },
};

/** JSON texts that are correct, or nearly, and that nobody expects. */
const oddities = [
  ...["1e400", "-1e400", "1e300", "-0", "0.1", "9007199254740993", "-9223372036854775809", `1${"0".repeat(400)}`],
  ...["null", "true", "{}", "[]", '""', "[null]", "[[]]", "NaN", "Infinity", "undefined", "01", "0x1", "'a'", ""],
  ...['"\\ud800"', '"\\udc00x"', '"\\u0000"', '"\\u202e"', '"\ud83d\ude80"', '"a\\nb"', '"\u2028"'],
  ...['{"__proto__":{"boot":1}}', '{"constructor":{"prototype":{}}}', '{"length":1,"0":0}', '{"toString":1}'],
  ...[`${"[".repeat(2_000)}${"]".repeat(2_000)}`, `${'{"a":'.repeat(2_000)}1${"}".repeat(2_000)}`],
  ...[JSON.stringify("x".repeat(5_000)), JSON.stringify(Array(600).fill(0)), JSON.stringify(Array(200).fill({}))],
];

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
const marker = "\u0001odd\u0001";

/** Every way to put the marker in the place of one member of a value, or beside its members. */
function placesIn(value: Json): Json[] {
  if (Array.isArray(value))
    return [
      marker,
      [...value, marker],
      ...value.flatMap((item, at) => placesIn(item).map((odd) => value.with(at, odd))),
    ];
  if (typeof value !== "object" || value === null) return [marker];
  const within = Object.entries(value).flatMap(([key, item]) =>
    placesIn(item).map((odd) => ({ ...value, [key]: odd })),
  );
  return [marker, { ...value, extra: marker }, ...within];
}

/** A sample with an oddity somewhere in it; undefined when the sample is not JSON. */
function oddly(sample: Buffer, place: number, oddity: string, key: string): Buffer | undefined {
  const json = protocol.parseJson(sample, "sample");
  if (!json.ok) return undefined;
  const places = placesIn(json.value as Json);
  const text = JSON.stringify(places[place % places.length]);
  return Buffer.from(text.replace(JSON.stringify(marker), () => oddity).replace('"extra"', () => key));
}

const keys = fc.constantFrom('"__proto__"', '"constructor"', '"\\u0000"', '"\\ud800"', '""', '"boot"', '"\\u001b[2J"');

type Bend = { kind: "flip" | "set" | "cut" | "double" | "insert" | "drop"; at: number; with: number };
const bends: fc.Arbitrary<Bend> = fc.record({
  kind: fc.constantFrom("flip", "set", "cut", "double", "insert", "drop"),
  at: fc.nat(),
  with: fc.nat({ max: 255 }),
});

function bent(sample: Buffer, { kind, at: place, with: byte }: Bend): Buffer {
  const at = sample.length === 0 ? 0 : place % sample.length;
  const copy = Buffer.from(sample);
  switch (kind) {
    case "flip":
      if (copy.length > 0) copy[at] = (copy[at] ?? 0) ^ (1 << (byte & 7));
      return copy;
    case "set":
      if (copy.length > 0) copy[at] = byte;
      return copy;
    case "cut":
      return copy.subarray(0, at);
    case "double":
      return Buffer.concat([copy.subarray(0, at), copy.subarray(at), copy.subarray(0, byte), copy]);
    case "insert":
      return Buffer.concat([copy.subarray(0, at), Buffer.alloc(1 + (byte & 15), byte), copy.subarray(at)]);
    case "drop":
      return Buffer.concat([copy.subarray(0, at), copy.subarray(at + 1 + (byte & 15))]);
  }
}

/** Everything that may come through a door: noise, its own messages bent, and its own messages with oddities. */
function inputsOf({ samples }: Door): fc.Arbitrary<Buffer> {
  const sample = fc.constantFrom(...samples);
  const noise = fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes));
  const text = fc.string({ unit: "binary", maxLength: 300 }).map((any) => Buffer.from(any));
  const json = fc.json().map((any) => Buffer.from(any));
  const bentOnes = fc
    .tuple(sample, fc.array(bends, { minLength: 1, maxLength: 4 }))
    .map(([good, steps]) => steps.reduce(bent, good));
  const odd = fc
    .tuple(sample, fc.nat(), fc.constantFrom(...oddities), keys)
    .map(([good, place, oddity, key]) => oddly(good, place, oddity, key) ?? Buffer.from(oddity));
  return fc.oneof(noise, text, json, { arbitrary: bentOnes, weight: 4 }, { arbitrary: odd, weight: 4 });
}

const codes: ReadonlySet<string> = new Set(protocol.rejectionCodes);

/** Reads with the clock running and looks at the answer. */
function judged<T>(read: () => protocol.Result<T>): protocol.Result<T> {
  const begun = performance.now();
  const result = read();
  const tookMs = performance.now() - begun;
  assert.ok(tookMs < longestMs, `took ${tookMs} ms`);
  if (!result.ok) {
    assert.ok(codes.has(result.rejection.code), result.rejection.code);
    assert.match(result.rejection.detail, /^[ -~]{1,300}$/);
  }
  return result;
}

for (const [name, door] of Object.entries(doors)) {
  test(`${name} takes every message that it is meant to take`, () => {
    for (const sample of door.samples) {
      const { ok } = judged(() => door.read(sample));
      const meant = !/header|compressed|PublicKey/.test(name) || sample === door.samples[0];
      assert.equal(ok, meant && !name.includes("header"));
    }
  });

  test(`${name} answers random and bent bytes with a value or a code, and in bounded time`, () => {
    fc.assert(
      fc.property(inputsOf(door), (bytes) => {
        judged(() => door.read(bytes));
      }),
      { numRuns: runs },
    );
  });

  test(`${name} is not held up by a message as large and as deep as a sender can make it`, () => {
    const size = protocol.limits.inflatedBytes;
    const deep = (open: string, close: string) => open.repeat(size / 8) + close.repeat(size / 8);
    for (const text of [
      deep("[", "]"),
      deep('{"a":', "}"),
      "[".repeat(size),
      `[${"0,".repeat(size / 2)}0]`,
      `[${"{},".repeat(size / 4)}0]`,
      `{${Array.from({ length: size / 16 }, (_, index) => `"k${index}":0`).join(",")}}`,
      `"${"a".repeat(size)}"`,
      `"${"a.".repeat(size / 2)}!"`,
      `"${"\\ud800".repeat(size / 8)}"`,
      "1".repeat(size),
      ".".repeat(size),
      "\n".repeat(size),
      `-----BEGIN PUBLIC KEY-----${"A".repeat(size)}`,
      `-----BEGIN PUBLIC KEY-----${" \n".repeat(size / 2)}-----END PUBLIC KEY`,
    ])
      judged(() => door.read(Buffer.from(text)));
  });
}

test("every parser that the package exports is among those that get random bytes", () => {
  // parseFromNode belongs to the topics and is tried below.
  const exported = Object.keys(protocol).filter((name) => /^parse/.test(name));
  assert.deepEqual(
    exported.filter((name) => !Object.hasOwn(doors, name)),
    [],
  );
});

const schemas = Object.entries<unknown>(protocol).filter((entry): entry is [string, TSchema] =>
  Type.IsSchema(entry[1]),
);
const samples: readonly Json[] = [
  batchPayload,
  claims,
  beacon,
  slots,
  birth,
  storedClaims,
  descriptor,
  { boot },
] as Json[];

test("every schema that the package exports judges any JSON value with a value or a code", () => {
  assert.ok(schemas.length > 20, `${schemas.length} schemas`);
  const values = fc.oneof(
    fc.jsonValue() as fc.Arbitrary<unknown>,
    fc
      .tuple(fc.constantFrom(...samples), fc.nat(), fc.constantFrom(...oddities), keys)
      .map(([sample, place, oddity, key]) =>
        protocol.parseJson(oddly(jsonOf(sample), place, oddity, key) ?? Buffer.alloc(0), "it"),
      )
      .map((parsed) => (parsed.ok ? parsed.value : null)),
  );
  const checks = schemas.map(([name, schema]) => protocol.checker(name, schema));
  fc.assert(
    fc.property(values, (value) => {
      for (const check of checks) {
        const result = judged(() => check(value));
        if (result.ok) assert.ok(check(JSON.parse(JSON.stringify(value))).ok, "what fits, fits again after a journey");
      }
    }),
    { numRuns: runs },
  );
});

test("a batch that is accepted holds readings that can be stored: finite numbers, whole times, known units", () => {
  const odd = fc
    .tuple(fc.nat(), fc.constantFrom(...oddities), keys)
    .map(([place, oddity, key]) => oddly(jsonOf(batchPayload), place, oddity, key) ?? Buffer.alloc(0));
  fc.assert(
    fc.property(odd, (payload) => {
      const parsed = protocol.parseBatchPayload({ ...batchNames, compressed: false, payload });
      if (!parsed.ok) return;
      for (const { at, value, unit, quality } of protocol.readingsOf(parsed.value)) {
        assert.ok(Number.isSafeInteger(at) && at >= 0);
        assert.ok(Number.isFinite(value));
        assert.ok(Object.hasOwn(protocol.units, unit) && protocol.qualities.includes(quality));
      }
    }),
    { numRuns: runs * 4 },
  );
});

test("topics, node ids and claims of any text are taken apart without an exception", () => {
  const topics = protocol.topicsOf("harbour");
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      for (const topic of [text, topics.node(nodeId, "batch") + text, `cairn/1/harbour/node/${text}`]) {
        topics.parseFromNode(topic);
        topics.mayNodeSubscribe(nodeId, topic);
        topics.isBeacon(topic);
      }
      protocol.isNodeId(text);
      assert.match(protocol.claimToNonce(text), /^0x([0-9a-f]{2})*$/);
    }),
    { numRuns: runs },
  );
});

test("no bytes offered as a signature throw, and none of them holds", () => {
  const offered = fc.oneof(fc.uint8Array({ minLength: 64, maxLength: 64 }), fc.uint8Array({ maxLength: 80 }));
  fc.assert(
    fc.property(offered, fc.uint8Array(), (signature, content) => {
      assert.equal(protocol.verifyEs256(publicKey, content, signature), false);
      const digest = protocol.keccak(content);
      for (const text of [
        protocol.hexOf(signature),
        protocol.hexOf(Buffer.concat([signature.subarray(0, 64), Buffer.of(27)])),
      ])
        assert.notEqual(protocol.recoverSigner(digest, text), verifier.address);
    }),
    { numRuns: runs },
  );
});
