/**
 * The packets of MQTT 3.1.1 that a node needs, framed by hand: the packet library of the house costs 4 KB per connection and keeps a
 * buffer for every payload length it ever saw, which for 15,000 nodes in one process is more than their sockets.
 */

export const packetType = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  subscribe: 8,
  suback: 9,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
} as const;

/** A packet as it came: the first byte holds type and flags. `body` is only good until the handler returns. */
export type PacketHandler = (first: number, body: Buffer) => void;

export type Will = { readonly topic: string; readonly payload: string };

export type Publish = {
  readonly topic: string;
  readonly qos: 0 | 1;
  readonly packetId: number;
  readonly retain: boolean;
  /** Good until the handler of its packet returns. */
  readonly payload: Buffer;
};

/** Bytes of a packet that anyone is asked to hold. A broker that announces more is not one of ours. */
const largestPacket = 268_435_455;
const sanePacket = 1_048_576;

export function connectPacket(
  clientId: string,
  username: string,
  password: string,
  keepaliveSeconds: number,
  will: Will,
): Buffer {
  // User name, password, will at QoS 1 not retained, clean session (section 3.1.2.3).
  const flags = 0b1100_1110;
  return packet(
    packetType.connect << 4,
    text("MQTT"),
    Buffer.of(4, flags, keepaliveSeconds >> 8, keepaliveSeconds & 0xff),
    text(clientId),
    text(will.topic),
    text(will.payload),
    text(username),
    text(password),
  );
}

/** At QoS 0, as nodes do: what they are told is retained or said again. */
export function subscribePacket(packetId: number, filters: readonly string[]): Buffer {
  const parts = filters.flatMap((filter) => [text(filter), Buffer.of(0)]);
  return packet((packetType.subscribe << 4) | 2, number16(packetId), ...parts);
}

/** QoS 1. */
export function publishPacket(topic: string, packetId: number, payload: Uint8Array | string, retain = false): Buffer {
  const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
  return packet((packetType.publish << 4) | 2 | (retain ? 1 : 0), text(topic), number16(packetId), bytes);
}

export function pubackPacket(packetId: number): Buffer {
  return Buffer.of(packetType.puback << 4, 2, packetId >> 8, packetId & 0xff);
}

export const pingPacket = Buffer.of(packetType.pingreq << 4, 0);
export const disconnectPacket = Buffer.of(packetType.disconnect << 4, 0);

/** First byte, remaining length (section 2.2.3), body. */
export function packet(first: number, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (length > largestPacket) throw new RangeError(`an MQTT packet of ${length} bytes`);
  const head = [first];
  for (let rest = length; ; rest >>= 7) {
    head.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    if (rest <= 0x7f) break;
  }
  const bytes = Buffer.allocUnsafe(head.length + length);
  let at = 0;
  for (const part of [head, ...parts]) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.allocUnsafe(2 + Buffer.byteLength(value));
  bytes.writeUInt16BE(bytes.length - 2);
  bytes.write(value, 2);
  return bytes;
}

function number16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff);
}

/** Takes apart a PUBLISH; undefined when it is not one of QoS 0 or 1. */
export function parsePublish(first: number, body: Buffer): Publish | undefined {
  const qos = (first >> 1) & 3;
  if (qos > 1 || body.length < 2) return undefined;
  const topicEnd = 2 + body.readUInt16BE(0);
  const payloadAt = topicEnd + (qos > 0 ? 2 : 0);
  if (body.length < payloadAt) return undefined;
  return {
    topic: body.toString("latin1", 2, topicEnd),
    qos: qos === 1 ? 1 : 0,
    packetId: qos === 1 ? body.readUInt16BE(topicEnd) : 0,
    retain: (first & 1) === 1,
    payload: body.subarray(payloadAt),
  };
}

/**
 * Hands on every complete packet of `pending` and `chunk`; returns a copy of the bytes left over, undefined for none. Throws RangeError
 * for a length that is none, or that nobody means.
 */
export function takePackets(pending: Buffer | undefined, chunk: Buffer, handle: PacketHandler): Buffer | undefined {
  const bytes = pending ? Buffer.concat([pending, chunk]) : chunk;
  let at = 0;
  for (;;) {
    let body = at + 1;
    let length = 0;
    let complete = false;
    for (let shift = 0; body < bytes.length && !complete; shift += 7) {
      if (shift > 21) throw new RangeError("a remaining length of more than four bytes");
      const byte = bytes[body] ?? 0;
      length += (byte & 0x7f) * 2 ** shift;
      complete = byte < 0x80;
      body += 1;
    }
    if (complete && length > sanePacket) throw new RangeError(`an MQTT packet of ${length} bytes was announced`);
    if (!complete || bytes.length < body + length)
      return at === bytes.length ? undefined : Buffer.from(bytes.subarray(at));
    handle(bytes[at] ?? 0, bytes.subarray(body, body + length));
    at = body + length;
  }
}
