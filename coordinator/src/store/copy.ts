/**
 * Moves a live network from a SQLite file to PostgreSQL: page by page from one moment of the source, which may go on meanwhile, then
 * compared row for row. Cut at any point, the same command goes on; run again later, it brings what came since.
 */
import { Kysely, PostgresDialect, sql } from "kysely";
import { CoordinatorFault } from "../fault.ts";
import type { EpochFacts, EpochOutcome, EpochRecord, Ledger, RewardParameters } from "../model.ts";
import {
  differences,
  digestOf,
  digestsOf,
  type LedgerRows,
  type Progress,
  pagesOf,
  sqliteRows,
  type TableDigest,
} from "./copy-rows.ts";
import { type CopiedTable, copiedTables, type Row } from "./copy-tables.ts";
import { type CopyTarget, onCopyTarget, type Placement } from "./copy-target.ts";
import { decodeFounding } from "./founding.ts";
import { checkThere } from "./ledger.ts";
import { faultOf, openPool, postgresClock } from "./postgres/database.ts";
import { dayOf } from "./postgres/partitions.ts";
import { createQueries } from "./queries.ts";
import { idsPerBatch } from "./sqlite/admission.ts";
import { openDatabase, openReader, type Sqlite, faultOf as sqliteFaultOf } from "./sqlite/database.ts";
import type { Tables } from "./tables.ts";

export type Copy = {
  /** The source's file; a coordinator may run on it. */
  readonly from: string;
  /** postgres://USER:PASSWORD@HOST:PORT/DATABASE */
  readonly to: string;
  readonly progress: Progress;
  /** What the facts of an epoch come to, as the coordinator decides it. */
  outcomeOf(facts: EpochFacts, parameters: RewardParameters): EpochOutcome;
};

/** What was copied, and how it is known to be the same. */
export type CopyReport = {
  /** The same on both sides. */
  readonly tables: readonly TableDigest[];
  /** Rows that this run wrote. */
  readonly written: number;
  readonly replayed: Replay | null;
};

/** The newest closed epoch, whose outcome was computed anew from the copied facts; `kept` false: its evidence is no longer kept. */
export type Replay = { readonly epoch: number; readonly root: string | null; readonly kept: boolean };

/** A page of the longest rows over a slow line takes less. */
const patienceMs = 3_600_000;

/**
 * Throws CoordinatorFault: `file-missing` when there is no source, `ledger-foreign` when the target holds something else,
 * `ledger-unreachable` when a side does not answer, `ledger-damaged` when the copy is not the same.
 */
export async function copyLedger({ from, to, progress, outcomeOf }: Copy): Promise<CopyReport> {
  const source = openSource(from);
  const postgres = openPool(to, {
    connections: 3,
    statementTimeoutMs: patienceMs,
    lockTimeoutMs: patienceMs,
    idleInTransactionTimeoutMs: patienceMs,
    applicationName: "cairn-ledger-copy",
  });
  try {
    return await onCopyTarget(postgres, source.terms, async (target) => {
      const report = await bringOver(source, target, progress);
      const queries = createQueries(
        new Kysely<Tables>({ dialect: new PostgresDialect({ pool: postgres.pool }) }),
        sql<number>`${sql.raw(postgresClock)}`,
      );
      const replayed = await replay(queries, decodeFounding(source.terms).parameters, outcomeOf);
      await target.finish(source.lastBatch);
      return { ...report, replayed };
    });
  } catch (cause) {
    throw faultOf(sqliteFaultOf(cause));
  } finally {
    source.close();
    await postgres.pool.end();
  }
}

type Source = {
  readonly rows: LedgerRows;
  readonly terms: string;
  /** Highest id that a batch ever had. */
  readonly lastBatch: number;
  readonly placement: Placement;
  close(): void;
};

/** The source as it is now: what is written from now on is not seen. */
function openSource(path: string): Source {
  checkThere(`sqlite:${path}`);
  // Also a ledger of an older program is brought forward first.
  openDatabase(path).close();
  const database = openReader(path);
  database.exec("begin");
  const terms = database.prepare<[], string>("select founding from network").pluck().get();
  if (terms === undefined) {
    database.close();
    throw new CoordinatorFault(
      "ledger-unreadable",
      `the ledger ${path} belongs to no network: there is nothing to copy`,
    );
  }
  const lastBatch = database
    .prepare<[], number>("select coalesce(max(seq), 0) from sqlite_sequence where name = 'batch'")
    .pluck()
    .get();
  return {
    rows: sqliteRows(database),
    terms,
    lastBatch: lastBatch ?? 0,
    placement: placementIn(database),
    close: () => database.close(),
  };
}

/** Readings whose batch is forgotten already count as received with the oldest that is not: they are the first to go. */
function placementIn(database: Sqlite): Placement {
  const oldest = database.prepare<[], number | null>("select min(received_at) from batch").pluck().get() ?? 0;
  const receivedAt = database.prepare<[number], number>("select received_at from batch where id = ?").pluck();
  let known = { batch: -1, day: 0 };
  return {
    dayOf(reading) {
      const batch = Math.floor(reading / idsPerBatch);
      if (known.batch !== batch) known = { batch, day: dayOf(receivedAt.get(batch) ?? oldest) };
      return known.day;
    },
  };
}

async function bringOver(
  source: Source,
  target: CopyTarget,
  progress: Progress,
): Promise<Omit<CopyReport, "replayed">> {
  let written = 0;
  for (const table of copiedTables) {
    const { after, done } = await target.standing(table);
    // What is filled next may refer to rows that were not there yet when an earlier run filled this table.
    if (done && table.parent && !target.wasComplete)
      written += await target.repair(table, source.rows, source.placement);
    if (!done) written += await fill(table, after, source, target, progress);
  }
  const wanted = await digestsOf(source.rows, progress, "checking source");
  const different = differences(wanted, await digestsOf(target.rows, progress, "checking copy"));
  if (different.length > 0) await target.shut();
  for (const table of copiedTables.filter(({ name }) => different.includes(name))) {
    const rows = await target.repair(table, source.rows, source.placement);
    progress({ doing: "repairing", table: table.name, rows, of: rows });
    written += rows;
    const repaired = await digestOf(target.rows, table);
    const still = differences(
      wanted.filter((digest) => digest.table === table.name),
      [repaired],
    );
    if (still.length > 0)
      throw new CoordinatorFault("ledger-damaged", `the table ${table.name} does not hold what was copied into it`);
  }
  return { tables: wanted, written };
}

/** Copies what of a table comes after a key, page by page. Returns rows written. */
async function fill(
  table: CopiedTable,
  after: Row | null,
  { rows, placement }: Source,
  target: CopyTarget,
  progress: Progress,
): Promise<number> {
  const of = await rows.count(table);
  let written = 0;
  for await (const page of pagesOf(rows, table, after)) {
    await target.fill(table, page, placement);
    written += page.rows.length;
    progress({ doing: "copying", table: table.name, rows: written, of });
  }
  return written;
}

/**
 * Computes the newest closed epoch anew from what was copied: as its close saw it, before its own amounts were added to what was earned.
 * Throws CoordinatorFault `ledger-damaged` when it comes to another root.
 */
async function replay(
  queries: Pick<Ledger, "epochs" | "epochFacts">,
  parameters: RewardParameters,
  outcomeOf: Copy["outcomeOf"],
): Promise<Replay | null> {
  const [newest] = await queries.epochs(1);
  if (!newest) return null;
  const { epoch, firstSlot, slotCount, slotsVoid, root, total } = newest.outcome;
  const facts = await queries.epochFacts(epoch, firstSlot, slotCount);
  const counted = facts.slots.filter(({ voidReason }) => voidReason === null).length;
  if (counted !== slotCount - slotsVoid) return { epoch, root, kept: false };
  const outcome = outcomeOf(factsAtClose(facts, newest), parameters);
  if (outcome.root !== root || outcome.total !== total)
    throw new CoordinatorFault(
      "ledger-damaged",
      `epoch ${epoch} comes to the root ${outcome.root} from what was copied, but was closed with ${root}`,
    );
  return { epoch, root, kept: true };
}

/** Nodes enrolled since, and operators that nodes have changed to since, had no part in it. */
function factsAtClose(facts: EpochFacts, { outcome }: EpochRecord): EpochFacts {
  const known = new Map(facts.nodes.map((node) => [node.nodeId, node]));
  const earned = new Map(facts.earnedBefore);
  for (const { operator, amount } of outcome.operators) {
    const before = (earned.get(operator) ?? 0n) - amount;
    if (before > 0n) earned.set(operator, before);
    else earned.delete(operator);
  }
  return {
    ...facts,
    earnedBefore: earned,
    nodes: outcome.nodes.map(({ nodeId, operator, evidenceLevel }) => {
      const { answered = [], worked = [] } = known.get(nodeId) ?? {};
      return { nodeId, operator, evidenceLevel, answered, worked };
    }),
  };
}
