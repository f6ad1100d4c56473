/** The HTTP interface under /api/v1 and the web page beside it. Shapes are those of the protocol; every error is RFC 9457. */
import { existsSync } from "node:fs";
import {
  EpochsView,
  FleetView,
  HealthView,
  NetworkView,
  type NodeId,
  NodeView,
  nodeIdPattern,
  ProblemView,
  ReadingsView,
  RejectionsView,
  ReplicasView,
} from "@cairn/protocol";
import fastifyStatic from "@fastify/static";
import Fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import Type from "typebox";
import type { LiveHub } from "./live-events.ts";

/** Answers to the questions of the interface. undefined: there is no such thing. */
export type Views = {
  network(): Promise<NetworkView>;
  fleet(): Promise<FleetView>;
  node(nodeId: NodeId): Promise<NodeView | undefined>;
  readings(nodeId: NodeId, series: string, from: number, to: number, limit: number): Promise<ReadingsView | undefined>;
  epochs(limit: number): Promise<EpochsView>;
  rejections(): Promise<RejectionsView>;
  replicas(): Promise<ReplicasView>;
  health(): Promise<HealthView>;
};

export type HttpApi = { readonly port: number; readonly url: string; close(): Promise<void> };

const NodeParams = Type.Object({ nodeId: Type.String({ pattern: nodeIdPattern }) });
const Time = Type.Integer({ minimum: 0, maximum: 253_402_300_799_999 });
const ReadingsQuery = Type.Object({
  series: Type.String({ minLength: 1, maxLength: 64 }),
  from: Type.Optional(Time),
  to: Type.Optional(Time),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
});
const EpochsQuery = Type.Object({ limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 })) });
const EventsQuery = Type.Object({ node: Type.Optional(Type.String({ pattern: nodeIdPattern })) });

const securityHeaders = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};

type RequestError = Error & { statusCode?: number };

/** Starts listening. `fault` hears of answers that failed. Throws the listening error of node:net, for example EADDRINUSE. */
export async function startHttpApi(
  options: { host: string; port: number; webDir: string | undefined; fault(error: unknown): void },
  views: Views,
  live: LiveHub,
): Promise<HttpApi> {
  const webDir = options.webDir !== undefined && existsSync(options.webDir) ? options.webDir : undefined;
  const failed = (error: RequestError, _request: unknown, reply: FastifyReply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) options.fault(error);
    const title = status < 500 ? "The request does not fit the interface" : "The coordinator could not answer";
    return problem(reply, status, title, status < 500 ? error.message : "see the coordinator's log");
  };
  const server = Fastify({
    forceCloseConnections: true,
    bodyLimit: 65_536,
    routerOptions: { maxParamLength: 128 },
    frameworkErrors: (error, request, reply) => void failed(error, request, reply.headers(securityHeaders)),
  });
  server.addHook("onSend", async (_request, reply) => {
    reply.headers(securityHeaders);
  });
  server.setErrorHandler(failed);
  server.setNotFoundHandler((request, reply) => {
    const isPage = request.method === "GET" && !/^\/(api|assets)\//.test(request.url);
    if (isPage && webDir !== undefined) return reply.sendFile("index.html");
    return problem(reply, 404, "There is nothing at this address", `${request.method} ${request.url.slice(0, 200)}`);
  });
  addRoutes(server, views, live);
  if (webDir !== undefined) await server.register(fastifyStatic, { root: webDir, wildcard: false, immutable: false });
  await server.listen({ host: options.host, port: options.port });
  const address = server.server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  return { port, url: `http://${options.host}:${port}`, close: () => server.close() };
}

function addRoutes(server: FastifyInstance, views: Views, live: LiveHub): void {
  const answers = (schema: Type.TSchema) => ({ response: { 200: schema, "4xx": ProblemView, "5xx": ProblemView } });
  const found = <T>(reply: FastifyReply, value: T | undefined, what: string) =>
    value === undefined
      ? problem(reply, 404, `There is no such ${what}`, `check the ${what}'s id in the fleet`)
      : value;

  server.get("/api/v1/network", { schema: answers(NetworkView) }, () => views.network());
  server.get("/api/v1/fleet", { schema: answers(FleetView) }, () => views.fleet());
  server.get("/api/v1/rejections", { schema: answers(RejectionsView) }, () => views.rejections());
  server.get("/api/v1/replicas", { schema: answers(ReplicasView) }, () => views.replicas());
  server.get("/api/v1/health", { schema: answers(HealthView) }, () => views.health());
  server.get<{ Querystring: Type.Static<typeof EpochsQuery> }>(
    "/api/v1/epochs",
    { schema: { querystring: EpochsQuery, ...answers(EpochsView) } },
    ({ query }) => views.epochs(query.limit ?? 100),
  );
  server.get<{ Params: Type.Static<typeof NodeParams> }>(
    "/api/v1/nodes/:nodeId",
    { schema: { params: NodeParams, ...answers(NodeView) } },
    async ({ params }, reply) => found(reply, await views.node(params.nodeId as NodeId), "node"),
  );
  server.get<{ Params: Type.Static<typeof NodeParams>; Querystring: Type.Static<typeof ReadingsQuery> }>(
    "/api/v1/nodes/:nodeId/readings",
    { schema: { params: NodeParams, querystring: ReadingsQuery, ...answers(ReadingsView) } },
    async ({ params, query }, reply) => {
      const { series, from = 0, to = 253_402_300_799_999, limit = 5_000 } = query;
      return found(reply, await views.readings(params.nodeId as NodeId, series, from, to, limit), "series");
    },
  );
  server.get<{ Querystring: Type.Static<typeof EventsQuery> }>(
    "/api/v1/events",
    { schema: { querystring: EventsQuery } },
    async ({ query }, reply) => {
      const fleet = await views.fleet();
      reply.hijack();
      for (const [name, value] of Object.entries(securityHeaders)) reply.raw.setHeader(name, value);
      if (live.add(reply.raw, (query.node as NodeId | undefined) ?? null, { fleet })) return;
      reply.raw.writeHead(503, { "content-type": "application/problem+json", "retry-after": "10" });
      reply.raw.end(JSON.stringify(problemBody(503, "Too many pages are connected", "try again in ten seconds")));
    },
  );
}

function problem(reply: FastifyReply, status: number, title: string, detail: string) {
  return reply
    .code(status)
    .type("application/problem+json")
    .send(problemBody(status, title, detail));
}

function problemBody(status: number, title: string, detail: string): ProblemView {
  return { type: "about:blank", title, status, detail };
}
