import assert from "node:assert/strict";
import { test } from "node:test";
import { type Script, valley } from "../../testing/script.ts";
import { pages } from "../route.ts";
import { type Feed, openFeed } from "./feed.ts";

const startedAt = Date.UTC(2026, 2, 1, 12, 0, 0);

/** A browser without a browser: streams that the test drives, requests that it counts, timers that it fires. */
function workshop() {
  const script: Script = valley(startedAt);
  const asked: string[] = [];
  const streams: { url: string; closed: boolean; on: Map<string, (event: { data: string }) => void> }[] = [];
  const timers = new Map<number, { run: () => void; ms: number }>();
  let timerCount = 0;
  let failing: { status: number; body: unknown } | null = null;

  const bodyOf = (path: string, query: URLSearchParams): unknown => {
    if (path.endsWith("/readings"))
      return script.readings("", query.get("series") ?? "", Number(query.get("from")), Number(query.get("to")));
    if (path.startsWith("/api/v1/nodes/")) return script.nodes.get(path.slice("/api/v1/nodes/".length));
    if (path === "/api/v1/epochs") return { epochs: script.epochs };
    return {
      "/api/v1/network": script.network,
      "/api/v1/fleet": script.fleet,
      "/api/v1/rejections": script.rejections,
    }[path];
  };
  const feed: Feed = openFeed({
    fetch: async (input) => {
      const url = new URL(String(input), "http://page");
      asked.push(url.pathname.replace("/api/v1", ""));
      if (failing !== null) return Response.json(failing.body, { status: failing.status });
      return Response.json(bodyOf(url.pathname, url.searchParams));
    },
    open: (url) => {
      const stream = { url, closed: false, on: new Map<string, (event: { data: string }) => void>() };
      streams.push(stream);
      return {
        addEventListener: (name: string, listener: unknown) => {
          stream.on.set(name, listener as (event: { data: string }) => void);
        },
        close: () => {
          stream.closed = true;
        },
      };
    },
    now: () => startedAt,
    random: () => 0.5,
    setTimer: (run, ms) => {
      timerCount += 1;
      timers.set(timerCount, { run, ms });
      return timerCount;
    },
    clearTimer: (timer) => timers.delete(timer as number),
  });
  return {
    script,
    feed,
    streams,
    asked,
    fail: (next: { status: number; body: unknown } | null) => {
      failing = next;
    },
    tell: (name: string, data: unknown = null) => streams.at(-1)?.on.get(name)?.({ data: JSON.stringify(data) }),
    fire: (fits: (ms: number) => boolean) => {
      for (const [timer, { run, ms }] of timers) if (fits(ms) && timers.delete(timer)) run();
    },
    waits: () => [...timers.values()].map(({ ms }) => ms),
    settled: () => new Promise((resolve) => setTimeout(resolve, 5)),
  };
}

const nodeRoute = (script: Script) => ({
  page: "node" as const,
  nodeId: script.fleet.nodes[0]?.nodeId ?? "",
  range: "5m" as const,
});

test("a page asks once for what it shows, then only listens", async () => {
  const { feed, asked, tell, settled, script } = workshop();
  feed.visit(pages.fleet);
  tell("open");
  tell("fleet", script.fleet);
  await settled();
  for (const row of script.fleet.nodes) tell("node", { ...row, readingsStored: 1 });
  tell("fleet", { ...script.fleet, at: startedAt + 10_000 });
  await settled();
  assert.deepEqual(asked.toSorted(), ["/fleet", "/network"]);
  assert.equal(feed.shown().fleet?.at, startedAt + 10_000);
  assert.equal(feed.shown().link, "live");
});

test("searching the fleet or opening an epoch asks for nothing", async () => {
  const { feed, asked, settled } = workshop();
  feed.visit(pages.epochs);
  await settled();
  const before = asked.length;
  feed.visit({ page: "epochs", open: 3 });
  await settled();
  assert.equal(asked.length, before);
});

test("a node's page listens to that node's readings and fetches each series once", async () => {
  const { feed, asked, streams, settled, script } = workshop();
  const route = nodeRoute(script);
  feed.visit(route);
  await settled();
  assert.equal(streams.at(-1)?.url, `/api/v1/events?node=${route.nodeId}`);
  assert.equal(asked.filter((path) => path.endsWith("/readings")).length, 6);
  assert.equal(Object.keys(feed.shown().plots).length, 6);
});

test("an address with a malformed NodeId does not spoil the stream", () => {
  const { feed, streams } = workshop();
  feed.visit({ page: "node", nodeId: "nobody", range: "5m" });
  assert.equal(streams.at(-1)?.url, "/api/v1/events");
});

test("a new slot fetches the open node's verdicts and readings again, an answer the verdicts, a mere count nothing", async () => {
  const { feed, asked, tell, settled, script } = workshop();
  const route = nodeRoute(script);
  feed.visit(route);
  tell("open");
  tell("fleet", script.fleet);
  await settled();
  const countNode = () => asked.filter((path) => path === `/nodes/${route.nodeId}`).length;
  assert.equal(countNode(), 1);
  tell("node", { ...script.fleet.nodes[0], readingsStored: 99 });
  await settled();
  assert.equal(countNode(), 1);
  const histories = () => asked.filter((path) => path.endsWith("/readings")).length;
  tell("node", { ...script.fleet.nodes[0], slots: [] });
  await settled();
  assert.deepEqual([countNode(), histories()], [2, 6]);
  tell("fleet", script.fleet);
  await settled();
  assert.deepEqual([countNode(), histories()], [3, 12]);
});

test("a lost stream is opened again with growing, scattered waits, and the page is fetched anew once it is back", async () => {
  const { feed, asked, streams, tell, fire, waits, settled } = workshop();
  feed.visit(pages.refused);
  tell("open");
  await settled();
  assert.equal(asked.filter((path) => path === "/rejections").length, 1);
  const waited: number[] = [];
  for (let attempt = 0; attempt < 6; attempt += 1) {
    tell("error");
    assert.equal(feed.shown().link, "reconnecting");
    waited.push(waits()[0] ?? 0);
    fire(() => true);
  }
  assert.deepEqual(waited, [750, 1_500, 3_000, 6_000, 11_250, 11_250]);
  assert.equal(streams.length, 7);
  assert.equal(
    streams.slice(0, -1).every(({ closed }) => closed),
    true,
  );
  tell("open");
  await settled();
  assert.equal(feed.shown().link, "live");
  assert.equal(asked.filter((path) => path === "/rejections").length, 2);
});

test("a stream that falls silent is taken for lost", () => {
  const { feed, streams, tell, fire, script } = workshop();
  feed.visit(pages.fleet);
  tell("open");
  tell("fleet", script.fleet);
  fire((ms) => ms === 30_000);
  assert.equal(feed.shown().link, "reconnecting");
  assert.equal(streams[0]?.closed, true);
});

test("a pause holds what is shown and the time; resuming shows what happened meanwhile", async () => {
  const { feed, tell, settled, script } = workshop();
  feed.visit(pages.fleet);
  tell("fleet", script.fleet);
  await settled();
  feed.pause();
  const held = feed.shown();
  tell("fleet", { ...script.fleet, at: startedAt + 60_000 });
  assert.equal(feed.shown(), held);
  assert.equal(feed.now(), startedAt);
  feed.resume();
  assert.equal(feed.shown().fleet?.at, startedAt + 60_000);
  assert.equal(feed.now(), startedAt + 60_000);
});

test("an error answer is kept with the coordinator's own title and detail", async () => {
  const { feed, fail, settled } = workshop();
  fail({
    status: 503,
    body: { type: "about:blank", title: "The ledger is busy", status: 503, detail: "retry in 2 s" },
  });
  feed.visit(pages.epochs);
  await settled();
  const expected = {
    title: "The ledger is busy",
    detail: "retry in 2 s",
    status: 503,
    path: "/api/v1/epochs?limit=200",
  };
  assert.deepEqual(feed.shown().problems.epochs, expected);
  fail(null);
  feed.retry();
  await settled();
  assert.equal(feed.shown().problems.epochs, undefined);
});
