/** The HTTP interface on a free port, over a ledger that holds something of everything. */

import { once } from "node:events";
import { type ClientRequest, get, type IncomingMessage } from "node:http";
import type { NodeId } from "@cairn/protocol";
import type { NodeRecord } from "../src/model.ts";
import { type HttpApi, startHttpApi, type Views } from "../src/wire/http-api.ts";
import { createLiveHub, type LiveHub } from "../src/wire/live-events.ts";
import { createViews } from "../src/wire/views.ts";
import { founding, slotTime } from "./founding.ts";
import { fill } from "./ledger/life.ts";
import { openTemporaryLedger } from "./temporary-ledger.ts";

export type HttpOnPort = {
  readonly api: HttpApi;
  readonly live: LiveHub;
  readonly nodes: readonly NodeRecord[];
  readonly faults: unknown[];
  /** What the broker is said to do. */
  readonly sense: { receiving: boolean };
  /** The views as the interface asks them; a test may put another in a view's place. */
  readonly views: { -readonly [Name in keyof Views]: Views[Name] };
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Opens the stream of events and waits for its head. */
  listen(path?: string): Promise<EventStream>;
};

export type EventStream = {
  readonly response: IncomingMessage;
  /** The next event, in order. */
  next(): Promise<{ event: string; data: unknown }>;
  stopReading(): void;
  end(): void;
};

export async function onHttp(
  body: (house: HttpOnPort) => Promise<void>,
  { mostPages = 3, webDir }: { mostPages?: number; webDir?: string } = {},
): Promise<void> {
  const { ledger, remove } = await openTemporaryLedger();
  await fill(ledger);
  await ledger.takeDuty("verifier", "north", 60_000);
  const live = createLiveHub(mostPages);
  const sense = { receiving: true };
  const views = createViews({
    ledger,
    founding,
    software: "cairn-coordinator 0.1.0",
    now: () => slotTime(7) + 1_000,
    perMinute: () => 12,
    queue: () => ({ depth: 3, shed: 2 }),
    isReceiving: () => sense.receiving,
  });
  const asked = { ...views };
  const faults: unknown[] = [];
  const options = { host: "127.0.0.1", port: 0, webDir, fault: (error: unknown) => faults.push(error) };
  const api = await startHttpApi(options, through(asked), live);
  const requests: ClientRequest[] = [];
  try {
    await body({
      api,
      live,
      faults,
      sense,
      nodes: await ledger.nodes(),
      views: asked,
      fetch: (path, init) => fetch(`${api.url}${path}`, init),
      async listen(path = "/api/v1/events") {
        const request = get(`${api.url}${path}`);
        requests.push(request);
        const [response] = (await once(request, "response")) as [IncomingMessage];
        response.on("error", () => {});
        return streamOf(request, response);
      },
    });
  } finally {
    for (const request of requests) request.destroy();
    live.close();
    await api.close();
    await remove();
  }
}

/** Views that are looked up anew with every question. */
function through(views: HttpOnPort["views"]): Views {
  return {
    network: () => views.network(),
    fleet: () => views.fleet(),
    node: (nodeId) => views.node(nodeId),
    readings: (...query) => views.readings(...query),
    epochs: (limit) => views.epochs(limit),
    rejections: () => views.rejections(),
    replicas: () => views.replicas(),
    health: () => views.health(),
  };
}

/** Reads server-sent events (HTML Standard, section 9.2) as far as the coordinator uses them. */
function streamOf(request: ClientRequest, response: IncomingMessage): EventStream {
  const events: { event: string; data: unknown }[] = [];
  let wake = () => {};
  let rest = "";
  response.setEncoding("utf8").on("data", (text: string) => {
    const frames = (rest + text).split("\n\n");
    rest = frames.pop() ?? "";
    for (const frame of frames) {
      const field = (name: string) =>
        frame
          .split("\n")
          .find((line) => line.startsWith(`${name}: `))
          ?.slice(name.length + 2);
      const event = field("event");
      if (event) events.push({ event, data: JSON.parse(field("data") ?? "null") });
    }
    wake();
  });
  return {
    response,
    async next() {
      while (events.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      return events.shift() ?? { event: "", data: null };
    },
    stopReading: () => response.pause(),
    end: () => request.destroy(),
  };
}

export const unknownNode = "0".repeat(40) as NodeId;
