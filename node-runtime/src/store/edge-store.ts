/**
 * The edge store: what the node measured, from acceptance to the coordinator's receipt. One transaction per input, marker and effect
 * together. A reading is accepted when the group it came in is committed; from then on it leaves only by a storage receipt, or counted
 * and stated as dropped.
 */
import { join } from "node:path";
import { type Batch, type BootId, type DropReason, limits, type Reading, type RejectionCode } from "@cairn/protocol";
import type { Boot, KeptSlotReceipt, Log, Priority, Queued, SealedBatch, Stored, Surroundings } from "../model.ts";
import { type BatchRow, createBatchBook } from "./batches.ts";
import { bytesPerReading, createReadingRows, priorities } from "./readings.ts";
import { createSlotReceipts } from "./slot-receipts.ts";
import { isDamage, lockFolder, openDatabase, readCounter, writeCounter } from "./sqlite.ts";
import { createTally } from "./tally.ts";

export type EdgeStoreOptions = {
  /** Existing folder; holds edge.sqlite, boot-counter and run.lock. */
  readonly folder: string;
  /** This run's random identity. */
  readonly bootId: BootId;
  /** Cap on what waits in the outbox, bytes. */
  readonly capBytes: number;
  /** Longest time a reading waits for its commit, ms. */
  readonly groupMs?: number;
  readonly surroundings: Pick<Surroundings, "later" | "now">;
  readonly log: Log;
  /** Called once when the file turns out damaged: the daemon has to start anew, and then finds a new file. */
  broken(cause: unknown): void;
};

export type EdgeStore = ReturnType<typeof openEdgeStore>;

const bytesPerBatch = 64;
/** A group is committed early at this size, and this many readings are kept while the disk refuses. */
const groupReadings = 2_000;
const heldReadings = 20_000;
/** Offset of a reading from its column's base on the wire, ms: 30 days. */
const batchSpanMs = 2_592_000_000;
const refusedKept = 64;

type Group = { readings: readonly Reading[]; priority: Priority; committed: (() => void) | undefined };

/** Opens the store, raises the boot counter durably and begins this boot. Throws NodeFault "store-unusable". */
export function openEdgeStore(options: EdgeStoreOptions) {
  const { surroundings, log, groupMs = 50 } = options;
  const unlock = lockFolder(options.folder);
  const { db, damaged } = openDatabase(options.folder);
  const rows = createReadingRows(db);
  const book = createBatchBook(db);
  const tally = createTally(db);
  const slotReceipts = createSlotReceipts(db);
  const insertRefused = db.prepare(
    "INSERT INTO refused (boot, sequence, code, at, readings, payload) VALUES (?, ?, ?, ?, ?, ?)",
  );
  const pruneRefused = db.prepare("DELETE FROM refused WHERE id <= (SELECT max(id) FROM refused) - ?");

  /** Per priority: rows in the table, the last id that a batch covers, rows that batches cover. */
  const counts = {
    results: { rows: 0, sealedTo: 0, sealedRows: 0 },
    telemetry: { rows: 0, sealedTo: 0, sealedRows: 0 },
  };
  let batches = 0;
  function recount(): void {
    for (const priority of priorities) {
      const { last, readings } = book.sealed(priority);
      counts[priority] = { rows: rows.count(priority), sealedTo: last, sealedRows: readings };
    }
    batches = book.countBatches();
  }
  recount();

  let broken = false;
  /** Looks something up; damage found by it ends the run. */
  function look<T>(task: () => T): T {
    try {
      return task();
    } catch (cause) {
      if (isDamage(cause) && !broken) {
        broken = true;
        options.broken(cause);
      }
      throw cause;
    }
  }

  /** One input, one transaction. When it fails nothing has happened, also not in the counts. */
  function apply<T>(task: () => T): T {
    try {
      return look(() => db.transaction(task)());
    } catch (cause) {
      if (!broken) {
        rows.reload();
        tally.reload();
        recount();
      }
      throw cause;
    }
  }

  const boot = beginBoot();
  function beginBoot(): Boot {
    const counter = join(options.folder, "boot-counter");
    const count = Math.max(readCounter(counter), book.newestBoot()) + 1;
    // Kept beside the database too: after a damaged store the counter must still rise.
    writeCounter(counter, count);
    const begun = { id: options.bootId, count };
    apply(() => {
      book.begin(begun);
      // How many readings a damaged file held is not known: the gap says 0 and why.
      if (damaged) book.dropUnsealed(begun, 0, "store-damaged");
    });
    if (damaged)
      log.error({ folder: options.folder }, "the edge store was damaged: set aside as edge.sqlite.damaged, begun anew");
    return begun;
  }

  let waiting: Group[] = [];
  let waitingReadings = 0;
  /** Readings given up before they were accepted, in this run. */
  let unstored = 0;
  let cancelCommit: (() => void) | undefined;

  function commit(): void {
    cancelCommit?.();
    cancelCommit = undefined;
    if (waiting.length === 0) return;
    const groups = waiting;
    try {
      apply(() => {
        let accepted = 0;
        for (const { readings, priority } of groups) {
          const inserted = rows.insert(readings, priority);
          counts[priority].rows += inserted;
          accepted += inserted;
          if (inserted < readings.length) tally.add("refused.series-limit", readings.length - inserted);
        }
        tally.add("accepted", accepted);
        evict();
      });
    } catch (cause) {
      log.error({ cause: String(cause), waiting: waitingReadings }, "readings could not be stored, trying again");
      while (waitingReadings > heldReadings) {
        const oldest = waiting.shift();
        if (!oldest) break;
        waitingReadings -= oldest.readings.length;
        unstored += oldest.readings.length;
      }
      cancelCommit = surroundings.later(1_000, commit);
      return;
    }
    waiting = [];
    waitingReadings = 0;
    for (const { committed } of groups) committed?.();
  }

  const usage = () => (counts.results.rows + counts.telemetry.rows) * bytesPerReading + batches * bytesPerBatch;

  /** The lowest priority and the oldest go first. A batch goes whole, and 2 % are freed at once: not a few rows at every commit. */
  function evict(): void {
    if (usage() <= options.capBytes) return;
    const goal = options.capBytes - Math.floor(options.capBytes / 50);
    for (const priority of priorities.toReversed()) {
      while (usage() > goal && counts[priority].rows > 0) {
        const oldest = book.oldestOf(priority);
        if (oldest) {
          dropBatch(oldest, "store-full");
          continue;
        }
        const excess = Math.ceil((usage() - goal) / bytesPerReading);
        const gone = rows.removeOldest(priority, Math.min(counts[priority].rows, excess));
        if (gone === 0) throw new Error(`the counts of ${priority} do not fit its rows`);
        counts[priority].rows -= gone;
        book.dropUnsealed(boot, gone, "store-full");
        tally.add("dropped.store-full", gone);
      }
    }
  }

  function removeRows(batch: BatchRow): void {
    const gone = rows.remove(batch.priority, batch.first, batch.last);
    counts[batch.priority].rows -= gone;
    counts[batch.priority].sealedRows -= batch.readings;
    batches--;
  }

  function dropBatch(batch: BatchRow, reason: DropReason): void {
    removeRows(batch);
    book.drop(batch, reason);
    tally.add(`dropped.${reason}`, batch.readings);
  }

  function keepRefused(batch: BatchRow, code: RejectionCode): void {
    const readings = rows.read(batch.priority, batch.first, batch.last);
    insertRefused.run(
      batch.boot.id,
      batch.sequence,
      code,
      surroundings.now(),
      batch.readings,
      JSON.stringify(readings),
    );
    pruneRefused.run(refusedKept);
  }

  /** How many of the next rows fit one batch: the wire bounds the series and the time that one batch spans. */
  function fitting(next: readonly [number, number, number][]): number {
    const series = new Set<number>();
    let least = Number.POSITIVE_INFINITY;
    let most = Number.NEGATIVE_INFINITY;
    for (const [index, [, id, at]] of next.entries()) {
      series.add(id);
      least = Math.min(least, at);
      most = Math.max(most, at);
      if (series.size > limits.batchSeries || most - least > batchSpanMs) return index;
    }
    return next.length;
  }

  function kill(): void {
    cancelCommit?.();
    waiting = [];
    db.close();
    unlock();
  }

  return {
    boot,

    /**
     * Takes readings in; they are accepted when `committed` is called, at most 50 ms later. While the disk refuses, up to 20,000 wait in
     * memory, then the oldest go, counted as `unstored`.
     */
    accept(readings: readonly Reading[], priority: Priority, committed?: () => void): void {
      if (readings.length === 0) return;
      waiting.push({ readings, priority, committed });
      waitingReadings += readings.length;
      if (waitingReadings >= groupReadings && waitingReadings < heldReadings) commit();
      else cancelCommit ??= surroundings.later(groupMs, commit);
    },

    /** Commits what waits, now. */
    commit,

    queued: (): Queued => ({
      results: counts.results.rows - counts.results.sealedRows,
      telemetry: counts.telemetry.rows - counts.telemetry.sealedRows,
    }),

    /** Batches without a receipt, in the order of sending: earlier boots first. */
    outstanding: (limit: number): SealedBatch[] =>
      look(() => book.oldest(limit)).map(({ boot, sequence, readings }) => ({ boot, sequence, readings })),

    /** Boots whose last numbers were dropped and are stated by no batch yet. */
    openTails: (): Boot[] => look(book.openTails),

    /** Numbers the next rows of a priority: up to `most` batches of up to `readings` each. */
    seal(priority: Priority, readings: number, most: number): SealedBatch[] {
      return apply(() => {
        const sealed: SealedBatch[] = [];
        const count = counts[priority];
        while (sealed.length < most && count.rows > count.sealedRows) {
          const next = rows.scan(priority, count.sealedTo, Math.min(readings, limits.batchReadings));
          const fit = fitting(next);
          const first = next[0];
          const last = next[fit - 1];
          if (!first || !last) break;
          sealed.push(book.add(boot, priority, first[0], last[0], fit));
          count.sealedTo = last[0];
          count.sealedRows += fit;
          batches++;
        }
        return sealed;
      });
    },

    /** Numbers an empty batch of a boot, which only states what was dropped before it. */
    sealStatement(of: Boot): SealedBatch {
      return apply(() => {
        batches++;
        return book.add(of, "results", 0, -1, 0);
      });
    },

    /** A batch as it is sent. Undefined when it is no longer there, or when rows of it are missing: then it is dropped as damaged. */
    read({ boot: of, sequence }: SealedBatch): Batch | undefined {
      const batch = look(() => book.get(of, sequence));
      if (!batch) return undefined;
      const readings = look(() => rows.read(batch.priority, batch.first, batch.last));
      if (readings.length !== batch.readings) {
        apply(() => dropBatch(batch, "store-damaged"));
        return undefined;
      }
      return { boot: of.id, bootCount: of.count, sequence, dropped: book.droppedBefore(of, sequence), readings };
    },

    /** Frees everything that a receipt covers; as often as it comes. Returns how many readings it freed. */
    received({ boot: id, upTo, refused }: Stored): number {
      const of = book.boot(id);
      if (!of) return 0;
      const covered = Math.min(upTo, of.sealed);
      if (covered > of.stored)
        return apply(() => {
          const done = book.upTo(of.count, covered);
          for (const priority of priorities) {
            const ofPriority = done.filter((batch) => batch.priority === priority && batch.readings > 0);
            const first = ofPriority[0]?.first;
            const last = ofPriority.at(-1)?.last;
            // Batches of one priority follow each other without other rows between them: one range.
            if (first === undefined || last === undefined) continue;
            counts[priority].rows -= rows.remove(priority, first, last);
            counts[priority].sealedRows -= ofPriority.reduce((sum, { readings }) => sum + readings, 0);
          }
          batches -= done.length;
          book.free(of, covered, boot.count);
          const freed = done.reduce((sum, { readings }) => sum + readings, 0);
          tally.add("receipted", freed);
          return freed;
        });
      const head = book.of(of.count)[0];
      const isBehindGap = refused?.code === "sequence-gap" || refused?.code === "sequence-duplicate";
      if (isBehindGap && covered < of.stored && refused.sequence === head?.sequence)
        apply(() => book.stateFreed(of, covered + 1));
      return 0;
    },

    /** Moves a batch that the coordinator refused for good into the table of refused ones (64 are kept) and states it as dropped. */
    setAside({ boot: of, sequence }: SealedBatch, code: RejectionCode): void {
      const batch = book.get(of, sequence);
      if (!batch) return;
      apply(() => {
        keepRefused(batch, code);
        dropBatch(batch, "refused");
      });
    },

    /** Gives up an earlier boot that the coordinator refuses as a whole: no statement of it would be taken either. */
    abandon(of: Boot, code: RejectionCode): void {
      apply(() => {
        for (const batch of book.of(of.count)) {
          keepRefused(batch, code);
          removeRows(batch);
          tally.add("dropped.refused", batch.readings);
        }
        book.abandon(of.count, boot.count);
      });
    },

    keepSlotReceipt: (receipt: KeptSlotReceipt): boolean => apply(() => slotReceipts.keep(receipt)),

    /** Last sequence of this boot that is known to be stored. */
    storedUpTo: (): number => book.boot(boot.id)?.stored ?? 0,

    /** Counts since the store was begun, readings: `accepted`, `receipted`, `dropped.REASON`, `refused.REASON`; `unstored` of this run. */
    tally: (): Record<string, number> => ({ ...tally.all(), ...(unstored > 0 ? { unstored } : {}) }),

    /** Commits what waits and closes the file. */
    close(): void {
      commit();
      kill();
    },

    /** Closes the file without committing what waits: to tests, what a crash is. */
    kill,
  };
}
