/** Times: local as text, UTC in the title; ages tick. */
import { localTime, type Precision, spanOf, spansOf, utcTime } from "../words/times.ts";
import { useNow, usePage } from "./page-context.ts";

export function Moment({ at, precision = "second" }: { readonly at: number; readonly precision?: Precision }) {
  const { feed, locale } = usePage();
  return (
    <time dateTime={new Date(at).toISOString()} title={utcTime(at)}>
      {localTime(at, feed.now(), locale, precision)}
    </time>
  );
}

/** "12 s ago". */
export function Age({ at }: { readonly at: number | null }) {
  const { words } = usePage();
  const now = useNow(1_000);
  if (at === null) return <span className="quiet">{words.never}</span>;
  const span = spanOf(now + 999 - at);
  const age = span.unit === "s" && span.count < 2 ? words.justNow : words.ago(words.spans(span));
  return (
    <time className="age" dateTime={new Date(at).toISOString()} title={utcTime(at)}>
      {age}
    </time>
  );
}

/** What is left until `at`, in words, or null when it is over. */
export function useRest(at: number): string | null {
  const { words } = usePage();
  const now = useNow(1_000);
  return at <= now
    ? null
    : spansOf(at - now)
        .map(words.spans)
        .join(" ");
}

export function Duration({ ms }: { readonly ms: number }) {
  const { words } = usePage();
  return <span>{spansOf(ms).map(words.spans).join(" ")}</span>;
}
