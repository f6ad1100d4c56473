/**
 * What the coordinator costs on clustered parts, as ratios inside one run: CPU time of a reading on its way through one and through two
 * replicas, the ledger's writer on PostgreSQL against COPY, native consumption from NATS against its MQTT gateway, and memory of a
 * connection that does nothing. Needs mosquitto, nats-server and PostgreSQL on this machine, and an otherwise idle one.
 *
 *   npm run bench -- scale [--runs 3] [--only ingest,writer,nats,idle,units] [--batches 40] [--groups 40] [--nodes 1000] [--messages 30] [--connections 15000]
 *
 * Lines that begin with "fact" are for docs/scale.md and name the entry of coordinator/src/decide/unit-costs.ts that they are about.
 */
import { parseArgs } from "node:util";
import type { UnitLoad } from "../coordinator/testing/unit-load.ts";
import { startChild } from "./child.ts";
import { connectionsMissing, type IdleCost, openIdleCase } from "./idle.ts";
import { median } from "./median.ts";
import { type IngestCase, type IngestCost, makeKeys, openIngestCase, type RouteName, routes } from "./scale-ingest.ts";
import { type MessageCost, openNatsCase } from "./scale-nats.ts";
import { openWriterCase, type WriterRound } from "./scale-writer.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "3" },
    only: { type: "string", default: "units,writer,nats,ingest,idle" },
    keys: { type: "string", default: "200" },
    batches: { type: "string", default: "40" },
    groups: { type: "string", default: "40" },
    nodes: { type: "string", default: "1000" },
    messages: { type: "string", default: "30" },
    connections: { type: "string", default: "15000" },
  },
});
const runs = Number(values.runs);
const wanted = values.only.split(",");
const figures: Record<string, number> = {};
const baseline: Record<string, number> = {};

const begunAt = performance.now();
function print(line: string): void {
  process.stdout.write(
    `${line.startsWith("fact") ? "" : `${Math.round((performance.now() - begunAt) / 1000)} s  `}${line}\n`,
  );
}

/** `entries`: of unit-costs.ts. */
function fact(entries: string, value: number, unit: string, what: string): void {
  print(`fact  ${entries}: ${round(value)} ${unit} (${what})`);
}

/** Three digits that count. */
const round = (value: number) => Number(value.toPrecision(3));
const medianOf = <T>(all: readonly T[], value: (each: T) => number) => round(median(all.map(value)));

/** The cases of one run in turn, of the next in the opposite order: what drifts meets all of them. */
function inTurn<T>(cases: readonly T[], run: number): readonly T[] {
  return run % 2 === 1 ? cases : cases.toReversed();
}

async function measureUnits(): Promise<void> {
  const child = startChild(new URL("../coordinator/testing/unit-load.ts", import.meta.url), []);
  for (;;) {
    const said = await child.hear<UnitLoad | { done: true }>();
    if ("done" in said) break;
    if (said.entry === "") baseline[said.name] = round(said.us);
    else fact(said.entry, said.us, said.unit, said.name);
  }
  await child.end();
}

async function measureWriter(): Promise<void> {
  const groups = Number(values.groups);
  const writer = await openWriterCase(groups >> 1);
  const rounds: WriterRound[] = [];
  try {
    for (let run = 1; run <= runs; run++) {
      const made = await writer.run(groups);
      rounds.push(made);
      const rate = ({ rowsPerSecond }: { rowsPerSecond: number }) => `${Math.round(rowsPerSecond / 1000)} k rows/s`;
      print(
        `run ${run}  PostgreSQL: ledger ${rate(made.writer)}, COPY ${rate(made.copy)}, ratio ${ratioOf(made).toFixed(2)}; SQLite: ledger ${rate(made.sqlite)}`,
      );
    }
  } finally {
    await writer.close();
  }
  figures.pg_writer_ratio_to_copy = medianOf(rounds, ratioOf);
  baseline.pg_copy_rows_per_s = medianOf(rounds, ({ copy }) => copy.rowsPerSecond);
  baseline.pg_writer_rows_per_s = medianOf(rounds, (made) => made.writer.rowsPerSecond);
  baseline.copy_us_per_row = medianOf(rounds, ({ copy }) => copy.client + copy.server);
  const form = "batches of 50 readings, groups of 256, all rows of a batch counted to its readings";
  fact(
    "postgresClientRow",
    medianOf(rounds, (made) => made.writer.client),
    "us/row",
    form,
  );
  fact(
    "postgresServerRow",
    medianOf(rounds, (made) => made.writer.server),
    "us/row",
    form,
  );
  fact("sqliteBatch + 50 sqliteReading", 50 * medianOf(rounds, (made) => made.sqlite.client), "us/batch", form);
}

const ratioOf = ({ writer, copy }: WriterRound) => writer.rowsPerSecond / copy.rowsPerSecond;

async function measureNats(): Promise<void> {
  const nats = await openNatsCase(Number(values.nodes));
  const costs: Record<"native" | "mqtt", MessageCost[]> = { native: [], mqtt: [] };
  try {
    for (let run = 1; run <= runs; run++)
      for (const route of inTurn(["native", "mqtt"] as const, run)) {
        const cost = await nats.run(route, Number(values.messages));
        costs[route].push(cost);
        print(
          `run ${run}  NATS ${route}: ${cost.whole.toFixed(1)} us/message (server ${cost.server.toFixed(1)}, consumer ${cost.consumer.toFixed(1)}), ${Math.round(cost.messagesPerSecond)} messages/s`,
        );
      }
  } finally {
    await nats.close();
  }
  figures.nats_native_vs_mqtt_route = round(
    median(costs.native.map(({ whole }, run) => (costs.mqtt[run]?.whole ?? 0) / whole)),
  );
  baseline.nats_native_us = medianOf(costs.native, ({ whole }) => whole);
  baseline.nats_mqtt_us = medianOf(costs.mqtt, ({ whole }) => whole);
  const form = `200 B, ${values.nodes} connections, QoS 1, one under way each`;
  fact(
    "natsMessage",
    medianOf(costs.native, ({ server }) => server),
    "us/message",
    form,
  );
  fact(
    "natsClient",
    medianOf(costs.native, ({ consumer }) => consumer),
    "us/message",
    `${form}; the coordinator's own`,
  );
  fact(
    "mqttClient",
    medianOf(costs.mqtt, ({ consumer }) => consumer),
    "us/message",
    `${form}; mqtt.js`,
  );
}

async function measureIngest(): Promise<void> {
  const batches = Number(values.batches);
  const keys = makeKeys(Number(values.keys));
  const cases: IngestCase[] = [];
  const costs = new Map<RouteName, IngestCost[]>(routes.map(({ name }) => [name, []]));
  try {
    for (const route of routes) {
      cases.push(await openIngestCase(route, keys, 2 * batches));
      print(`${route.name} is up`);
    }
    for (let run = 1; run <= runs; run++)
      for (const each of inTurn(cases, run)) {
        const cost = await each.run(batches);
        costs.get(each.name)?.push(cost);
        const { whole, coordinators, broker, database, readingsPerSecond, gaps } = cost;
        print(
          `run ${run}  ${each.name}: ${whole.toFixed(2)} us/reading (coordinators ${coordinators.toFixed(2)}, broker ${broker.toFixed(2)}, database ${database.toFixed(2)}), ${Math.round(readingsPerSecond)} readings/s${gaps > 0 ? `; ${gaps} refusals for a gap, sent again` : ""}`,
        );
      }
  } finally {
    await Promise.all(cases.map((each) => each.close()));
  }
  const of = (name: RouteName) => costs.get(name) ?? [];
  const twoToOne = (broker: "mosquitto" | "nats") => {
    const one = of(`${broker}_postgres_1`);
    return median(of(`${broker}_postgres_2`).map(({ whole }, run) => whole / (one[run]?.whole ?? 0)));
  };
  const ratios = { mosquitto: twoToOne("mosquitto"), nats: twoToOne("nats") };
  print(`two replicas to one: Mosquitto ${ratios.mosquitto.toFixed(2)}, NATS ${ratios.nats.toFixed(2)}`);
  figures.cpu_per_reading_two_replicas_vs_one = round(Math.max(ratios.mosquitto, ratios.nats));
  for (const { name } of routes) baseline[`cpu_us_${name}`] = medianOf(of(name), ({ whole }) => whole);
  const form = "per batch of 50 readings with its receipt, 200 connections, 8 batches under way each";
  const perBatch = (name: RouteName, part: "coordinators" | "broker" | "database") =>
    50 * medianOf(of(name), (cost) => cost[part]);
  fact("mqttMessage + delivery", perBatch("mosquitto_postgres_1", "broker"), "us/batch", form);
  fact("natsMessage + delivery", perBatch("nats_postgres_1", "broker"), "us/batch", form);
  const inside = "judgeBatch, judgeReading, toThread, storageReceipt";
  const shown = (name: RouteName, more: string) =>
    fact(`${inside}, ${more}`, perBatch(name, "coordinators"), "us/batch", `${name}, all of the coordinators; ${form}`);
  shown("aedes_sqlite", "embeddedMessage, delivery, sqliteBatch, 50 sqliteReading");
  shown("mosquitto_postgres_1", "mqttClient, 50 postgresClientRow");
  shown("nats_postgres_1", "natsClient, 50 postgresClientRow");
  fact("50 postgresServerRow", perBatch("mosquitto_postgres_1", "database"), "us/batch", form);
}

async function measureIdle(): Promise<void> {
  const connections = Number(values.connections);
  const missing = connectionsMissing(connections);
  if (missing) throw new Error(`${missing}: raise it, or say --connections`);
  const idle = await openIdleCase(connections);
  const costs: Record<"coordinator" | "bareAedes", IdleCost[]> = { coordinator: [], bareAedes: [] };
  try {
    for (let run = 1; run <= runs; run++)
      for (const name of inTurn(["coordinator", "bareAedes"] as const, run)) {
        const cost = await idle[name]();
        costs[name].push(cost);
        const mb = `${Math.round(cost.beforeMb)} to ${Math.round(cost.afterMb)} MB, ${Math.round(cost.uncollectedMb)} before a collection`;
        print(
          `run ${run}  ${connections} idle connections, ${name}: ${cost.kb.toFixed(1)} kB each (${cost.laterKb.toFixed(1)} in the second half; ${mb}), ${Math.round(cost.connectUs)} us to connect`,
        );
      }
  } finally {
    await idle.close();
  }
  figures.kb_per_connection_15k = medianOf(costs.coordinator, ({ kb }) => kb);
  baseline.kb_per_connection_aedes = medianOf(costs.bareAedes, ({ kb }) => kb);
  baseline.idle_connections = connections;
  const form = `${connections} connections with two subscriptions each`;
  fact("embeddedConnection", figures.kb_per_connection_15k, "kB/connection", form);
  fact(
    "embeddedConnect",
    medianOf(costs.coordinator, ({ connectUs }) => connectUs),
    "us/connect",
    form,
  );
  fact(
    "processBytes + connections x keyBytes x 2",
    1024 * medianOf(costs.coordinator, (cost) => cost.beforeMb),
    "kB",
    form,
  );
}

const parts: Record<string, () => Promise<void>> = {
  units: measureUnits,
  writer: measureWriter,
  nats: measureNats,
  ingest: measureIngest,
  idle: measureIdle,
};
for (const name of wanted) {
  const measure = parts[name];
  if (!measure) throw new RangeError(`--only has ${name}: ${Object.keys(parts).join(", ")} are known`);
  print(name);
  await measure();
}
process.stdout.write(`${JSON.stringify({ bench: "scale", figures, baseline, runs })}\n`);
