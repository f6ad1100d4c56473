/** The slots of one node's epoch as a strip: each state has its own shape, so the strip reads without colour. */
import type { SlotState } from "@cairn/protocol";
import { memo } from "react";
import { usePage } from "../parts/page-context.ts";
import { localTime } from "../words/times.ts";
import { barSize, barsOf, countsInWords, scoreOf, stripWidth } from "./slots.ts";

const height = 16;
const legendOrder: readonly SlotState[] = ["credited", "answered", "open", "missed", "void", "ahead"];

type Properties = {
  readonly epoch: number;
  readonly slots: readonly SlotState[];
  readonly opensAt: number;
  readonly slotMs: number;
};

export const SlotStrip = memo(function SlotStrip({ epoch, slots, opensAt, slotMs }: Properties) {
  const { feed, locale, words } = usePage();
  const bars = barsOf(slots);
  const { width, gap } = barSize(bars.length);
  const inWords = (held: readonly SlotState[]): string =>
    countsInWords(held, (count, state) => words.strip.count(count, words.slots[state]));
  const titleOf = (first: number, held: readonly SlotState[]): string => {
    const from = localTime(opensAt + first * slotMs, feed.now(), locale, "second");
    const [only] = held;
    if (held.length === 1 && only !== undefined)
      return words.strip.slot(from, words.slots[only], words.slotMeanings[only]);
    return `${from}: ${inWords(held)}`;
  };
  const total = stripWidth(slots.length);
  return (
    <svg
      className="strip"
      width={total}
      height={height}
      viewBox={`0 0 ${total} ${height}`}
      role="img"
      aria-label={words.strip.label(epoch, inWords(slots))}
    >
      {bars.map((bar, index) => (
        <g key={bar.first} transform={`translate(${index * (width + gap)} 0)`} className={`slot is-${bar.state}`}>
          <title>{titleOf(bar.first, bar.slots)}</title>
          <SlotShape state={bar.state} width={width} />
        </g>
      ))}
    </svg>
  );
});

/** How much of the epoch counted so far: "4/5". */
export function Score({ slots }: { readonly slots: readonly SlotState[] }) {
  const { words } = usePage();
  const { credited, judged } = scoreOf(slots);
  return (
    <span className="score number" title={words.strip.scoreTitle(credited, judged)}>
      {words.strip.score(credited, judged)}
    </span>
  );
}

export function SlotLegend() {
  const { words } = usePage();
  return (
    <ul className="legend" aria-label={words.fleet.legend}>
      {legendOrder.map((state) => (
        <li key={state} title={words.slotMeanings[state]}>
          <svg
            width="10"
            height={height}
            viewBox={`0 0 10 ${height}`}
            aria-hidden="true"
            className={`slot is-${state}`}
          >
            <SlotShape state={state} width={10} />
          </svg>
          {words.slots[state]}
        </li>
      ))}
    </ul>
  );
}

/** credited: a full bar; answered: its lower half in a frame; open: the frame; missed: a bar without its middle; void: lines; ahead: a dash. */
function SlotShape({ state, width }: { readonly state: SlotState; readonly width: number }) {
  const frame = <rect className="frame" x="0.5" y="1.5" width={width - 1} height="13" />;
  // A transparent bar over the whole cell takes the pointer where the shape itself is thin.
  const target = <rect className="target" x="0" y="0" width={width} height={height} />;
  switch (state) {
    case "credited":
      return <rect className="body" x="0" y="1" width={width} height="14" />;
    case "answered":
      return (
        <>
          {target}
          {frame}
          <rect className="body" x="0" y="8" width={width} height="7" />
        </>
      );
    case "open":
      return (
        <>
          {target}
          {frame}
        </>
      );
    case "missed":
      return (
        <>
          {target}
          <rect className="body" x="0" y="1" width={width} height="4" />
          <rect className="body" x="0" y="11" width={width} height="4" />
        </>
      );
    case "void":
      return (
        <>
          {target}
          {[1, 5, 9, 13].map((y) => (
            <rect key={y} className="body" x="0" y={y} width={width} height="1.5" />
          ))}
        </>
      );
    case "ahead":
      return (
        <>
          {target}
          <rect className="body" x="0" y="7" width={width} height="2" />
        </>
      );
  }
}
