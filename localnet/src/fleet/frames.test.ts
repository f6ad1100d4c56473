import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  connectPacket,
  packet,
  packetType,
  parsePublish,
  publishPacket,
  subscribePacket,
  takePackets,
} from "./frames.ts";

test("packets come out whole however the stream is cut", () => {
  const fields = {
    topic: fc.string({ unit: "grapheme-ascii", maxLength: 40 }),
    id: fc.integer({ min: 1, max: 65_535 }),
    payload: fc.uint8Array({ maxLength: 20_000 }),
    retain: fc.boolean(),
  };
  const message = fc.record(fields, { noNullPrototype: true });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 6 }), fc.array(fc.integer({ min: 1, max: 9_000 })), (messages, cuts) => {
      let stream = Buffer.concat(
        messages.map(({ topic, id, payload, retain }) => publishPacket(topic, id, payload, retain)),
      );
      const seen: unknown[] = [];
      let pending: Buffer | undefined;
      for (const cut of [...cuts, stream.length]) {
        // As from a socket that reads into the same bytes again and again.
        const chunk = Buffer.from(stream.subarray(0, cut));
        stream = stream.subarray(cut);
        pending = takePackets(pending, chunk, (first, body) => {
          const publish = parsePublish(first, body);
          assert.ok(publish);
          const { topic, packetId: id, retain } = publish;
          seen.push({ topic, id, payload: new Uint8Array(publish.payload), retain });
        });
        chunk.fill(0xff);
      }
      assert.equal(pending, undefined);
      assert.deepEqual(seen, messages);
    }),
  );
});

test("a packet that announces more than a megabyte, or a length of five bytes, is refused before it comes", () => {
  const none = () => assert.fail("a packet came");
  assert.throws(() => takePackets(undefined, Buffer.of(0x30, 0x81, 0x80, 0x40), none), /1048577 bytes was announced/);
  assert.throws(() => takePackets(undefined, Buffer.of(0x30, 0x80, 0x80, 0x80, 0x80, 1), none), /more than four bytes/);
  assert.equal(takePackets(undefined, Buffer.of(0x30, 0x80, 0x80), none)?.length, 3);
});

test("lengths take one to three bytes as MQTT 3.1.1 section 2.2.3 has it", () => {
  for (const [length, head] of [
    [0, "e000"],
    [127, "e07f"],
    [128, "e08001"],
    [16_383, "e0ff7f"],
    [16_384, "e0808001"],
  ] as const)
    assert.equal(packet(packetType.disconnect << 4, Buffer.alloc(length)).toString("hex", 0, head.length / 2), head);
});

test("CONNECT and SUBSCRIBE have the bytes of MQTT 3.1.1 sections 3.1 and 3.8", () => {
  const connect = connectPacket("c", "u", "p", 15, { topic: "w", payload: "m" });
  assert.equal(connect.toString("hex"), "101900044d51545404ce000f0001630001770001" + "6d0001750001" + "70");
  assert.equal(subscribePacket(258, ["a/b"]).toString("hex"), "820801020003612f6200");
});
