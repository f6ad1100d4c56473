/**
 * Writing inputs: the order of each is judged and its marker and effect are written in one transaction for the whole group. Several
 * replicas do so at the same time: those that bring something of the same node take turns, others do not wait.
 */
import { CoordinatorFault } from "../../fault.ts";
import type { Input, OrderRules, Verdict } from "../../model.ts";
import type { Postgres, Transaction } from "./database.ts";
import {
  answerKey,
  type BootRow,
  type ChannelRow,
  channelKey,
  type Effects,
  judgeGroup,
  type Known,
  type NewBatch,
  type NodeRow,
} from "./group.ts";
import { dayOf, isPartitionMissing, type Partitions } from "./partitions.ts";
import { copyReadings, encodeReadings, listReadings, type StoredBatch } from "./reading-rows.ts";

/** Up to here one more statement is quicker than a COPY. */
const readingsPerInsert = 100;
/** Rows of one count, so that commits at the same time do not wait for each other. */
const shards = 64;

export type Admission = (inputs: readonly Input[], rules: OrderRules) => Promise<readonly Verdict[]>;

type StoredChannel = ChannelRow & { readonly id: number };
type Nodes = ReadonlyMap<string, NodeRow>;

export function createAdmission({ transaction }: Postgres, partitions: Partitions): Admission {
  /** Ids of channels that are stored for good: none ever changes or goes. */
  const channels = new Map<string, number>();

  async function admitOnce(inputs: readonly Input[], rules: OrderRules, days: ReadonlySet<number>) {
    await partitions.ensure(days);
    const { verdicts, found } = await transaction(async (tx) => {
      const nodes = await lockNodes(tx, inputs);
      const found = await loadChannels(tx, inputs, nodes, channels);
      const known: Known = {
        nodes,
        boots: await loadBoots(tx, inputs, nodes),
        answered: await loadAnswers(tx, inputs, nodes),
        hasChannel: (key) => channels.has(key) || found.has(key),
        channelCounts: countByNode(found),
      };
      const judged = inputsFault(() => judgeGroup(inputs, rules, known));
      const { batches, ...effects } = judged.effects;
      for (const row of await putChannels(tx, effects)) found.set(keyOf(row), row);
      const idOf = (key: string) => channels.get(key) ?? found.get(key)?.id;
      await putReadings(tx, await putBatches(tx, batches, idOf));
      await putEffects(tx, effects);
      return { verdicts: judged.verdicts, found };
    });
    for (const [key, { id }] of found) channels.set(key, id);
    return verdicts;
  }

  async function admit(inputs: readonly Input[], rules: OrderRules): Promise<readonly Verdict[]> {
    const days = inputsFault(() => daysOf(inputs));
    for (let attempt = 1; ; attempt++)
      try {
        const verdicts = await admitOnce(inputs, rules, days);
        if (days.size > 0) partitions.prepareNext(days);
        return verdicts;
      } catch (cause) {
        if (attempt > 1 || !isPartitionMissing(cause)) throw cause;
        partitions.forget();
      }
  }

  // One process hands its groups in in the order of arrival, and that is the order in which they are taken.
  let last: Promise<unknown> = Promise.resolve();
  return (inputs, rules) => {
    const admitted = last.then(() => (inputs.length === 0 ? [] : admit(inputs, rules)));
    last = admitted.catch(() => {});
    return admitted;
  };
}

/** In the order of their ids, so that two groups cannot each wait for the other. */
async function lockNodes(tx: Transaction, inputs: readonly Input[]): Promise<Nodes> {
  const wanted = new Set(inputs.flatMap(({ nodeId }) => nodeId ?? []));
  const ended = new Set(inputs.flatMap((input) => (input.kind === "death" ? input.nodeId : [])));
  const rows = await tx.rows<NodeRow>(
    `select id, node_id, died_boot, case when node_id = any ($2) then birth end as birth
     from node where node_id = any ($1) order by id for no key update`,
    [[...wanted], [...ended]],
    "lock nodes",
  );
  return new Map(rows.map((row) => [row.node_id, row]));
}

/**
 * Boots that are named, boots that use the counters that are named, and of each node the newest boot that gave evidence. `limit` makes
 * each a look into an index, however the planner thinks of the table's size.
 */
async function loadBoots(tx: Transaction, inputs: readonly Input[], nodes: Nodes): Promise<readonly BootRow[]> {
  const asked = inputs.flatMap((input) => {
    const node = input.nodeId === null ? undefined : nodes.get(input.nodeId)?.id;
    if (node === undefined) return [];
    if (input.kind === "batch") return { node, boot: input.payload.boot, boot_count: input.payload.n };
    if (input.kind === "evidence") return { node, boot: input.boot, boot_count: input.bootCount };
    return input.kind === "refused" && input.batch ? { node, boot: input.batch.boot, boot_count: null } : [];
  });
  if (asked.length === 0) return [];
  return tx.rows<BootRow>(
    `with asked as materialized (
       select distinct node, boot, boot_count from json_to_recordset($1) as asked (node int, boot text, boot_count bigint)
     )
     select named.* from asked, lateral (
       select node, boot, boot_count, stored_up_to, ahead, in_evidence from boot
       where boot.node = asked.node and boot.boot = asked.boot limit 1
     ) as named
     union all
     select counted.* from asked, lateral (
       select node, boot, boot_count, stored_up_to, ahead, in_evidence from boot
       where boot.node = asked.node and boot.boot_count = asked.boot_count limit 1
     ) as counted
     union all
     select newest.* from (select distinct node from asked) as asked, lateral (
       select node, boot, boot_count, stored_up_to, ahead, in_evidence from boot
       where boot.node = asked.node and in_evidence = 1 order by boot_count desc limit 1
     ) as newest`,
    [JSON.stringify(asked)],
    "load boots",
  );
}

/** Of evidence in the group, what is answered already. */
async function loadAnswers(tx: Transaction, inputs: readonly Input[], nodes: Nodes): Promise<ReadonlySet<string>> {
  const asked = inputs.flatMap((input) =>
    input.kind === "evidence" ? { slot: input.slot, node: nodes.get(input.nodeId)?.id } : [],
  );
  if (asked.length === 0) return new Set();
  const rows = await tx.rows<{ slot: number; node: number }>(
    `select answer.* from json_to_recordset($1) as asked (slot bigint, node int), lateral (
       select slot, node from evidence where evidence.slot = asked.slot and evidence.node = asked.node limit 1
     ) as answer`,
    [JSON.stringify(asked)],
    "load answers",
  );
  return new Set(rows.map(({ slot, node }) => answerKey(slot, node)));
}

/** All stored channels of the nodes that name one which this process has not seen yet. */
async function loadChannels(
  tx: Transaction,
  inputs: readonly Input[],
  nodes: Nodes,
  seen: ReadonlyMap<string, number>,
): Promise<Map<string, StoredChannel>> {
  const asking = new Set<number>();
  for (const input of inputs) {
    const node = input.kind === "batch" ? nodes.get(input.nodeId)?.id : undefined;
    if (input.kind !== "batch" || node === undefined || asking.has(node)) continue;
    if (input.payload.series.some(({ s, u }) => !seen.has(channelKey(node, s, u)))) asking.add(node);
  }
  if (asking.size === 0) return new Map();
  const rows = await tx.rows<StoredChannel>("select id, node, series, unit from channel where node = any ($1)", [
    [...asking],
  ]);
  return new Map(rows.map((row) => [keyOf(row), row]));
}

async function putChannels(
  tx: Transaction,
  { channels }: Pick<Effects, "channels">,
): Promise<readonly StoredChannel[]> {
  if (channels.length === 0) return [];
  return tx.rows<StoredChannel>(
    `insert into channel (node, series, unit)
     select node, series, unit from json_to_recordset($1) as new (node int, series text, unit text)
     returning id, node, series, unit`,
    [JSON.stringify(channels)],
  );
}

/** Ids are given in the order of the batches. */
async function putBatches(
  tx: Transaction,
  batches: readonly NewBatch[],
  channelOf: (key: string) => number | undefined,
): Promise<readonly StoredBatch[]> {
  if (batches.length === 0) return [];
  const ids = await tx.rows<{ id: number }>(
    `insert into batch (node, boot, sequence, readings, bytes, received_at)
     select node, boot, sequence, readings, bytes, received_at from json_to_recordset($1) as new (
       node int, boot text, sequence bigint, readings int, bytes bigint, received_at bigint
     )
     returning id`,
    [JSON.stringify(batches.map(({ row }) => row))],
    "put batches",
  );
  return batches.map((batch, index) => {
    const channels = batch.series.map(({ s, u }) => channelOf(channelKey(batch.row.node, s, u)));
    const id = ids[index]?.id;
    if (id === undefined || !channels.every((channel) => channel !== undefined))
      throw new Error("a batch that was written has no id, or one of its series none");
    return { ...batch, id, channels };
  });
}

async function putReadings(tx: Transaction, batches: readonly StoredBatch[]): Promise<void> {
  const count = batches.reduce((sum, { row }) => sum + row.readings, 0);
  if (count > readingsPerInsert)
    return tx.copy(
      copyReadings,
      inputsFault(() => encodeReadings(batches)),
    );
  const rows = inputsFault(() => listReadings(batches));
  if (rows.length === 0) return;
  await tx.run(
    `insert into reading (at, id, value, channel, day, quality)
     select at, id, value, channel, day, quality from json_to_recordset($1) as new (
       at bigint, id bigint, value double precision, channel int, day int, quality smallint
     )`,
    [JSON.stringify(rows)],
    "put readings",
  );
}

/** Everything beside batches and readings. What others may write too comes last: it is locked for the shortest time. */
async function putEffects(tx: Transaction, effects: Omit<Effects, "batches">): Promise<void> {
  const put = async (rows: readonly object[], name: string, text: string) => {
    if (rows.length > 0) await tx.run(text, [JSON.stringify(rows)], name);
  };
  await put(
    effects.boots,
    "put boots",
    `insert into boot (node, boot, boot_count, stored_up_to, ahead, in_evidence)
     select node, boot, boot_count, stored_up_to, ahead, in_evidence from json_to_recordset($1) as new (
       node int, boot text, boot_count bigint, stored_up_to bigint, ahead text, in_evidence int
     )
     on conflict (node, boot) do update set
       stored_up_to = excluded.stored_up_to, ahead = excluded.ahead, in_evidence = excluded.in_evidence`,
  );
  await put(
    effects.dropped,
    "put dropped",
    `insert into dropped (node, boot, first_sequence, last_sequence, readings, reason, stated_at)
     select node, boot, first_sequence, last_sequence, readings, reason, stated_at from json_to_recordset($1) as new (
       node int, boot text, first_sequence bigint, last_sequence bigint, readings bigint, reason text, stated_at bigint
     )
     on conflict do nothing`,
  );
  await put(
    effects.work,
    "put work",
    `insert into work (slot, node, readings)
     select slot, node, readings from json_to_recordset($1) as new (slot bigint, node int, readings bigint)
     on conflict (slot, node) do update set readings = work.readings + excluded.readings`,
  );
  await put(
    effects.evidence,
    "put evidence",
    `insert into evidence (slot, node, received_at, token)
     select slot, node, received_at, token
     from json_to_recordset($1) as new (slot bigint, node int, received_at bigint, token text)`,
  );
  await put(
    effects.nodes,
    "change nodes",
    `update node set
       last_heard_at = coalesce(change.last_heard_at, node.last_heard_at),
       last_heard_by = coalesce(change.last_heard_by, node.last_heard_by),
       died_boot = change.died_boot,
       birth = coalesce(change.birth, node.birth),
       boot = coalesce(change.boot, node.boot),
       boot_count = coalesce(change.boot_count, node.boot_count),
       uptime_seconds = coalesce(change.uptime_seconds, node.uptime_seconds),
       software = coalesce(change.software, node.software),
       readings = node.readings + change.readings,
       rejections = node.rejections + change.rejections
     from json_to_recordset($1) as change (
       id int, last_heard_at bigint, last_heard_by text, died_boot text, birth text, boot text, boot_count bigint,
       uptime_seconds bigint, software text, readings bigint, rejections bigint
     )
     where node.id = change.id`,
  );
  await put(
    effects.rejections,
    "put rejections",
    `insert into rejection (node_id, topic, code, detail, bytes, sample, first_at, at, count)
     select node_id, topic, code, detail, bytes, decode(sample, 'hex'), first_at, at, count
     from json_to_recordset($1) as new (
       node_id text, topic text, code text, detail text, bytes bigint, sample text, first_at bigint, at bigint,
       count bigint
     )
     on conflict (node_id, topic, code, detail) do update set
       at = excluded.at, bytes = excluded.bytes, sample = excluded.sample, count = rejection.count + excluded.count`,
  );
  await put(
    effects.rejectionCounts,
    "count rejections",
    `insert into rejection_count (code, shard, count)
     select code, pg_backend_pid() % ${shards}, count from json_to_recordset($1) as new (code text, count bigint)
     on conflict (code, shard) do update set count = rejection_count.count + excluded.count`,
  );
  await put(
    effects.totals,
    "add totals",
    `insert into total (shard, readings, batches)
     select pg_backend_pid() % ${shards}, readings, batches from json_to_recordset($1) as new (readings bigint, batches bigint)
     on conflict (shard) do update set
       readings = total.readings + excluded.readings, batches = total.batches + excluded.batches`,
  );
}

function countByNode(channels: ReadonlyMap<string, StoredChannel>): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const { node } of channels.values()) counts.set(node, 1 + (counts.get(node) ?? 0));
  return counts;
}

function keyOf({ node, series, unit }: ChannelRow): string {
  return channelKey(node, series, unit);
}

function daysOf(inputs: readonly Input[]): ReadonlySet<number> {
  return new Set(inputs.flatMap((input) => (input.kind === "batch" ? dayOf(input.receivedAt) : [])));
}

/** What a value of an input makes the program itself throw is the input's fault, as if the database had refused it. */
function inputsFault<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof RangeError || cause instanceof TypeError)) throw cause;
    throw new CoordinatorFault("input-unstorable", `an input cannot be stored: ${cause.message}`, { cause });
  }
}
