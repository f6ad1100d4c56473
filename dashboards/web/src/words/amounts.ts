/** Token amounts: decimal strings of the smallest unit on the wire, at most six significant digits on the page. */

/** The exact decimal number: ("1500", 3) is "1.5". */
export function exactAmount(smallest: string, decimals: number): string {
  const digits = smallest.padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, "");
  return fraction === "" ? whole : `${whole}.${fraction}`;
}

/** For reading: at most six significant digits, rounded to the nearest, from a million on in words ("1.23457 million"). */
export function readableAmount(smallest: string, decimals: number, locale: string): string {
  const exact = exactAmount(smallest, decimals) as Intl.StringNumericLiteral;
  const magnitude = Number(exact);
  if (magnitude > 0 && magnitude < 1e-6)
    return `< ${new Intl.NumberFormat(locale, { maximumFractionDigits: 6 }).format(1e-6)}`;
  const notation = magnitude >= 1e6 ? "compact" : "standard";
  return new Intl.NumberFormat(locale, { notation, compactDisplay: "long", maximumSignificantDigits: 6 }).format(exact);
}

/** The exact amount with the locale's separators, for a title. */
export function exactReadableAmount(smallest: string, decimals: number, locale: string): string {
  const exact = exactAmount(smallest, decimals) as Intl.StringNumericLiteral;
  return new Intl.NumberFormat(locale, { maximumFractionDigits: Math.min(decimals, 100) }).format(exact);
}

export function sumAmounts(amounts: Iterable<string>): string {
  let sum = 0n;
  for (const amount of amounts) sum += BigInt(amount);
  return sum.toString();
}
