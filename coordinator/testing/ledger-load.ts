/**
 * A program that writes into a ledger as fast as it takes groups of batches, in the form in which the ingest queue hands them in; on
 * PostgreSQL also, as the measure of it, rows of the same form by COPY into the same table, encoded beforehand, as many per transaction.
 * Argument: sqlite:PATH or postgres://... .
 *
 * On standard input "ledger GROUPS" or "copy GROUPS" prepares so much, answered by {"ready":true}; the next line begins, answered by
 * {rows, seconds, cpuUs}.
 */
import { createInterface } from "node:readline";
import type { NodeId } from "@cairn/protocol";
import pg from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { orderRules } from "../src/decide/order.ts";
import type { Input, Ledger } from "../src/model.ts";
import { isPostgres, openLedger } from "../src/store/ledger.ts";
import { dayOf } from "../src/store/postgres/partitions.ts";
import { copyReadings, encodeReadings } from "../src/store/postgres/reading-rows.ts";
import { bootId, makeDevice } from "./devices.ts";
import { founding, slotTime } from "./founding.ts";
import { batchInput, column } from "./inputs.ts";

/** `cpuUs`: of this process. */
export type LedgerLoad = { readonly rows: number; readonly seconds: number; readonly cpuUs: number };

type BatchInput = Extract<Input, { kind: "batch" }>;

const nodes = 200;
/** As the ingest queue groups them. */
const batchesPerGroup = 256;
const seriesPerBatch = 5;
const readingsPerSeries = 10;
const stepMs = 1_000;
/** Above every id that the ledger gives. */
const copiedBatches = 2 ** 40;

async function serve(url: string): Promise<void> {
  const ledger = await openLedger({ url }, founding);
  const devices = Array.from({ length: nodes }, (_, index) => ({ ...makeDevice(`load-${index}`), boot: bootId() }));
  await ledger.enrol(
    devices.map(({ enrolment }) => enrolment),
    slotTime(0),
  );
  let sent = 0;
  let copied = 0;

  /** The next batch in turn: nodes one after the other, times of each rising. */
  function nextBatch(nodeId: NodeId, boot: string, seq: number, round: number): BatchInput {
    const start = slotTime(0) + round * readingsPerSeries * stepMs;
    const times = Array.from({ length: readingsPerSeries }, (_, index) => start + index * stepMs);
    const series = Array.from({ length: seriesPerBatch }, (_, index) =>
      column(
        `load.${index}`,
        times,
        times.map((_at, place) => Math.round(Math.sin(round * 7 + index + place) * 10_000) / 100),
      ),
    );
    return batchInput(nodeId, boot as Parameters<typeof batchInput>[1], {
      seq,
      series,
      receivedAt: slotTime(0) + 1_000,
    });
  }

  const rounds = new Map<NodeId, number>();
  const sequences = new Map<NodeId, number>();
  function group(): BatchInput[] {
    return Array.from({ length: batchesPerGroup }, () => {
      const device = devices[sent++ % nodes];
      if (!device) throw new RangeError("no device");
      const { nodeId, boot } = device;
      const round = 1 + (rounds.get(nodeId) ?? 0);
      rounds.set(nodeId, round);
      return nextBatch(nodeId, boot, 0, round);
    });
  }

  /** Sequences are given to what goes through the ledger only: what is copied leaves no gap. */
  function groups(count: number): BatchInput[][] {
    return Array.from({ length: count }, () =>
      group().map((input) => {
        const seq = 1 + (sequences.get(input.nodeId) ?? 0);
        sequences.set(input.nodeId, seq);
        return { ...input, payload: { ...input.payload, seq } };
      }),
    );
  }

  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const say = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`);
  const rows = (count: number) => count * batchesPerGroup * seriesPerBatch * readingsPerSeries;

  async function timed(count: number, body: () => Promise<void>): Promise<void> {
    say({ ready: true });
    await lines.next();
    const cpu = process.cpuUsage();
    const startedAt = performance.now();
    await body();
    const seconds = (performance.now() - startedAt) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    say({ rows: rows(count), seconds, cpuUs: user + system } satisfies LedgerLoad);
  }

  const client = isPostgres(url) ? new pg.Client({ connectionString: url }) : undefined;
  await client?.connect();

  async function encodeGroups(of: pg.Client, count: number): Promise<Buffer[]> {
    const { rows: channels } = await of.query<{ id: number; node_id: NodeId; series: string }>(
      "select channel.id, node.node_id, channel.series from channel join node on node.id = channel.node",
    );
    const channelOf = new Map(channels.map(({ id, node_id, series }) => [`${node_id} ${series}`, id]));
    return Array.from({ length: count }, () =>
      encodeReadings(
        group().map(({ nodeId, payload, receivedAt, readings, bytes }) => ({
          row: { node: 0, boot: payload.boot, sequence: 0, readings, bytes, received_at: receivedAt },
          day: dayOf(receivedAt),
          series: payload.series,
          id: copiedBatches + copied++,
          channels: payload.series.map(({ s }) => channelOf.get(`${nodeId} ${s}`) ?? 0),
        })),
      ),
    );
  }

  for await (const line of { [Symbol.asyncIterator]: () => lines }) {
    const [what, number] = line.split(" ");
    const count = Number(number);
    if (what === "copy" && client) {
      const encoded = await encodeGroups(client, count);
      await timed(count, async () => {
        for (const bytes of encoded) await copy(client, bytes);
      });
    } else {
      const inputs = groups(count);
      await timed(count, () => admitAll(ledger, inputs));
    }
  }
  await client?.end();
  await ledger.close();
}

async function admitAll(ledger: Ledger, groups: readonly BatchInput[][]): Promise<void> {
  for (const group of groups)
    for (const { rejection } of await ledger.admit(group, orderRules))
      if (rejection) throw new Error(`a batch of the load was refused: ${rejection.code} ${rejection.detail}`);
}

async function copy(client: pg.Client, bytes: Buffer): Promise<void> {
  await client.query("begin");
  await new Promise<void>((resolve, reject) => {
    const stream = client.query(copyFrom(copyReadings));
    stream.once("finish", resolve).on("error", reject);
    stream.end(bytes);
  });
  await client.query("commit");
}

if (import.meta.main) await serve(process.argv[2] ?? "");
