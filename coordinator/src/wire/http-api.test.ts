import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  checker,
  EpochsView,
  FleetView,
  HealthView,
  NetworkView,
  NodeView,
  ProblemView,
  ReadingsView,
  RejectionsView,
  ReplicasView,
} from "@cairn/protocol";
import type { TSchema } from "typebox";
import { type HttpOnPort, onHttp, unknownNode } from "../../testing/http-on-port.ts";
import { until } from "../../testing/until.ts";

describe("what the interface answers", () => {
  const routes: Readonly<Record<string, [TSchema, (nodeId: string) => string, (answer: never) => boolean]>> = {
    "the network": [NetworkView, () => "/api/v1/network", ({ slotMs }: NetworkView) => slotMs === 60_000],
    "the fleet": [FleetView, () => "/api/v1/fleet", ({ nodes }: FleetView) => nodes.length === 2],
    "a node": [NodeView, (nodeId) => `/api/v1/nodes/${nodeId}`, ({ series }: NodeView) => series.length > 0],
    readings: [
      ReadingsView,
      (nodeId) => `/api/v1/nodes/${nodeId}/readings?series=a.b`,
      ({ times, values, qualities }: ReadingsView) => `${times};${values};${qualities}` === "4,5;-2,1.5;0,1",
    ],
    "readings of a range": [
      ReadingsView,
      (nodeId) => `/api/v1/nodes/${nodeId}/readings?series=a.b&from=0&to=9&limit=1`,
      ({ times }: ReadingsView) => `${times}` === "5",
    ],
    epochs: [EpochsView, () => "/api/v1/epochs?limit=5", ({ epochs }: EpochsView) => epochs[0]?.claims.length === 2],
    rejections: [RejectionsView, () => "/api/v1/rejections", ({ total }: RejectionsView) => total > 0],
    replicas: [ReplicasView, () => "/api/v1/replicas", ({ duties }: ReplicasView) => duties[0]?.holder === "north"],
    health: [
      HealthView,
      () => "/api/v1/health",
      ({ queueDepth, refusalsShed }: HealthView) => queueDepth === 3 && refusalsShed === 2,
    ],
  };
  for (const [what, [schema, path, holds]] of Object.entries(routes))
    test(`about ${what} fits the protocol's schema and says what is stored`, () =>
      onHttp(async (house) => {
        const response = await house.fetch(path(withReadings(house)));
        assert.equal(response.status, 200);
        assert.match(response.headers.get("content-type") ?? "", /^application\/json/);
        const answer = await response.json();
        fits(schema, answer);
        assert.ok(holds(answer as never), JSON.stringify(answer));
        assertSecured(response);
      }));
});

test("while nothing is received its health is degraded", () =>
  onHttp(async ({ fetch, sense }) => {
    const status = async () => ((await (await fetch("/api/v1/health")).json()) as HealthView).status;
    assert.equal(await status(), "ok");
    sense.receiving = false;
    assert.equal(await status(), "degraded");
  }));

describe("what it refuses", () => {
  const node = (rest = "") => `/api/v1/nodes/${unknownNode}${rest}`;
  const refusals: Readonly<Record<string, [number, string, RequestInit?]>> = {
    "a node that is not enrolled": [404, node()],
    "readings of a node that is not enrolled": [404, node("/readings?series=a.b")],
    "a node id that is none": [400, "/api/v1/nodes/1234"],
    "a node id in capitals": [400, `/api/v1/nodes/${"A".repeat(40)}`],
    "readings without a series": [400, node("/readings")],
    "a series of no letters": [400, node("/readings?series=")],
    "a time that is no number": [400, node("/readings?series=a.b&from=yesterday")],
    "a time before 1970": [400, node("/readings?series=a.b&from=-1")],
    "more readings than it gives": [400, node("/readings?series=a.b&limit=10001")],
    "no readings": [400, node("/readings?series=a.b&limit=0")],
    "more epochs than it gives": [400, "/api/v1/epochs?limit=1001"],
    "events of a node id that is none": [400, "/api/v1/events?node=1"],
    "an address that it does not know": [404, "/api/v1/secrets"],
    "an address of another version": [404, "/api/v2/fleet"],
    "another method": [404, "/api/v1/fleet", { method: "POST", body: "{}" }],
    "an address that is no address": [400, "/api/v1/nodes/%zz"],
    "a path out of the house": [404, "/../../etc/passwd"],
  };
  for (const [what, [status, path, init]] of Object.entries(refusals))
    test(`${what} is a problem with status ${status}, its reason in words`, () =>
      onHttp(async (house) => {
        const response = await house.fetch(path, init);
        assert.equal(response.status, status);
        const problem = await problemOf(response);
        assert.equal(problem.status, status);
        assert.ok(problem.title.length > 5 && problem.detail.length > 5);
      }));

  test("a series that the node does not have is a problem, one that it has is not", () =>
    onHttp(async (house) => {
      const nodeId = withReadings(house);
      assert.equal((await house.fetch(`/api/v1/nodes/${nodeId}/readings?series=no.such`)).status, 404);
      assert.equal((await house.fetch(`/api/v1/nodes/${nodeId}/readings?series=a.b&from=9&to=1`)).status, 200);
    }));

  test("a very large body is a problem and is not read", () =>
    onHttp(async (house) => {
      const response = await house
        .fetch("/api/v1/fleet", { method: "POST", body: "x".repeat(200_000) })
        .catch(() => null);
      assert.ok(response === null || response.status >= 400);
      assert.equal((await house.fetch("/api/v1/health")).status, 200);
    }));

  test("a view that fails is a problem with status 500 that gives nothing away, and is reported", () =>
    onHttp(async (house) => {
      house.views.fleet = async () => {
        throw new Error("secret path /var/lib");
      };
      const response = await house.fetch("/api/v1/fleet");
      assert.equal(response.status, 500);
      const problem = await problemOf(response);
      assert.ok(!JSON.stringify(problem).includes("secret"));
      assert.match(String(house.faults[0]), /secret path/);
      assert.equal((await house.fetch("/api/v1/health")).status, 200);
    }));
});

describe("live events", () => {
  test("begin with the whole fleet, then what is sent, in order", () =>
    onHttp(async (house) => {
      const stream = await house.listen();
      assert.match(stream.response.headers["content-type"] ?? "", /^text\/event-stream/);
      assert.equal(stream.response.headers["cache-control"], "no-store");
      const first = await stream.next();
      assert.equal(first.event, "fleet");
      fits(FleetView, first.data);
      const fleet = await house.views.fleet();
      const [row] = fleet.nodes;
      assert.ok(row);
      house.live.send("node", row);
      house.live.send("fleet", fleet);
      assert.deepEqual(await stream.next(), { event: "node", data: JSON.parse(JSON.stringify(row)) });
      assert.equal((await stream.next()).event, "fleet");
    }));

  test("readings go to the pages that look at their node, and to no other", () =>
    onHttp(async (house) => {
      const [one, two] = house.nodes;
      assert.ok(one && two);
      assert.deepEqual(house.live.watched(), []);
      const stream = await house.listen(`/api/v1/events?node=${one.nodeId}`);
      const other = await house.listen();
      for (const page of [stream, other]) assert.equal((await page.next()).event, "fleet");
      assert.deepEqual(house.live.watched(), [one.nodeId]);
      house.live.send("readings", { nodeId: two.nodeId, series: [] }, two.nodeId);
      house.live.send("readings", { nodeId: one.nodeId, series: [] }, one.nodeId);
      house.live.send("rejections", { total: 0, byCode: {}, latest: [] });
      assert.deepEqual((await stream.next()).data, { nodeId: one.nodeId, series: [] });
      assert.equal((await other.next()).event, "rejections");
    }));

  test("a page that leaves makes room for another; one too many is a problem with status 503", () =>
    onHttp(
      async (house) => {
        const pages = [await house.listen(), await house.listen()];
        const refused = await house.fetch("/api/v1/events");
        assert.deepEqual([refused.status, house.live.size], [503, 2]);
        assert.equal((await problemOf(refused)).status, 503);
        assert.ok(Number(refused.headers.get("retry-after")) > 0);
        pages[0]?.end();
        await until(
          () => house.live.size === 1,
          () => `${house.live.size} pages`,
        );
        assert.equal((await (await house.listen()).next()).event, "fleet");
      },
      { mostPages: 2 },
    ));

  test("a page that left before its first event takes no room", () =>
    onHttp(
      async (house) => {
        const { fleet } = house.views;
        const asked = Promise.withResolvers<void>();
        const gone = Promise.withResolvers<void>();
        house.views.fleet = async () => {
          asked.resolve();
          await gone.promise;
          return fleet();
        };
        const impatient = new AbortController();
        const request = house.fetch("/api/v1/events", { signal: impatient.signal });
        await asked.promise;
        impatient.abort();
        await assert.rejects(request);
        // The coordinator hears of it a moment later.
        await new Promise((resolve) => setTimeout(resolve, 50));
        gone.resolve();
        house.views.fleet = fleet;
        assert.equal((await (await house.listen()).next()).event, "fleet");
        assert.equal(house.live.size, 1);
      },
      { mostPages: 1 },
    ));

  test("a page that does not read is let go, those that do get everything", () =>
    onHttp(async (house) => {
      const [slow, quick] = [await house.listen(), await house.listen()];
      for (const page of [slow, quick]) await page.next();
      slow.stopReading();
      const large = { total: 1, byCode: { ["x".repeat(100_000)]: 1 }, latest: [] };
      let sent = 0;
      await until(
        async () => {
          house.live.send("rejections", large);
          sent += 1;
          await quick.next();
          return house.live.size === 1;
        },
        () => `${house.live.size} pages after ${sent} events`,
      );
      house.live.send("rejections", { total: 2, byCode: {}, latest: [] });
      assert.partialDeepStrictEqual(await quick.next(), { data: { total: 2 } });
    }));

  test("a fleet that cannot be read is a problem, not an empty stream", () =>
    onHttp(async (house) => {
      house.views.fleet = () => Promise.reject(new Error("the disk is gone"));
      const response = await house.fetch("/api/v1/events");
      assert.equal(response.status, 500);
      await problemOf(response);
    }));
});

describe("the page beside the interface", () => {
  test("is served with its files, and for every address that is a place in it", () =>
    withPage(async (webDir) => {
      await onHttp(
        async (house) => {
          for (const path of ["/", "/index.html", "/nodes/1234", "/epochs"]) {
            const response = await house.fetch(path);
            assert.equal(response.status, 200);
            assert.match(await response.text(), /the page/);
            assertSecured(response);
          }
          const script = await house.fetch("/assets/page.js");
          assert.match(script.headers.get("content-type") ?? "", /javascript/);
          assertSecured(script);
        },
        { webDir },
      );
    }));

  test("does not hide what is missing: assets and the interface answer with a problem", () =>
    withPage(async (webDir) => {
      await onHttp(
        async (house) => {
          for (const path of ["/assets/old.js", "/api/v1/secrets", "/api/"]) {
            const response = await house.fetch(path);
            assert.equal(response.status, 404, path);
            await problemOf(response);
          }
        },
        { webDir },
      );
    }));

  test("is a problem with status 404 while its folder does not exist, and the interface works", () =>
    onHttp(
      async (house) => {
        const response = await house.fetch("/");
        assert.equal(response.status, 404);
        await problemOf(response);
        assert.equal((await house.fetch("/api/v1/health")).status, 200);
      },
      { webDir: "/nowhere/at/all" },
    ));
});

test("a port that is taken is reported", () =>
  onHttp(async (house) => {
    const { startHttpApi } = await import("./http-api.ts");
    const options = { host: "127.0.0.1", port: house.api.port, webDir: undefined, fault: () => {} };
    await assert.rejects(startHttpApi(options, house.views, house.live), { code: "EADDRINUSE" });
  }));

function withReadings({ nodes }: HttpOnPort): string {
  return nodes.find(({ name }) => name === "one")?.nodeId ?? "";
}

function fits(schema: TSchema, value: unknown): void {
  const checked = checker("answer", schema)(value);
  assert.ok(checked.ok, checked.ok ? "" : checked.rejection.detail);
}

async function problemOf(response: Response): Promise<ProblemView> {
  assert.match(response.headers.get("content-type") ?? "", /^application\/problem\+json/);
  assertSecured(response);
  const problem = await response.json();
  fits(ProblemView, problem);
  return problem as ProblemView;
}

function assertSecured({ headers }: Response): void {
  assert.match(headers.get("content-security-policy") ?? "", /default-src 'none'/);
  assert.match(headers.get("content-security-policy") ?? "", /frame-ancestors 'none'/);
  assert.equal(headers.get("x-content-type-options"), "nosniff");
  assert.equal(headers.get("referrer-policy"), "no-referrer");
}

async function withPage(body: (webDir: string) => Promise<void>): Promise<void> {
  const webDir = mkdtempSync(join(tmpdir(), "cairn-page-"));
  mkdirSync(join(webDir, "assets"));
  writeFileSync(join(webDir, "index.html"), "<!doctype html><title>the page</title>");
  writeFileSync(join(webDir, "assets", "page.js"), "export {};");
  try {
    await body(webDir);
  } finally {
    rmSync(webDir, { recursive: true });
  }
}
