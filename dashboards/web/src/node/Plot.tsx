/** One series over time: gaps stay gaps, bad spans are hatched, and the number under the cursor is read out above. */
import { useEffect, useMemo, useRef, useState } from "react";
import UPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { SeriesView } from "@cairn/protocol";
import { type Columns, drawingOf } from "../live/columns.ts";
import { mostReadings } from "../live/feed.ts";
import { Age, Moment } from "../parts/Moment.tsx";
import { useNow, usePage } from "../parts/page-context.ts";
import { type Range, ranges } from "../route.ts";
import { readableQuantity, readableValue, shownUnit } from "../words/quantities.ts";
import { localTime } from "../words/times.ts";

const plotHeight = 112;
/** The plot moves on by about this share of its width at a time. */
const stepsPerWidth = 300;

type Properties = {
  readonly newest: SeriesView;
  readonly columns: Columns | undefined;
  readonly range: Range;
  readonly slotMs: number;
};
type Under = { readonly at: number; readonly value: number | null };

export function Plot({ newest, columns, range, slotMs }: Properties) {
  const { locale, words } = usePage();
  const [under, setUnder] = useState<Under | null>(null);
  const drawing = useMemo(() => drawingOf(columns ?? nothing, slotMs), [columns, slotMs]);
  const step = Math.max(1_000, ranges[range] / stepsPerWidth);
  const until = useNow(step) + step;
  const largest = useMemo(
    () => drawing.line.reduce<number>((most, value) => Math.max(most, Math.abs(value ?? 0)), 0),
    [drawing],
  );
  const unit = shownUnit(newest.unit, largest).label;
  const empty = columns !== undefined && (columns.times.at(-1) ?? 0) < until - ranges[range];
  return (
    <figure className="plot" data-series={newest.series}>
      <figcaption>
        <code className="series">{newest.series}</code>
        <span className="value number">
          {under === null
            ? readableQuantity(newest.value, newest.unit, locale)
            : under.value === null
              ? "–"
              : readableQuantity(under.value, newest.unit, locale)}
        </span>
        <span className="quiet when">
          {under === null ? <Age at={newest.at} /> : <Moment at={under.at} />}
          {under === null && newest.quality !== "good"
            ? `, ${words.qualities[newest.quality] ?? newest.quality}`
            : null}
        </span>
      </figcaption>
      <Canvas
        drawing={drawing}
        unit={newest.unit}
        largest={largest}
        from={until - ranges[range]}
        until={until}
        label={words.node.plotLabel(newest.series, unit, words.node.ranges[range])}
        onCursor={setUnder}
      />
      {columns !== undefined && columns.times.length >= mostReadings ? (
        <p className="quiet plot-note">{words.node.newestOnly(new Intl.NumberFormat(locale).format(mostReadings))}</p>
      ) : null}
      {empty ? <p className="quiet plot-empty">{words.node.nothingInRange}</p> : null}
    </figure>
  );
}

const nothing: Columns = { unit: "", times: [], values: [], qualities: [], storedTo: 0 };

type CanvasProperties = {
  readonly drawing: ReturnType<typeof drawingOf>;
  readonly unit: string;
  readonly largest: number;
  readonly from: number;
  readonly until: number;
  readonly label: string;
  readonly onCursor: (under: Under | null) => void;
};

function Canvas({ drawing, unit, largest, from, until, label, onCursor }: CanvasProperties) {
  const { locale } = usePage();
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  // What the drawing functions of the plot read; they run long after the render that made them.
  const now = useRef({ drawing, unit, largest, from, until });
  now.current = { drawing, unit, largest, from, until };
  const [theme, setTheme] = useState(0);

  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const changed = (): void => setTheme((count) => count + 1);
    dark.addEventListener("change", changed);
    return () => dark.removeEventListener("change", changed);
  }, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `theme` counts changes of the colours, which are read anew here
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const colours = coloursOf(element);
    const font = `12px ${getComputedStyle(element).fontFamily}`;
    const axis = { stroke: colours.quiet, font, ticks: { show: false }, grid: { stroke: colours.line, width: 1 } };
    const made = new UPlot(
      {
        width: element.clientWidth,
        height: plotHeight,
        ms: 1,
        padding: [8, 18, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, sync: { key: "readings" }, points: { size: 7 } },
        scales: { x: { time: true, range: () => [now.current.from, now.current.until] } },
        axes: [
          {
            ...axis,
            size: 26,
            space: 48,
            values: (_, splits, _axis, _space, step) => splits.map((at) => tickTime(at, step, locale)),
          },
          {
            ...axis,
            space: 24,
            gap: 6,
            // The same for every plot, so that the times of plots in one column stand below each other.
            size: 72,
            values: (_, splits) => tickValues(splits, now.current.unit, now.current.largest, locale),
          },
        ],
        series: [{}, { stroke: colours.accent, width: 1.5, spanGaps: false, points: { size: 4 } }],
        hooks: {
          drawAxes: [(self) => hatch(self, now.current.drawing.bad, colours.quiet)],
          setCursor: [
            (self) => {
              const index = self.cursor.idx;
              const at = index === null || index === undefined ? undefined : now.current.drawing.times[index];
              const inside = (self.cursor.left ?? -1) >= 0;
              if (index === null || index === undefined || at === undefined || !inside) onCursor(null);
              else onCursor({ at, value: now.current.drawing.line[index] ?? null });
            },
          ],
        },
      },
      dataOf(now.current.drawing),
      element,
    );
    plot.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: plotHeight }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [theme, locale, onCursor]);

  useEffect(() => {
    plot.current?.setData(dataOf(drawing));
  }, [drawing]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the plot reads both bounds from `now` when its scales are set
  useEffect(() => {
    plot.current?.setData(plot.current.data);
  }, [from, until]);

  return <div ref={place} className="plot-canvas" role="img" aria-label={label} />;
}

function dataOf(drawing: ReturnType<typeof drawingOf>): UPlot.AlignedData {
  return [[...drawing.times], [...drawing.line]];
}

function tickTime(at: number, step: number, locale: string): string {
  return localTime(at, at, locale, step < 60_000 ? "second" : "minute");
}

/** The unit stands with the topmost number. */
function tickValues(splits: readonly number[], unit: string, largest: number, locale: string): string[] {
  const shown = shownUnit(unit, largest);
  return splits.map((value, index) => {
    const number = readableValue(value * shown.factor, unit, locale);
    return index === splits.length - 1 && shown.label !== "" ? `${number} ${shown.label}` : number;
  });
}

function coloursOf(element: Element): { readonly accent: string; readonly quiet: string; readonly line: string } {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  return { accent: colour("--accent"), quiet: colour("--quiet"), line: colour("--line") };
}

function hatch(plot: UPlot, spans: readonly (readonly [number, number])[], colour: string): void {
  const { ctx, bbox } = plot;
  const spacing = 6 * devicePixelRatio;
  for (const [from, to] of spans) {
    const left = Math.max(bbox.left, plot.valToPos(from, "x", true));
    const right = Math.min(bbox.left + bbox.width, plot.valToPos(to, "x", true));
    if (right <= left) continue;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, bbox.top, right - left, bbox.height);
    ctx.clip();
    ctx.strokeStyle = colour;
    ctx.globalAlpha = 0.5;
    ctx.beginPath();
    for (let x = left - bbox.height; x < right; x += spacing) {
      ctx.moveTo(x, bbox.top + bbox.height);
      ctx.lineTo(x + bbox.height, bbox.top);
    }
    ctx.stroke();
    ctx.restore();
  }
}
