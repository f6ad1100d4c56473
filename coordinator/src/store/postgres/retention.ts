/** Removing what is older than the retention allows, in steps that hold nobody up for long. */
import type { Retention } from "../../model.ts";
import type { Transaction } from "./database.ts";
import { dayOf, type Partitions, partitionName, startOf } from "./partitions.ts";
import { idsPerBatch } from "./reading-rows.ts";

/** Boots of one node whose watermarks are kept. */
const bootsKept = 1_000;
const rowsPerStep = 10_000;
/** Steps for one table in one prune: the rest is for the next. */
const stepsPerTable = 100;
/** Readings of the day in which the retention ends. What is left of it goes with its partition, when the day is over. */
const boundaryRows = 50_000;

/** Runs its body in a transaction of its own, under a fence if there is one. */
export type Run = <T>(body: (tx: Transaction) => Promise<T>) => Promise<T>;

/** Returns the rows that were removed; those of whole partitions by the database's own estimate. */
export async function prune(
  run: Run,
  partitions: Partitions,
  { readingsMs, evidenceMs, rejections }: Retention,
  now: number,
): Promise<number> {
  const readingsBefore = now - readingsMs;
  const evidenceBefore = now - evidenceMs;
  let removed = await run((tx) => pruneBoundary(tx, readingsBefore));
  // Dropping is no part of a transaction: this one does nothing but to keep the duty in these hands meanwhile.
  removed += await run(async (tx) => {
    await tx.run("set local idle_in_transaction_session_timeout = 0");
    return partitions.dropBefore(readingsBefore);
  });
  for (const [text, ...values] of [
    [batches, readingsBefore],
    [dropped, readingsBefore],
    [boots, bootsKept],
    [evidence, evidenceBefore],
    [work, evidenceBefore],
    [slots, evidenceBefore],
    [excessRejections, rejections],
  ] as const)
    removed += await inSteps(run, text, values);
  await partitions.ensureNow();
  return removed;
}

/** `text` removes at most $1 rows. */
async function inSteps(run: Run, text: string, values: readonly unknown[]): Promise<number> {
  let removed = 0;
  for (let step = 0; step < stepsPerTable; step++) {
    const rows = await run((tx) => tx.run(text, [rowsPerStep, ...values]));
    removed += rows;
    if (rows < rowsPerStep) break;
  }
  return removed;
}

/** Ids only rise: readings below those of the day's first batch that is kept are too old. */
async function pruneBoundary(tx: Transaction, before: number): Promise<number> {
  if (before <= 0) return 0;
  const day = dayOf(before);
  const partition = partitionName(day);
  const [there] = await tx.rows("select where to_regclass($1) is not null", [partition]);
  if (!there) return 0;
  return tx.run(
    `delete from ${partition} where ctid = any (array(
       select ctid from ${partition} where id < ${idsPerBatch} * coalesce(
         (select min(id) from batch where received_at >= $1 and received_at < $2), ${2 ** 53 / idsPerBatch})
       limit $3))`,
    [before, startOf(day + 1), boundaryRows],
  );
}

const batches = `
  delete from batch where id in (select id from batch where received_at < $2 order by received_at limit $1)`;

const dropped = `
  delete from dropped where ctid = any (array(select ctid from dropped where stated_at < $2 limit $1))`;

/** Of boots older than a node's newest ones no batch is on its way any more. */
const boots = `
  delete from boot where (node, boot) in (
    select node, oldest.boot from (select node from boot group by node having count(*) > $2) as restless, lateral (
      select boot from boot where boot.node = restless.node order by boot_count desc offset $2
    ) as oldest
    limit $1
  )`;

/** Slots of an epoch without an outcome are kept, and what belongs to them. */
const oldestSlotKept = `
  select coalesce(min(slot), 0) from slot where closes_at >= $2 or epoch > (select coalesce(max(epoch), 0) from epoch)`;
const evidence = `
  delete from evidence where (slot, node) in (
    select slot, node from evidence where slot < (${oldestSlotKept}) order by slot limit $1)`;
const work = `
  delete from work where (slot, node) in (
    select slot, node from work where slot < (${oldestSlotKept}) order by slot limit $1)`;
const slots = `
  delete from slot where slot in (
    select slot from slot where closes_at < $2 and epoch <= (select coalesce(max(epoch), 0) from epoch)
    order by slot limit $1)`;

/** Always the same order, for those who write the same rows: the newest stay. */
const excessRejections = `
  delete from rejection where id in (select id from rejection order by at desc, id desc limit $1 offset $2)`;
