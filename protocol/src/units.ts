/**
 * Units of readings: names of the SenML registry (RFC 8428 section 12.1), which are SI or derived from it.
 * Values are always in the unit itself, never scaled.
 */
export const units = {
  "/": "ratio, 1 is all",
  A: "ampere",
  B: "byte",
  Cel: "degree Celsius",
  Hz: "hertz",
  K: "kelvin",
  Pa: "pascal",
  V: "volt",
  W: "watt",
  "bit/s": "bit per second",
  count: "count",
  dB: "decibel",
  deg: "degree of angle (RFC 8798)",
  lat: "degree of latitude, WGS 84",
  lon: "degree of longitude, WGS 84",
  lx: "lux",
  m: "metre",
  "m/s": "metre per second",
  "%RH": "relative humidity, percent",
  s: "second",
} as const;

export type Unit = keyof typeof units;
export const unitNames = Object.keys(units) as readonly Unit[];
