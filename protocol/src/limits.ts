/** Limits that both ends of the wire hold. Bytes, counts and milliseconds. */
export const limits = {
  /** Largest MQTT payload that any party sends or takes, bytes. */
  messageBytes: 131_072,
  /** Largest unpacked batch payload, bytes: a small compressed message must not fill the memory. */
  inflatedBytes: 1_048_576,
  /** Readings in one batch. */
  batchReadings: 500,
  /** Series in one batch. */
  batchSeries: 128,
  /** Length of a series name, characters. */
  seriesName: 64,
  /** Evidence, beacon, birth, receipt and other small messages, bytes. */
  smallMessageBytes: 8_192,
  /** How far a connection token's time may lie from the coordinator's clock, ms. */
  credentialSkewMs: 600_000,
} as const;
