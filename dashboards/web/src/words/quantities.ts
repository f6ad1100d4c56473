/** Values with their units as a person reads them. On the wire a value is always in its SenML unit, never scaled. */

export type Shown = { readonly factor: number; readonly label: string };

const plain: Readonly<Record<string, Shown>> = {
  "/": { factor: 100, label: "%" },
  "%RH": { factor: 1, label: "% RH" },
  Cel: { factor: 1, label: "°C" },
  deg: { factor: 1, label: "°" },
  lat: { factor: 1, label: "°" },
  lon: { factor: 1, label: "°" },
  count: { factor: 1, label: "" },
};

const prefixed = new Set(["B", "bit/s", "Hz", "W", "Pa"]);
const prefixes = [
  { from: 1e12, prefix: "T" },
  { from: 1e9, prefix: "G" },
  { from: 1e6, prefix: "M" },
  { from: 1e3, prefix: "k" },
] as const;

/** The unit in which values up to `largest` (absolute) are shown: a factor to multiply by, and its label. */
export function shownUnit(unit: string, largest: number): Shown {
  if (unit === "Pa" && largest >= 10_000) return { factor: 0.01, label: "hPa" };
  const scale = prefixed.has(unit) ? prefixes.find(({ from }) => largest >= from) : undefined;
  if (scale !== undefined) return { factor: 1 / scale.from, label: `${scale.prefix}${unit}` };
  return plain[unit] ?? { factor: 1, label: unit };
}

/** A measured number: as many digits as help to read it. Positions keep six decimals (about 0.1 m). */
export function readableValue(value: number, unit: string, locale: string): string {
  const position = unit === "lat" || unit === "lon";
  const size = Math.abs(value);
  const decimals = position ? 6 : size >= 1_000 ? 0 : size >= 100 ? 1 : size >= 1 || size === 0 ? 2 : 4;
  return new Intl.NumberFormat(locale, { maximumFractionDigits: decimals }).format(value);
}

/** "24.31 °C" */
export function readableQuantity(value: number, unit: string, locale: string): string {
  const shown = shownUnit(unit, Math.abs(value));
  const number = readableValue(value * shown.factor, unit, locale);
  return shown.label === "" ? number : `${number} ${shown.label}`;
}
