/**
 * Boots, their numbered batches, and the gaps in the numbers. Nothing here opens a transaction: the edge store does, around whole inputs.
 *
 * A sequence number of a boot is, from sealing until its receipt, either a batch (its rows are there, and always the same) or part of a
 * gap (its rows are gone, with the reason). What a batch states as dropped is the unbroken run of gaps before it, read when it is sent:
 * the coordinator takes a batch only when nothing before it is open, so the run is exactly what it misses.
 */
import type { BootId, Dropped, DropReason } from "@cairn/protocol";
import type { Boot, Priority, SealedBatch } from "../model.ts";
import type { Database } from "./sqlite.ts";

/** One numbered batch: `first`..`last` are ids in the table of its priority; an empty one (last < first) only states gaps. */
export type BatchRow = {
  readonly boot: Boot;
  readonly sequence: number;
  readonly priority: Priority;
  readonly first: number;
  readonly last: number;
  readonly readings: number;
};

/** Boots that only have losses left to state; older ones are forgotten, their losses stay in the tally. */
const silentBoots = 256;

/** Entries of one statement stay below the 64 that the wire takes. */
const gapsPerBoot = 48;

type GapRow = { first: number; last: number; readings: number; reason: DropReason; born: number };
type BootRow = { count: number; id: BootId; sealed: number; stored: number };
type PlainBatch = { boot: number; id: BootId } & Omit<BatchRow, "boot">;

const batchColumns = "batch.boot, boot.id, sequence, priority, first, last, readings";
const fromBatch = `SELECT ${batchColumns} FROM batch JOIN boot ON boot.count = batch.boot`;

export function createBatchBook(db: Database) {
  const sql = {
    insertBoot: db.prepare("INSERT INTO boot (count, id) VALUES (?, ?)"),
    bootById: db.prepare("SELECT count, id, sealed, stored FROM boot WHERE id = ?"),
    bootByCount: db.prepare("SELECT count, id, sealed, stored FROM boot WHERE count = ?"),
    newestBoot: db.prepare("SELECT max(count) AS count FROM boot"),
    setSealed: db.prepare("UPDATE boot SET sealed = ? WHERE count = ?"),
    setStored: db.prepare("UPDATE boot SET stored = ? WHERE count = ?"),
    forgetDone: db.prepare(
      `DELETE FROM boot WHERE count <> ?
       AND NOT EXISTS (SELECT 1 FROM batch WHERE batch.boot = boot.count)
       AND NOT EXISTS (SELECT 1 FROM gap WHERE gap.boot = boot.count)`,
    ),
    forgetSilent: db.prepare(
      `DELETE FROM gap WHERE boot IN (
         SELECT count FROM boot WHERE NOT EXISTS (SELECT 1 FROM batch WHERE batch.boot = boot.count)
         ORDER BY count DESC LIMIT -1 OFFSET ${silentBoots})`,
    ),
    insertBatch: db.prepare(
      "INSERT INTO batch (boot, sequence, priority, first, last, readings) VALUES (?, ?, ?, ?, ?, ?)",
    ),
    batch: db.prepare(`${fromBatch} WHERE batch.boot = ? AND sequence = ?`),
    oldestBatches: db.prepare(`${fromBatch} ORDER BY batch.boot, sequence LIMIT ?`),
    batchesUpTo: db.prepare(`${fromBatch} WHERE batch.boot = ? AND sequence <= ? ORDER BY sequence`),
    batchesOf: db.prepare(`${fromBatch} WHERE batch.boot = ? ORDER BY sequence`),
    oldestOf: db.prepare(`${fromBatch} WHERE priority = ? AND last >= first ORDER BY first LIMIT 1`),
    deleteBatch: db.prepare("DELETE FROM batch WHERE boot = ? AND sequence = ?"),
    deleteBatchesUpTo: db.prepare("DELETE FROM batch WHERE boot = ? AND sequence <= ?"),
    sealedRange: db.prepare(
      "SELECT coalesce(max(last), 0) AS last, coalesce(sum(readings), 0) AS readings FROM batch WHERE priority = ?",
    ),
    countBatches: db.prepare("SELECT count(*) AS count FROM batch"),
    insertGap: db.prepare("INSERT INTO gap (boot, first, last, readings, reason, born) VALUES (?, ?, ?, ?, ?, ?)"),
    gapsOf: db.prepare("SELECT first, last, readings, reason, born FROM gap WHERE boot = ? ORDER BY first"),
    gapsBefore: db.prepare(
      "SELECT first, last, readings, reason, born FROM gap WHERE boot = ? AND last < ? ORDER BY first DESC",
    ),
    gapEnding: db.prepare("SELECT first, last, readings, reason, born FROM gap WHERE boot = ? AND last = ?"),
    growGap: db.prepare("UPDATE gap SET readings = readings + ? WHERE boot = ? AND first = ?"),
    deleteGap: db.prepare("DELETE FROM gap WHERE boot = ? AND first = ?"),
    deleteGapsUpTo: db.prepare("DELETE FROM gap WHERE boot = ? AND last <= ?"),
    trimGap: db.prepare("UPDATE gap SET first = ? WHERE boot = ? AND first < ? AND last >= ?"),
    deleteGapsOf: db.prepare("DELETE FROM gap WHERE boot = ?"),
    openTails: db.prepare(
      `SELECT boot.count, boot.id FROM boot JOIN gap ON gap.boot = boot.count AND gap.last = boot.sealed ORDER BY boot.count`,
    ),
  };

  const rowOf = (row: unknown): BatchRow | undefined => {
    if (row === undefined) return undefined;
    const { boot, id, ...rest } = row as PlainBatch;
    return { boot: { count: boot, id }, ...rest };
  };
  const rowsOf = (rows: unknown[]): BatchRow[] => rows.flatMap((row) => rowOf(row) ?? []);

  function takeSequence(boot: Boot): number {
    const row = sql.bootByCount.get(boot.count) as BootRow;
    sql.setSealed.run(row.sealed + 1, boot.count);
    return row.sealed + 1;
  }

  /** Joins neighbours of one reason when a boot has collected too many gaps to state one by one. */
  function joinGaps(boot: number): void {
    const gaps = sql.gapsOf.all(boot) as GapRow[];
    if (gaps.length <= gapsPerBoot) return;
    sql.deleteGapsOf.run(boot);
    let open: GapRow | undefined;
    for (const gap of gaps) {
      if (open && open.reason === gap.reason && open.last + 1 === gap.first) {
        open = { ...open, last: gap.last, readings: open.readings + gap.readings, born: 0 };
        continue;
      }
      if (open) sql.insertGap.run(boot, open.first, open.last, open.readings, open.reason, open.born);
      open = gap;
    }
    if (open) sql.insertGap.run(boot, open.first, open.last, open.readings, open.reason, open.born);
  }

  return {
    newestBoot: (): number => Number((sql.newestBoot.get() as { count: number | null }).count ?? 0),

    begin(boot: Boot): void {
      sql.insertBoot.run(boot.count, boot.id);
      sql.forgetSilent.run();
      sql.forgetDone.run(boot.count);
    },

    boot: (id: BootId): BootRow | undefined => sql.bootById.get(id) as BootRow | undefined,

    /** Last id that a batch of this priority covers, and how many rows such batches have. */
    sealed: (priority: Priority) => sql.sealedRange.get(priority) as { last: number; readings: number },

    countBatches: (): number => (sql.countBatches.get() as { count: number }).count,

    /** Gives the next number of the boot to a range of rows. `readings` 0 and an empty range: a statement of gaps. */
    add(boot: Boot, priority: Priority, first: number, last: number, readings: number): SealedBatch {
      const sequence = takeSequence(boot);
      sql.insertBatch.run(boot.count, sequence, priority, first, last, readings);
      return { boot, sequence, readings };
    },

    get: (boot: Boot, sequence: number): BatchRow | undefined => rowOf(sql.batch.get(boot.count, sequence)),

    oldest: (limit: number): BatchRow[] => rowsOf(sql.oldestBatches.all(limit)),

    upTo: (boot: number, sequence: number): BatchRow[] => rowsOf(sql.batchesUpTo.all(boot, sequence)),

    of: (boot: number): BatchRow[] => rowsOf(sql.batchesOf.all(boot)),

    /** The batch with the oldest rows of a priority. */
    oldestOf: (priority: Priority): BatchRow | undefined => rowOf(sql.oldestOf.get(priority)),

    /** What a batch has to state: the gaps right before it, oldest first. */
    droppedBefore(boot: Boot, sequence: number): Dropped[] {
      const run: Dropped[] = [];
      let expected = sequence - 1;
      for (const row of sql.gapsBefore.all(boot.count, sequence)) {
        const { first, last, readings, reason } = row as GapRow;
        if (last !== expected) break;
        run.unshift({ first, last, readings, reason });
        expected = first - 1;
      }
      return run;
    },

    /** A batch whose rows are gone: its number becomes a gap. */
    drop(batch: BatchRow, reason: DropReason): void {
      sql.deleteBatch.run(batch.boot.count, batch.sequence);
      sql.insertGap.run(batch.boot.count, batch.sequence, batch.sequence, batch.readings, reason, 0);
      joinGaps(batch.boot.count);
    },

    /**
     * Rows that go before they were ever sealed take a number too, so that their loss can be stated. As long as that number is the
     * boot's last, nobody was told of it, and further losses join it.
     */
    dropUnsealed(boot: Boot, readings: number, reason: DropReason): void {
      const { sealed } = sql.bootByCount.get(boot.count) as BootRow;
      const tail = sql.gapEnding.get(boot.count, sealed) as GapRow | undefined;
      if (tail && tail.born === 1 && tail.reason === reason) {
        sql.growGap.run(readings, boot.count, tail.first);
        return;
      }
      const sequence = takeSequence(boot);
      sql.insertGap.run(boot.count, sequence, sequence, readings, reason, 1);
      joinGaps(boot.count);
    },

    /** The ledger misses numbers that an earlier receipt had freed: they can only be stated. */
    stateFreed(boot: BootRow, from: number): void {
      sql.insertGap.run(boot.count, from, boot.stored, 0, "already-freed", 0);
      sql.setStored.run(from - 1, boot.count);
    },

    /** Boots whose newest number is a gap: nothing after it states it. */
    openTails: () => sql.openTails.all() as { count: number; id: BootId }[] satisfies Boot[],

    /** Forgets numbers up to `sequence`, batches and gaps; the rows are the caller's. */
    free(boot: BootRow, sequence: number, current: number): void {
      sql.deleteBatchesUpTo.run(boot.count, sequence);
      sql.deleteGapsUpTo.run(boot.count, sequence);
      sql.trimGap.run(sequence + 1, boot.count, sequence + 1, sequence + 1);
      sql.setStored.run(sequence, boot.count);
      sql.forgetDone.run(current);
    },

    /** Forgets a whole boot; the rows are the caller's. */
    abandon(boot: number, current: number): void {
      sql.deleteBatchesUpTo.run(boot, Number.MAX_SAFE_INTEGER);
      sql.deleteGapsOf.run(boot);
      sql.forgetDone.run(current);
    },
  };
}
