/** Times and ages in words. Every function takes the time of "now" and the locale. */

const formats = new Map<string, Intl.DateTimeFormat>();

function format(locale: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${locale} ${JSON.stringify(options)}`;
  const known = formats.get(key) ?? new Intl.DateTimeFormat(locale, options);
  formats.set(key, known);
  return known;
}

function sameDay(one: number, other: number): boolean {
  return new Date(one).toDateString() === new Date(other).toDateString();
}

export type Precision = "minute" | "second";

/** Local time of day; with the day when it is not the day of `now`. */
export function localTime(at: number, now: number, locale: string, precision: Precision): string {
  const seconds: Intl.DateTimeFormatOptions = precision === "second" ? { second: "2-digit" } : {};
  const day: Intl.DateTimeFormatOptions = sameDay(at, now) ? {} : { day: "numeric", month: "short" };
  return format(locale, { ...day, hour: "2-digit", minute: "2-digit", ...seconds, hourCycle: "h23" }).format(at);
}

/** "2026-03-01 14:02:11 UTC", for a title. */
export function utcTime(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** A span as one number and its unit, whole units, never rounded up: 119 s is 1 min. */
export type Span = { readonly count: number; readonly unit: "s" | "min" | "h" | "d" };

export function spanOf(ms: number): Span {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 60) return { count: seconds, unit: "s" };
  if (seconds < 3_600) return { count: Math.floor(seconds / 60), unit: "min" };
  if (seconds < 86_400) return { count: Math.floor(seconds / 3_600), unit: "h" };
  return { count: Math.floor(seconds / 86_400), unit: "d" };
}

/** A span in its two largest units: "3 min 12 s", "2 d 4 h". */
export function spansOf(ms: number): readonly Span[] {
  const first = spanOf(ms);
  const size = { s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 }[first.unit];
  const rest = spanOf(Math.max(0, ms) - first.count * size);
  const smaller = { s: "", min: "s", h: "min", d: "h" }[first.unit];
  return rest.count > 0 && rest.unit === smaller ? [first, rest] : [first];
}
