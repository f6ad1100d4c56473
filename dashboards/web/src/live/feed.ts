/**
 * Keeps the page's knowledge fresh: one GET per thing that is shown, then server-sent events; nothing is polled. Details that
 * events do not carry (verdicts, rewards) are fetched again when an event says that they changed.
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
import type { Route } from "../route.ts";
import { ranges } from "../route.ts";
import { type Answer, get } from "./fetching.ts";
import { advance, type Input, type Live, nothingKnown, type Topic } from "./state.ts";

/** The part of an EventSource that is used. */
export type EventStream = Pick<EventSource, "addEventListener" | "close">;

/** The world as the feed sees it; tests hand in their own. */
export type World = {
  readonly fetch: typeof fetch;
  readonly open: (url: string) => EventStream;
  readonly now: () => number;
  readonly random: () => number;
  readonly setTimer: (run: () => void, ms: number) => unknown;
  readonly clearTimer: (timer: unknown) => void;
};

export type Feed = {
  readonly visit: (route: Route) => void;
  /** What to draw now; the same object until something changes. While paused, what was known then. */
  readonly shown: () => Live;
  readonly subscribe: (changed: () => void) => () => void;
  /** The coordinator's time, unix ms; stands still while paused. */
  readonly now: () => number;
  readonly paused: () => boolean;
  readonly pause: () => void;
  readonly resume: () => void;
  readonly retry: () => void;
};

const api = "/api/v1";
const epochLimit = 200;
/** The newest readings of a range that the coordinator gives at most. */
export const mostReadings = 10_000;
/** Only these have readings to be sent live; the coordinator refuses a stream for anything else. */
const nodeIdPattern = /^[0-9a-f]{40}$/;
const firstRetryMs = 1_000;
const longestRetryMs = 15_000;
/** `fleet` comes at every slot's begin: silence over several slots means that the stream is dead though nothing closed it. */
const silentSlots = 3;
const shortestSilenceMs = 20_000;

export function openFeed(world: World): Feed {
  let live: Live = nothingKnown;
  let pausedWith: { readonly live: Live; readonly at: number } | null = null;
  let route: Route = { page: "unknown", path: "" };
  let stream: EventStream | null = null;
  let streamUrl = "";
  let failures = 0;
  let fleetSeen = false;
  let retryTimer: unknown = null;
  let silenceTimer: unknown = null;
  const listeners = new Set<() => void>();
  const running = new Map<string, { again: boolean }>();
  const fetchedTo = new Map<string, number>();

  const tell = (): void => {
    for (const changed of listeners) changed();
  };

  const take = (input: Input): void => {
    live = advance(live, input);
    if (pausedWith === null) tell();
  };

  const clock = (): number => world.now() + live.clockSkewMs;

  /** One request per path at a time; a wish that comes meanwhile is granted once, afterwards. */
  const load = <T>(topic: Topic, key: string, path: () => string, input: (value: T) => Input): void => {
    const before = running.get(key);
    if (before !== undefined) {
      before.again = true;
      return;
    }
    const run = { again: false };
    running.set(key, run);
    void get<T>(world.fetch, path()).then((answer: Answer<T>) => {
      running.delete(key);
      if (answer.ok) take(input(answer.value));
      else if (topic !== "node" && topic !== "readings") take({ kind: "problem", topic, problem: answer.problem });
      else if (live.nodeId !== null && answer.problem.path.includes(nodePath(live.nodeId)))
        take({ kind: "problem", topic, problem: answer.problem });
      if (run.again) load(topic, key, path, input);
    });
  };

  const loadNetwork = (): void =>
    load<NetworkView>(
      "network",
      "network",
      () => `${api}/network`,
      (view) => ({ kind: "network", view }),
    );

  const loadFleet = (): void =>
    load<FleetView>(
      "fleet",
      "fleet",
      () => `${api}/fleet`,
      (view) => ({ kind: "fleet", view, receivedAt: world.now(), asked: true }),
    );

  const loadNode = (nodeId: string): void =>
    load<NodeView>(
      "node",
      nodeId,
      () => `${api}${nodePath(nodeId)}`,
      (view) => {
        if (live.nodeId === nodeId) {
          for (const { series } of view.series) if (!fetchedTo.has(series)) loadHistory(nodeId, series);
        }
        return { kind: "node", view };
      },
    );

  /** Fetches from the last fetched reading on: live events may carry the newest reading only. */
  const loadHistory = (nodeId: string, series: string): void => {
    const { rangeMs } = live;
    const path = (): string => {
      const to = Math.ceil(clock());
      const from = Math.floor(fetchedTo.get(series) ?? to - rangeMs);
      return `${api}${nodePath(nodeId)}/readings?${new URLSearchParams({ series, from: String(from), to: String(to), limit: String(mostReadings) })}`;
    };
    load<ReadingsView>("readings", `${nodeId} ${series} ${rangeMs}`, path, (view) => {
      const last = view.times.at(-1);
      if (last !== undefined && live.nodeId === nodeId && live.rangeMs === rangeMs) fetchedTo.set(series, last);
      return { kind: "history", nodeId, view, now: clock() };
    });
  };

  const loadPage = (): void => {
    if (live.network === null) loadNetwork();
    if (live.fleet === null) loadFleet();
    if (route.page === "node") loadNode(route.nodeId);
    if (route.page === "epochs") {
      load<EpochsView>(
        "epochs",
        "epochs",
        () => `${api}/epochs?limit=${epochLimit}`,
        (view) => ({ kind: "epochs", view }),
      );
    }
    if (route.page === "refused") {
      load<RejectionsView>(
        "rejections",
        "rejections",
        () => `${api}/rejections`,
        (view) => ({ kind: "rejections", view }),
      );
    }
  };

  /** Verdicts, rewards and refusals of the open node may be more than its row tells. */
  const refreshNode = (): void => {
    if (route.page === "node" && pausedWith === null) loadNode(route.nodeId);
  };

  const refreshHistory = (): void => {
    if (route.page !== "node" || pausedWith !== null) return;
    for (const { series } of live.node?.series ?? []) loadHistory(route.nodeId, series);
  };

  const on: { readonly [Name in keyof LiveEvents]: (data: LiveEvents[Name]) => void } = {
    fleet: (view) => {
      const resync = fleetSeen;
      fleetSeen = true;
      take({ kind: "fleet", view, receivedAt: world.now(), asked: false });
      if (!resync) return;
      refreshNode();
      refreshHistory();
    },
    node: (row: NodeRow) => {
      const before = live.node?.row;
      take({ kind: "row", row });
      if (before?.nodeId !== row.nodeId) return;
      const same =
        before.state === row.state &&
        before.rejections === row.rejections &&
        String(before.slots) === String(row.slots);
      if (!same) refreshNode();
    },
    epoch: (row: EpochRow) => {
      take({ kind: "epoch", row });
      // Readings that a node held back while it was cut off are older than the last ones fetched.
      if (row.state === "closed") fetchedTo.clear();
      refreshNode();
    },
    rejections: (view) => take({ kind: "rejections", view }),
    readings: (event) => take({ kind: "readings", event, now: clock() }),
  };

  const awaitSilence = (): void => {
    world.clearTimer(silenceTimer);
    const epoch = live.fleet?.epoch;
    const slotMs = epoch === undefined ? 0 : (epoch.closesAt - epoch.opensAt) / Math.max(1, epoch.slotCount);
    silenceTimer = world.setTimer(lost, Math.max(shortestSilenceMs, silentSlots * slotMs));
  };

  const lost = (): void => {
    stream?.close();
    stream = null;
    world.clearTimer(silenceTimer);
    world.clearTimer(retryTimer);
    take({ kind: "link", link: "reconnecting" });
    const ceiling = Math.min(longestRetryMs, firstRetryMs * 2 ** failures);
    failures += 1;
    retryTimer = world.setTimer(connect, ceiling * (0.5 + world.random() / 2));
  };

  const connect = (): void => {
    world.clearTimer(retryTimer);
    stream?.close();
    const opened = world.open(streamUrl);
    stream = opened;
    opened.addEventListener("open", () => {
      if (stream !== opened) return;
      const again = live.link === "reconnecting";
      failures = 0;
      take({ kind: "link", link: "live" });
      awaitSilence();
      if (again && pausedWith === null) loadPage();
    });
    opened.addEventListener("error", () => {
      if (stream === opened) lost();
    });
    for (const name of Object.keys(on) as (keyof LiveEvents)[]) {
      opened.addEventListener(name, (event) => {
        if (stream !== opened) return;
        (on[name] as (data: unknown) => void)(JSON.parse((event as MessageEvent<string>).data));
        awaitSilence();
      });
    }
  };

  const resume = (): void => {
    if (pausedWith === null) return;
    pausedWith = null;
    tell();
    refreshNode();
    refreshHistory();
  };

  return {
    visit: (next) => {
      const stays = placeOf(next) === placeOf(route);
      const rangeBefore = live.rangeMs;
      const nodeBefore = live.nodeId;
      route = next;
      const nodeId = next.page === "node" ? next.nodeId : null;
      const rangeMs = next.page === "node" ? ranges[next.range] : rangeBefore;
      if (nodeId !== nodeBefore || rangeMs !== rangeBefore) {
        fetchedTo.clear();
        take({ kind: "visit", nodeId, rangeMs });
      }
      if (stays) return;
      resume();
      const url = nodeId !== null && nodeIdPattern.test(nodeId) ? `${api}/events?node=${nodeId}` : `${api}/events`;
      if (url !== streamUrl) {
        streamUrl = url;
        fleetSeen = false;
        connect();
      }
      loadPage();
    },
    shown: () => pausedWith?.live ?? live,
    subscribe: (changed) => {
      listeners.add(changed);
      return () => listeners.delete(changed);
    },
    now: () => pausedWith?.at ?? clock(),
    paused: () => pausedWith !== null,
    pause: () => {
      pausedWith = { live, at: clock() };
      tell();
    },
    resume,
    retry: () => {
      loadPage();
      if (live.link === "reconnecting") connect();
    },
  };
}

/** What a route needs from the coordinator; searching or opening a row needs nothing new. */
function placeOf(route: Route): string {
  return route.page === "node" ? `node ${route.nodeId} ${route.range}` : route.page;
}

function nodePath(nodeId: string): string {
  return `/nodes/${encodeURIComponent(nodeId)}`;
}
