/**
 * What is asked of a ledger, written once for every engine. Writes are each engine's own: there the engines differ, and there it is
 * decided what is durable. Where an answer takes several queries they see one moment.
 */
import type { Address, EvidenceLevel, NodeId } from "@cairn/protocol";
import { type ExpressionBuilder, type Kysely, type RawBuilder, type Selectable, sql } from "kysely";
import type { Ledger } from "../model.ts";
import {
  dutyRecord,
  type EpochRows,
  epochOutcome,
  epochRecord,
  intentRecord,
  nodeOutcome,
  nodeRecord,
  rejectionRecord,
  replicaRecord,
  slotRecord,
} from "./records.ts";
import type { EpochTable, Tables } from "./tables.ts";

export type Queries = Pick<
  Ledger,
  | "clock"
  | "duties"
  | "replicas"
  | "nodes"
  | "slots"
  | "answers"
  | "unfinishedEpochs"
  | "epochFacts"
  | "epochs"
  | "epoch"
  | "nodeRewards"
  | "nodeEarned"
  | "unsettled"
  | "latestReadings"
  | "readings"
  | "rejections"
  | "rejectionCounts"
  | "counts"
>;

/** Written out and not bound: an index that holds only these is used only for them. */
const onTheirWay = [sql.lit("closed" as const), sql.lit("posted" as const)];

/** `clock`: the engine's expression for its own time, whole unix ms. */
export function createQueries(db: Kysely<Tables>, clock: RawBuilder<number>): Queries {
  const slots = db.selectFrom("slot").selectAll().orderBy("slot");
  const rejections = db
    .selectFrom("rejection")
    .select(["at", "node_id", "topic", "code", "detail", "bytes", "count"])
    .orderBy("at", "desc")
    .orderBy("id", "desc");

  return {
    async clock() {
      const { rows } = await sql<{ now: number }>`select ${clock} as now`.execute(db);
      return Number(rows[0]?.now);
    },
    async duties() {
      return (await db.selectFrom("duty").selectAll().orderBy("duty").execute()).map(dutyRecord);
    },
    async replicas(withinMs) {
      const rows = await db
        .selectFrom("replica")
        .selectAll()
        .where("seen_at", ">=", sql<number>`${clock} - ${sql.lit(withinMs)}`)
        .orderBy("name")
        .execute();
      return rows.map(replicaRecord);
    },

    async nodes() {
      return (await db.selectFrom("node").selectAll().orderBy("name").orderBy("node_id").execute()).map(nodeRecord);
    },

    async slots(firstSlot) {
      return (await slots.where("slot", ">=", firstSlot).execute()).map(slotRecord);
    },
    async answers(first, last) {
      const rows = await answersIn(db, first, last).execute();
      return rows.map(({ node_id, slot, received_at }) => ({
        nodeId: node_id as NodeId,
        slot,
        receivedAt: received_at,
      }));
    },

    async unfinishedEpochs() {
      const rows = await db
        .selectFrom("slot")
        .select("epoch")
        .distinct()
        .where("epoch", ">", (eb) =>
          eb.selectFrom("epoch").select(({ fn }) => fn.coalesce(fn.max("epoch.epoch"), sql.lit(0)).as("newest")),
        )
        .orderBy("epoch")
        .execute();
      return rows.map(({ epoch }) => epoch);
    },
    async epochFacts(epoch, firstSlot, slotCount) {
      const lastSlot = firstSlot + slotCount - 1;
      return atOneMoment(db, async (moment) => {
        const answered = slotsByNode(await answersIn(moment, firstSlot, lastSlot).execute());
        const worked = slotsByNode(await workIn(moment, firstSlot, lastSlot).execute());
        const enrolled = await moment
          .selectFrom("node")
          .select(["node_id", "operator", "evidence_level"])
          .orderBy("node_id")
          .execute();
        const earned = await moment
          .selectFrom("earned")
          .select(["whose", "amount"])
          .where("whose", "like", "0x%")
          .execute();
        const opened = await moment.selectFrom("slot").selectAll().where("epoch", "=", epoch).orderBy("slot").execute();
        return {
          epoch,
          firstSlot,
          slotCount,
          slots: opened.map(slotRecord),
          nodes: enrolled.map((row) => ({
            nodeId: row.node_id as NodeId,
            operator: row.operator as Address,
            evidenceLevel: row.evidence_level as EvidenceLevel,
            answered: answered.get(row.node_id) ?? [],
            worked: worked.get(row.node_id) ?? [],
          })),
          earnedBefore: new Map(earned.map(({ whose, amount }) => [whose as Address, BigInt(amount)])),
        };
      });
    },
    async epochs(limit) {
      return atOneMoment(db, async (moment) => {
        const rows = await moment.selectFrom("epoch").selectAll().orderBy("epoch", "desc").limit(limit).execute();
        return (await withParts(moment, rows)).map(epochRecord);
      });
    },
    async epoch(epoch) {
      return atOneMoment(db, async (moment) => {
        const rows = await moment.selectFrom("epoch").selectAll().where("epoch", "=", epoch).execute();
        return (await withParts(moment, rows)).map(epochRecord)[0];
      });
    },
    async nodeRewards(nodeId, limit) {
      const rows = await db
        .selectFrom("epoch_node")
        .selectAll()
        .where("node_id", "=", nodeId)
        .orderBy("epoch", "desc")
        .limit(limit)
        .execute();
      return rows.map((row) => ({ ...nodeOutcome(row), epoch: row.epoch }));
    },
    async nodeEarned(nodeId) {
      const row = await db.selectFrom("earned").select("amount").where("whose", "=", nodeId).executeTakeFirst();
      return BigInt(row?.amount ?? "0");
    },
    async unsettled() {
      return atOneMoment(db, async (moment) => {
        const rows = await moment
          .selectFrom("epoch")
          .selectAll()
          .where("state", "in", onTheirWay)
          .orderBy("epoch")
          .execute();
        const open = await moment
          .selectFrom("intent")
          .select(["kind", "epoch", "operator", "tx_hash", "raw"])
          .where("state", "=", sql.lit("open" as const))
          .orderBy("made_at")
          .execute();
        return (await withParts(moment, rows)).map((parts) => ({
          outcome: epochOutcome(parts),
          posted: parts.row.state === "posted",
          paid: parts.operators.filter(({ paid }) => paid === 1).map(({ operator }) => operator as Address),
          intents: open.filter(({ epoch }) => epoch === parts.row.epoch).map(intentRecord),
        }));
      });
    },

    async latestReadings(nodeId) {
      const rows = await db
        .selectFrom("channel")
        .innerJoin("node", "node.id", "channel.node")
        .select(["channel.series", "channel.unit"])
        .select((eb) => [
          newest(eb, "at").as("at"),
          newest(eb, "value").as("value"),
          newest(eb, "quality").as("quality"),
        ])
        .where("node.node_id", "=", nodeId)
        .orderBy("channel.series")
        .orderBy("channel.unit")
        .execute();
      return rows.flatMap(({ series, unit, at, value, quality }) =>
        at === null || value === null || quality === null ? [] : [{ series, unit, at, value, quality }],
      );
    },
    async readings(nodeId, series, from, to, limit) {
      const channel = await db
        .selectFrom("channel")
        .innerJoin("node", "node.id", "channel.node")
        .select(["channel.id", "channel.unit"])
        .where("node.node_id", "=", nodeId)
        .where("channel.series", "=", series)
        .orderBy("channel.unit")
        .limit(1)
        .executeTakeFirst();
      if (!channel) return null;
      const newestFirst = await db
        .selectFrom("reading")
        .select(["at", "value", "quality"])
        .where("channel", "=", channel.id)
        .where("at", ">=", from)
        .where("at", "<=", to)
        .orderBy("at", "desc")
        .orderBy("id", "desc")
        .limit(limit)
        .execute();
      const rows = newestFirst.reverse();
      return {
        series,
        unit: channel.unit,
        times: rows.map(({ at }) => at),
        values: rows.map(({ value }) => value),
        qualities: rows.map(({ quality }) => quality),
      };
    },
    async rejections(limit, nodeId) {
      const wanted = nodeId === undefined ? rejections : rejections.where("node_id", "=", nodeId);
      return (await wanted.limit(limit).execute()).map(rejectionRecord);
    },
    async rejectionCounts() {
      const rows = await db
        .selectFrom("rejection_count")
        .select(["code", ({ fn }) => fn.sum<number | string>("count").as("count")])
        .groupBy("code")
        .execute();
      return new Map(rows.map(({ code, count }) => [code, Number(count)]));
    },
    async counts() {
      const row = await db
        .selectFrom("total")
        .select(({ fn }) => [
          fn.sum<number | string | null>("readings").as("readings"),
          fn.sum<number | string | null>("batches").as("batches"),
        ])
        .executeTakeFirst();
      return { readings: Number(row?.readings ?? 0), batches: Number(row?.batches ?? 0) };
    },
  };
}

/** Runs the queries of one answer on one state of the ledger. */
function atOneMoment<T>(db: Kysely<Tables>, ask: (moment: Kysely<Tables>) => Promise<T>): Promise<T> {
  return db.transaction().setIsolationLevel("repeatable read").setAccessMode("read only").execute(ask);
}

function answersIn(db: Kysely<Tables>, first: number, last: number) {
  return db
    .selectFrom("evidence")
    .innerJoin("node", "node.id", "evidence.node")
    .select(["node.node_id", "evidence.slot", "evidence.received_at"])
    .where("evidence.slot", ">=", first)
    .where("evidence.slot", "<=", last);
}

function workIn(db: Kysely<Tables>, first: number, last: number) {
  return db
    .selectFrom("work")
    .innerJoin("node", "node.id", "work.node")
    .select(["node.node_id", "work.slot"])
    .where("work.slot", ">=", first)
    .where("work.slot", "<=", last);
}

/** One column of a channel's newest reading: found in the index, whatever the channel holds. */
function newest<C extends "at" | "value" | "quality">(eb: ExpressionBuilder<Tables, "channel" | "node">, column: C) {
  return eb
    .selectFrom("reading")
    .select(`reading.${column}` as const)
    .whereRef("reading.channel", "=", "channel.id")
    .orderBy("reading.at", "desc")
    .orderBy("reading.id", "desc")
    .limit(1);
}

/** Epochs with their nodes and operators, in the order of the epochs given. */
async function withParts(db: Kysely<Tables>, rows: readonly Selectable<EpochTable>[]): Promise<EpochRows[]> {
  if (rows.length === 0) return [];
  const epochs = rows.map(({ epoch }) => epoch);
  const nodes = await db
    .selectFrom("epoch_node")
    .selectAll()
    .where("epoch", "in", epochs)
    .orderBy("epoch")
    .orderBy("node_id")
    .execute();
  const operators = await db
    .selectFrom("epoch_operator")
    .selectAll()
    .where("epoch", "in", epochs)
    .orderBy("epoch")
    .orderBy("operator")
    .execute();
  const nodesOf = Map.groupBy(nodes, ({ epoch }) => epoch);
  const operatorsOf = Map.groupBy(operators, ({ epoch }) => epoch);
  return rows.map((row) => ({
    row,
    nodes: nodesOf.get(row.epoch) ?? [],
    operators: operatorsOf.get(row.epoch) ?? [],
  }));
}

function slotsByNode(rows: readonly { node_id: string; slot: number }[]): Map<string, number[]> {
  const slots = new Map<string, number[]>();
  for (const { node_id, slot } of rows) {
    const own = slots.get(node_id);
    if (own) own.push(slot);
    else slots.set(node_id, [slot]);
  }
  for (const own of slots.values()) own.sort((a, b) => a - b);
  return slots;
}
