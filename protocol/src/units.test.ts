import assert from "node:assert/strict";
import { test } from "node:test";
import { unitNames, units } from "./units.ts";

/** Symbols of the SenML units registry: RFC 8428 section 12.1 and RFC 8798 section 3. */
const registered = new Set([
  ...["m", "kg", "g", "s", "A", "K", "cd", "mol", "Hz", "rad", "sr", "N", "Pa", "J", "W", "C", "F", "V", "Ohm", "S"],
  ...["Wb", "T", "H", "Cel", "lm", "lx", "Bq", "Gy", "Sv", "kat", "m2", "m3", "l", "m/s", "m/s2", "m3/s", "l/s"],
  ...["W/m2", "cd/m2", "bit", "bit/s", "lat", "lon", "pH", "dB", "dBW", "Bspl", "count", "/", "%", "%RH", "%EL", "EL"],
  ...["1/s", "1/min", "beat/min", "beats", "S/m", "B", "VA", "VAs", "var", "vars", "J/m", "kg/m3", "deg", "NTU"],
]);

test("every unit of a reading has its symbol of the SenML registry", () => {
  for (const unit of unitNames) assert.ok(registered.has(unit), unit);
});

test("every unit is explained in words", () => {
  for (const unit of unitNames) assert.match(units[unit], /^\S.{2,}/);
});
