/**
 * What the page knows, and how each answer and each live event changes it: one pure function. Answers and events may overtake
 * each other; the newer statement stays.
 */
import type {
  EpochRow,
  EpochsView,
  FleetView,
  LiveEvents,
  NetworkView,
  NodeRow,
  NodeView,
  ReadingsView,
  RejectionsView,
} from "@cairn/protocol";
import { type Columns, liveColumns, mergeColumns, storedColumns, trimmedColumns } from "./columns.ts";

/** Why something cannot be shown. `status` 0: no answer came at all. */
export type Problem = {
  readonly title: string;
  readonly detail: string;
  readonly status: number;
  readonly path: string;
};

export const topics = ["network", "fleet", "node", "readings", "epochs", "rejections"] as const;
export type Topic = (typeof topics)[number];

export type Live = {
  /** `live`: events come in. `reconnecting`: they stopped, and the page tries again by itself. */
  readonly link: "connecting" | "live" | "reconnecting";
  /** The coordinator's clock minus this machine's, ms: ages are counted by the clock that judges. */
  readonly clockSkewMs: number;
  readonly network: NetworkView | null;
  readonly fleet: FleetView | null;
  /** Newest first. */
  readonly epochs: readonly EpochRow[] | null;
  readonly rejections: RejectionsView | null;
  /** The node whose page is open, and how far back its plots go. */
  readonly nodeId: string | null;
  readonly rangeMs: number;
  readonly node: NodeView | null;
  readonly plots: Readonly<Record<string, Columns>>;
  readonly problems: Readonly<Partial<Record<Topic, Problem>>>;
};

export const nothingKnown: Live = {
  link: "connecting",
  clockSkewMs: 0,
  network: null,
  fleet: null,
  epochs: null,
  rejections: null,
  nodeId: null,
  rangeMs: 300_000,
  node: null,
  plots: {},
  problems: {},
};

export type Input =
  | { readonly kind: "link"; readonly link: Live["link"] }
  | { readonly kind: "visit"; readonly nodeId: string | null; readonly rangeMs: number }
  | { readonly kind: "network"; readonly view: NetworkView }
  /** `asked`: the answer to a request, which a later event may have overtaken. */
  | { readonly kind: "fleet"; readonly view: FleetView; readonly receivedAt: number; readonly asked: boolean }
  | { readonly kind: "row"; readonly row: NodeRow }
  | { readonly kind: "node"; readonly view: NodeView }
  | { readonly kind: "history"; readonly nodeId: string; readonly view: ReadingsView; readonly now: number }
  | { readonly kind: "readings"; readonly event: LiveEvents["readings"]; readonly now: number }
  | { readonly kind: "epochs"; readonly view: EpochsView }
  | { readonly kind: "epoch"; readonly row: EpochRow }
  | { readonly kind: "rejections"; readonly view: RejectionsView }
  | { readonly kind: "problem"; readonly topic: Topic; readonly problem: Problem };

export function advance(live: Live, input: Input): Live {
  switch (input.kind) {
    case "link":
      return { ...live, link: input.link };
    case "visit": {
      const problems = { ...live.problems };
      delete problems.node;
      delete problems.readings;
      const sameNode = live.nodeId === input.nodeId;
      const known = sameNode ? { node: live.node, plots: live.plots } : { node: null, plots: {} };
      return { ...live, ...known, problems, nodeId: input.nodeId, rangeMs: input.rangeMs };
    }
    case "network":
      return without({ ...live, network: input.view }, "network");
    case "fleet": {
      if (input.asked && live.fleet !== null && input.view.at < live.fleet.at) return live;
      const row = input.view.nodes.find(({ nodeId }) => nodeId === live.nodeId);
      const node = live.node !== null && row !== undefined ? { ...live.node, row } : live.node;
      const clockSkewMs = input.view.at - input.receivedAt;
      return without({ ...live, fleet: input.view, node, clockSkewMs }, "fleet");
    }
    case "row":
      return {
        ...live,
        fleet: live.fleet === null ? null : { ...live.fleet, nodes: withRow(live.fleet.nodes, input.row) },
        node: live.node?.row.nodeId === input.row.nodeId ? { ...live.node, row: input.row } : live.node,
      };
    case "node":
      return input.view.row.nodeId === live.nodeId ? without({ ...live, node: input.view }, "node") : live;
    case "history": {
      if (input.nodeId !== live.nodeId) return live;
      return without(withColumns(live, input.view.series, storedColumns(input.view), input.now), "readings");
    }
    case "readings": {
      if (input.event.nodeId !== live.nodeId) return live;
      const bySeries = Map.groupBy(input.event.series, ({ series }) => series);
      let next = live;
      for (const [series, readings] of bySeries) next = withColumns(next, series, liveColumns(readings), input.now);
      if (next.node !== null) {
        const newest = new Map(next.node.series.map((view) => [view.series, view]));
        for (const view of input.event.series) {
          if (view.at >= (newest.get(view.series)?.at ?? 0)) newest.set(view.series, view);
        }
        next = { ...next, node: { ...next.node, series: [...newest.values()] } };
      }
      return next;
    }
    case "epochs":
      return without({ ...live, epochs: newestFirst(input.view.epochs) }, "epochs");
    case "epoch":
      if (live.epochs === null) return live;
      return {
        ...live,
        epochs: newestFirst([input.row, ...live.epochs.filter(({ epoch }) => epoch !== input.row.epoch)]),
      };
    case "rejections":
      return without({ ...live, rejections: input.view }, "rejections");
    case "problem":
      return { ...live, problems: { ...live.problems, [input.topic]: input.problem } };
  }
}

/** Something arrived, so what was said about its absence no longer holds. */
function without(live: Live, topic: Topic): Live {
  if (live.problems[topic] === undefined) return live;
  const { [topic]: _solved, ...problems } = live.problems;
  return { ...live, problems };
}

function withRow(rows: readonly NodeRow[], row: NodeRow): NodeRow[] {
  const known = rows.some(({ nodeId }) => nodeId === row.nodeId);
  return known ? rows.map((old) => (old.nodeId === row.nodeId ? row : old)) : [...rows, row];
}

function withColumns(live: Live, series: string, columns: Columns, now: number): Live {
  const known = live.plots[series];
  const merged = known === undefined ? columns : mergeColumns(known, columns);
  return { ...live, plots: { ...live.plots, [series]: trimmedColumns(merged, now - live.rangeMs) } };
}

function newestFirst(rows: readonly EpochRow[]): EpochRow[] {
  return [...rows].sort((one, other) => other.epoch - one.epoch);
}
