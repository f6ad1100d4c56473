/**
 * A scripted twin of the coordinator: serves the built page and the HTTP interface from a script, sends the events it is told to,
 * and counts what it is asked. Every answer and event is checked against the protocol's schemas before it goes out.
 * `node dashboards/web/testing/twin.ts 4180` serves a fleet that lives, to look at.
 */
import { existsSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import {
  checker,
  EpochRow,
  EpochsView,
  FleetView,
  type LiveEvents,
  NetworkView,
  NodeRow,
  NodeView,
  ProblemView,
  ReadingsView,
  RejectionsView,
  type Result,
} from "@cairn/protocol";
import { type Script, valley } from "./script.ts";

const dist = join(import.meta.dirname, "../dist");
const api = "/api/v1";
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const mediaTypes: Readonly<Record<string, string>> = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".svg": "image/svg+xml",
};

const checks = {
  network: checker("network", NetworkView),
  fleet: checker("fleet", FleetView),
  node: checker("node", NodeView),
  row: checker("node event", NodeRow),
  readings: checker("readings", ReadingsView),
  epochs: checker("epochs", EpochsView),
  epoch: checker("epoch event", EpochRow),
  rejections: checker("rejections", RejectionsView),
  problem: checker("problem", ProblemView),
};

type Answer = { readonly status: number; readonly body: unknown };

export type Twin = {
  readonly url: string;
  readonly script: Script;
  /** Paths of the interface that were asked for, without their query, in order; streams included. */
  readonly asked: string[];
  readonly send: <Name extends keyof LiveEvents>(name: Name, data: LiveEvents[Name]) => void;
  readonly streams: () => number;
  /** From now on the path is answered with this problem; null ends it. */
  readonly fail: (
    path: string,
    problem: { readonly status: number; readonly title: string; readonly detail: string } | null,
  ) => void;
  /** Ends all streams and, until it is called with false, refuses new ones. */
  readonly sick: (sick: boolean) => void;
  readonly close: () => Promise<void>;
};

export async function startTwin(script: Script, port = 0): Promise<Twin> {
  const asked: string[] = [];
  const streams = new Map<ServerResponse, string | null>();
  const failing = new Map<string, { readonly status: number; readonly title: string; readonly detail: string }>();
  let sick = false;

  const write = (stream: ServerResponse, name: string, data: unknown): void => {
    stream.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  };

  const problem = (status: number, title: string, detail: string): Answer => ({
    status,
    body: shaped(checks.problem({ type: "about:blank", title, status, detail })),
  });

  const stream = (response: ServerResponse, nodeId: string | null): void => {
    if (sick) {
      response.destroy();
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    streams.set(response, nodeId);
    response.on("close", () => streams.delete(response));
    write(response, "fleet", shaped(checks.fleet(script.fleet)));
  };

  const answerTo = (path: string, query: URLSearchParams): Answer => {
    const failure = failing.get(path);
    if (failure !== undefined) return problem(failure.status, failure.title, failure.detail);
    const [first = "", nodeId = "", third = ""] = path.split("/").filter((part) => part !== "");
    if (first === "network") return { status: 200, body: shaped(checks.network(script.network)) };
    if (first === "fleet") return { status: 200, body: shaped(checks.fleet(script.fleet)) };
    if (first === "epochs") return { status: 200, body: shaped(checks.epochs({ epochs: script.epochs })) };
    if (first === "rejections") return { status: 200, body: shaped(checks.rejections(script.rejections)) };
    const node = script.nodes.get(nodeId);
    if (first !== "nodes" || node === undefined)
      return problem(404, "No such node", `No node is enrolled under the NodeId ${nodeId}.`);
    if (third === "") return { status: 200, body: shaped(checks.node(node)) };
    const series = query.get("series") ?? "";
    const view = script.readings(nodeId, series, Number(query.get("from")), Number(query.get("to")));
    return { status: 200, body: shaped(checks.readings(view)) };
  };

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const url = new URL(request.url ?? "/", "http://twin");
    response.setHeader("content-security-policy", policy);
    if (!url.pathname.startsWith(api)) {
      const wanted = join(dist, normalize(url.pathname));
      const file = extname(wanted) !== "" && existsSync(wanted) ? wanted : join(dist, "index.html");
      response.setHeader("content-type", mediaTypes[extname(file)] ?? "application/octet-stream");
      response.end(readFileSync(file));
      return;
    }
    const path = url.pathname.slice(api.length);
    asked.push(path);
    if (path === "/events") {
      stream(response, url.searchParams.get("node"));
      return;
    }
    const { status, body } = answerTo(path, url.searchParams);
    const type = status < 400 ? "application/json" : "application/problem+json";
    response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(JSON.stringify(body));
  };

  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    script,
    asked,
    send: (name, data) => {
      if (name === "fleet") shaped(checks.fleet(data));
      if (name === "node") shaped(checks.row(data));
      if (name === "epoch") shaped(checks.epoch(data));
      if (name === "rejections") shaped(checks.rejections(data));
      for (const [response, nodeId] of streams) {
        if (name !== "readings" || (data as LiveEvents["readings"]).nodeId === nodeId) write(response, name, data);
      }
    },
    streams: () => streams.size,
    fail: (path, failure) => {
      if (failure === null) failing.delete(path);
      else failing.set(path, failure);
    },
    sick: (next) => {
      sick = next;
      if (sick) for (const response of streams.keys()) response.destroy();
    },
    close: async () => {
      for (const response of streams.keys()) response.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function shaped<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(`the twin's script is not of the protocol's shape: ${JSON.stringify(result)}`);
  return result.value;
}

if (import.meta.main) {
  const twin = await startTwin(valley(Date.now()), Number(process.argv[2] ?? 4180));
  console.log(`a scripted fleet at ${twin.url}`);
  setInterval(() => {
    const now = Date.now();
    for (const row of twin.script.fleet.nodes) {
      if (row.state === "offline") continue;
      const heard = { ...row, lastHeardAt: now, readingsStored: row.readingsStored + 6 };
      Object.assign(row, heard);
      twin.send("node", heard);
      const series = (twin.script.nodes.get(row.nodeId)?.series ?? []).map((view) => {
        const { times, values } = twin.script.readings(row.nodeId, view.series, now - 1_000, now);
        return { ...view, at: times.at(-1) ?? now, value: values.at(-1) ?? view.value };
      });
      twin.send("readings", { nodeId: row.nodeId, series });
    }
  }, 1_000);
}
