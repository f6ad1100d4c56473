/** A token amount: at most six significant digits, the exact one in the title. */
import { exactReadableAmount, readableAmount } from "../words/amounts.ts";
import { useLive, usePage } from "./page-context.ts";

export function Amount({ smallest }: { readonly smallest: string }) {
  const { locale } = usePage();
  const token = useLive().network?.token;
  if (token === undefined) return <span className="quiet">…</span>;
  const exact = `${exactReadableAmount(smallest, token.decimals, locale)} ${token.symbol}`;
  return (
    <span className="number" title={exact}>
      {readableAmount(smallest, token.decimals, locale)}
    </span>
  );
}

export function Count({ value, digits = 0 }: { readonly value: number; readonly digits?: number }) {
  const { locale } = usePage();
  return (
    <span className="number">{new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(value)}</span>
  );
}
