/** Removing what is older than the retention allows. */
import type { Retention } from "../../model.ts";
import { idsPerBatch } from "./admission.ts";
import type { Sqlite } from "./database.ts";

/** Channels that one prune looks at: it must not hold up the next commit. */
const channelsPerPrune = 2_000;
/** Boots of one node whose watermarks are kept. */
const bootsKept = 1_000;

/** The function is to be called inside a transaction, and returns the rows that it removed. */
export function prepareRetention(database: Sqlite): (retention: Retention, now: number) => number {
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
  return ({ readingsMs, evidenceMs, rejections }, now) => {
    let removed = pruneReadings(now - readingsMs) + pruneBatches.run(now - readingsMs).changes;
    removed += pruneDropped.run(now - readingsMs).changes;
    for (const node of restless.all(bootsKept)) removed += pruneBoots.run({ node, kept: bootsKept }).changes;
    removed += pruneEvidence.run(now - evidenceMs).changes;
    removed += pruneWork.run(now - evidenceMs).changes + pruneSlots.run(now - evidenceMs).changes;
    return removed + pruneRejections.run(rejections).changes;
  };
}
