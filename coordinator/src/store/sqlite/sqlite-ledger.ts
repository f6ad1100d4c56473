/** The ledger on SQLite: one file, one writer, group commits. */
import { createPublicKey } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Address, Birth, BootId, EvidenceLevel, NodeId, RejectionCode } from "@cairn/protocol";
import { CoordinatorFault } from "../../fault.ts";
import type { Enrolment, Founding, Ledger, NodeRecord, NodeStatus, Retention, StoredRejection } from "../../model.ts";
import { idsPerBatch, prepareAdmission } from "./admission.ts";
import { openDatabase, type Sqlite } from "./database.ts";
import { prepareEpochs } from "./epochs.ts";

type NodeColumns = {
  id: number;
  node_id: string;
  name: string;
  operator: string;
  public_key: string;
  evidence_level: string;
  enrolled_at: number;
  state: NodeStatus["state"];
  state_since: number | null;
  state_reason: string;
  last_heard_at: number | null;
  last_heard_by: string | null;
  died_boot: string | null;
  birth: string | null;
  boot: string | null;
  boot_count: number | null;
  uptime_seconds: number | null;
  software: string | null;
  readings: number;
  rejections: number;
};

type ReadingColumns = { at: number; value: number; quality: number };

/** Channels that one prune looks at: it must not hold up the next commit. */
const channelsPerPrune = 2_000;
/** Boots of one node whose watermarks are kept. */
const bootsKept = 1_000;

/**
 * Opens the ledger in `path` for the network of `founding`, or founds it there.
 * Throws CoordinatorFault: `ledger-foreign` when the file belongs to another network or to other terms.
 */
export function openSqliteLedger(path: string, founding: Founding): Ledger {
  const database = openDatabase(path);
  found(database, founding);
  const admit = prepareAdmission(database);

  const putNode = database.prepare(
    `insert into node (node_id, name, operator, public_key, evidence_level, enrolled_at) values (?, ?, ?, ?, ?, ?)
     on conflict (node_id) do update set name = excluded.name, operator = excluded.operator, evidence_level = excluded.evidence_level`,
  );
  const enrol = database.transaction((nodes: readonly Enrolment[], at: number) => {
    for (const { nodeId, name, operator, publicKey, evidenceLevel } of nodes)
      putNode.run(nodeId, name, operator, publicKey.export({ format: "pem", type: "spki" }), evidenceLevel, at);
  });
  const allNodes = database.prepare<[], NodeColumns>("select * from node order by name, node_id");
  const putStatus = database.prepare("update node set state = ?, state_since = ?, state_reason = ? where node_id = ?");
  const setStatus = database.transaction((changes: readonly { nodeId: NodeId; status: NodeStatus }[]) => {
    for (const { nodeId, status } of changes) putStatus.run(status.state, status.since, status.reason, nodeId);
  });

  const channelsOf = database.prepare<[string], { id: number; series: string; unit: string }>(
    `select channel.id, series, unit from channel join node on node.id = channel.node where node_id = ? order by series`,
  );
  const newest = database.prepare<[number], ReadingColumns>(
    "select at, value, quality from reading where channel = ? order by at desc, id desc limit 1",
  );
  const between = database.prepare<[number, number, number, number], ReadingColumns>(
    "select at, value, quality from reading where channel = ? and at between ? and ? order by at desc, id desc limit ?",
  );
  type RejectionColumns = {
    node_id: string;
    topic: string;
    code: string;
    detail: string;
    bytes: number;
    at: number;
    count: number;
  };
  const latestRejections = database.prepare<[number], RejectionColumns>(
    "select * from rejection order by at desc limit ?",
  );
  const latestRejectionsOf = database.prepare<[string, number], RejectionColumns>(
    "select * from rejection where node_id = ? order by at desc limit ?",
  );
  const rejectionCounts = database.prepare<[], { code: string; count: number }>("select * from rejection_count");
  const totals = database.prepare<[], { readings: number; batches: number }>("select readings, batches from total");

  const oldestBatchKept = database
    .prepare<[number], number>(
      "select coalesce(min(id), (select coalesce(max(seq), 0) + 1 from sqlite_sequence where name = 'batch')) from batch where received_at >= ?",
    )
    .pluck();
  const channelsFrom = database
    .prepare<[number, number], number>("select id from channel where id > ? order by id limit ?")
    .pluck();
  // From the channel's oldest reading up to the first that is kept: no more rows are read than removed.
  const pruneChannel = database.prepare(
    `delete from reading where channel = @channel and id < @firstIdKept and at < coalesce(
       (select at from reading where channel = @channel and id >= @firstIdKept order by at limit 1), 9007199254740991)`,
  );
  const pruneBatches = database.prepare("delete from batch where received_at < ?");
  const pruneDropped = database.prepare("delete from dropped where stated_at < ?");
  // Of boots older than a node's newest thousand no batch is on its way any more.
  const restless = database
    .prepare<[number], number>("select node from boot group by node having count(*) > ?")
    .pluck();
  const pruneBoots = database.prepare(
    `delete from boot where node = @node and boot_count <
       (select boot_count from boot where node = @node order by boot_count desc limit 1 offset @kept - 1)`,
  );
  let prunedChannel = 0;

  /** Some channels at a time, round and round. */
  function pruneReadings(before: number): number {
    const firstIdKept = (oldestBatchKept.get(before) ?? 0) * idsPerBatch;
    const channels = channelsFrom.all(prunedChannel, channelsPerPrune);
    prunedChannel = channels.length < channelsPerPrune ? 0 : (channels.at(-1) ?? 0);
    return channels.reduce((sum, channel) => sum + pruneChannel.run({ channel, firstIdKept }).changes, 0);
  }

  const oldestSlotKept = `select coalesce(min(slot), 0) from slot
    where closes_at >= ? or epoch > (select coalesce(max(epoch), 0) from epoch)`;
  const pruneEvidence = database.prepare(`delete from evidence where slot < (${oldestSlotKept})`);
  const pruneWork = database.prepare(`delete from work where slot < (${oldestSlotKept})`);
  const pruneSlots = database.prepare(
    "delete from slot where closes_at < ? and epoch <= (select coalesce(max(epoch), 0) from epoch)",
  );
  const pruneRejections = database.prepare(
    "delete from rejection where id in (select id from rejection order by at desc limit -1 offset ?)",
  );
  const prune = database.transaction(({ readingsMs, evidenceMs, rejections }: Retention, now: number) => {
    let removed = pruneReadings(now - readingsMs) + pruneBatches.run(now - readingsMs).changes;
    removed += pruneDropped.run(now - readingsMs).changes;
    for (const node of restless.all(bootsKept)) removed += pruneBoots.run({ node, kept: bootsKept }).changes;
    removed += pruneEvidence.run(now - evidenceMs).changes;
    removed += pruneWork.run(now - evidenceMs).changes + pruneSlots.run(now - evidenceMs).changes;
    return removed + pruneRejections.run(rejections).changes;
  });

  return {
    ...prepareEpochs(database),
    async enrol(nodes, at) {
      enrol.immediate(nodes, at);
    },
    async nodes() {
      return allNodes.all().map(nodeRecord);
    },
    async setStatus(changes) {
      if (changes.length > 0) setStatus.immediate(changes);
    },
    async admit(inputs, rules) {
      return admit(inputs, rules);
    },
    async latestReadings(nodeId) {
      return channelsOf.all(nodeId).flatMap(({ id, series, unit }) => {
        const row = newest.get(id);
        return row ? [{ series, unit, ...row }] : [];
      });
    },
    async readings(nodeId, series, from, to, limit) {
      const channel = channelsOf.all(nodeId).find((row) => row.series === series);
      if (!channel) return null;
      const rows = between.all(channel.id, from, to, limit).reverse();
      return {
        series,
        unit: channel.unit,
        times: rows.map(({ at }) => at),
        values: rows.map(({ value }) => value),
        qualities: rows.map(({ quality }) => quality),
      };
    },
    async rejections(limit, nodeId) {
      const rows = nodeId === undefined ? latestRejections.all(limit) : latestRejectionsOf.all(nodeId, limit);
      return rows.map(
        (row): StoredRejection => ({
          at: row.at,
          nodeId: row.node_id === "" ? null : (row.node_id as NodeId),
          topic: row.topic,
          rejection: { code: row.code as RejectionCode, detail: row.detail },
          bytes: row.bytes,
          count: row.count,
        }),
      );
    },
    async rejectionCounts() {
      return new Map(rejectionCounts.all().map(({ code, count }) => [code, count]));
    },
    async counts() {
      return totals.get() ?? { readings: 0, batches: 0 };
    },
    async prune(retention, now) {
      return prune.immediate(retention, now);
    },
    async close() {
      database.pragma("wal_checkpoint(truncate)");
      database.close();
    },
  };
}

/** Writes the founding terms into a new ledger; refuses a ledger that was founded on others. */
function found(database: Sqlite, founding: Founding): void {
  const terms = encodeFounding(founding);
  const known = foundingText(database);
  if (known === undefined) database.prepare("insert into network values (1, ?)").run(terms);
  else if (!isDeepStrictEqual(decodeFounding(known), founding)) {
    database.close();
    throw new CoordinatorFault(
      "ledger-foreign",
      `the ledger belongs to a network founded as ${known}, not as ${terms}: start over in an empty data folder, or with the old settings`,
    );
  }
}

/** The terms on which the network in this ledger file was founded; undefined for a new file. */
export function foundingOf(path: string): Founding | undefined {
  const database = openDatabase(path);
  const text = foundingText(database);
  database.close();
  return text === undefined ? undefined : decodeFounding(text);
}

function foundingText(database: Sqlite): string | undefined {
  return database.prepare<[], string>("select founding from network").pluck().get();
}

function encodeFounding(founding: Founding): string {
  const { epochBudget, ...parameters } = founding.parameters;
  return JSON.stringify({ ...founding, parameters: { ...parameters, epochBudget: epochBudget.toString() } });
}

function decodeFounding(text: string): Founding {
  const founding = JSON.parse(text);
  return { ...founding, parameters: { ...founding.parameters, epochBudget: BigInt(founding.parameters.epochBudget) } };
}

function nodeRecord(row: NodeColumns): NodeRecord {
  return {
    nodeId: row.node_id as NodeId,
    name: row.name,
    operator: row.operator as Address,
    publicKey: createPublicKey(row.public_key),
    evidenceLevel: row.evidence_level as EvidenceLevel,
    enrolledAt: row.enrolled_at,
    status: { state: row.state, since: row.state_since, reason: row.state_reason },
    lastHeardAt: row.last_heard_at,
    lastHeardBy: row.last_heard_by,
    diedBoot: row.died_boot as BootId | null,
    birth: row.birth === null ? null : (JSON.parse(row.birth) as Birth),
    boot: row.boot as BootId | null,
    bootCount: row.boot_count,
    uptimeSeconds: row.uptime_seconds,
    software: row.software,
    readingsStored: row.readings,
    rejections: row.rejections,
  };
}
