/** The few packets of MQTT 3.1.1 that the loads of benchmarks send and read: a full client would use up the core that is measured. */

export const publishAtQos1 = 0x32;
const subscribeFirst = 0x82;
export const packetTypes = { connack: 2, publish: 3, puback: 4, suback: 9 } as const;

/** First byte with type and flags, remaining length (section 2.2.3), body. */
export function packet(first: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length: number[] = [];
  let rest = body.length;
  do {
    length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.of(first, ...length), body]);
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes]);
}

/** Clean session, keep-alive of an hour: nobody pings while something is measured. */
export function connectPacket(clientId: string, username: string, password: string): Buffer {
  return packet(
    0x10,
    text("MQTT"),
    Buffer.of(4, 0b1100_0010, 0x0e, 0x10),
    text(clientId),
    text(username),
    text(password),
  );
}

/** At QoS 0, as nodes do. */
export function subscribePacket(...filters: readonly string[]): Buffer {
  return packet(subscribeFirst, Buffer.of(0, 1), ...filters.flatMap((filter) => [text(filter), Buffer.of(0)]));
}

/** Hands on every complete packet, which is good until `handle` returns; returns the bytes left over. */
export function takePackets(
  pending: Buffer | undefined,
  chunk: Buffer,
  handle: (first: number, body: Buffer) => void,
): Buffer | undefined {
  let bytes = pending ? Buffer.concat([pending, chunk]) : chunk;
  for (;;) {
    let length = 0;
    let at = 1;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at];
      if (byte === undefined) return bytes.length > 0 ? Buffer.from(bytes) : undefined;
      at += 1;
      length += (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if (bytes.length < at + length) return Buffer.from(bytes);
    handle(bytes[0] ?? 0, bytes.subarray(at, at + length));
    bytes = bytes.subarray(at + length);
  }
}
