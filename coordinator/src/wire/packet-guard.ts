/**
 * Watches the framing of an MQTT byte stream (MQTT 3.1.1 section 2.2) and says at once when a packet announces more bytes than are
 * allowed, before anyone buffers them.
 */
export function createPacketGuard(limitBytes: number): { excess(chunk: Uint8Array): number } {
  let toSkip = 0;
  let inLength = false;
  let length = 0;
  let shift = 0;
  return {
    /** Returns the announced size of the first packet in the chunk that is over the limit, 0 when there is none. */
    excess(chunk) {
      let at = 0;
      while (at < chunk.length) {
        if (toSkip > 0) {
          const skipped = Math.min(toSkip, chunk.length - at);
          toSkip -= skipped;
          at += skipped;
        } else if (!inLength) {
          inLength = true;
          length = 0;
          shift = 0;
          at += 1;
        } else {
          const byte = chunk[at] ?? 0;
          at += 1;
          length += (byte & 0x7f) * 2 ** shift;
          shift += 7;
          if (byte < 0x80 || shift > 21) {
            inLength = false;
            if (length > limitBytes) return length;
            toSkip = length;
          }
        }
      }
      return 0;
    },
  };
}
