/** The partitions of `reading`: one for each day (UTC) on which readings are received, made before they are needed. */
import { type Postgres, postgresClock, type Transaction } from "./database.ts";

const dayMs = 86_400_000;
/** First keys of advisory locks ("cpar", "cdrp"); the second tells apart ledgers in one database. */
const creating = 0x63706172;
const dropping = 0x63647270;
/** How long a partition that goes may make others wait; it is tried again with the next prune. */
const patienceMs = 2_000;
/** The last day whose year has four digits: names of partitions are in the order of their days. */
const lastDay = 2_932_896;

const lockNotAvailable = "55P03";
const checkViolation = "23514";

/** Days since 1970 of a time of receipt. Throws RangeError when it is no time. */
export function dayOf(receivedAt: number): number {
  const day = Math.floor(receivedAt / dayMs);
  if (!(day >= 0 && day <= lastDay)) throw new RangeError(`no time of receipt: ${receivedAt}`);
  return day;
}

export function startOf(day: number): number {
  return day * dayMs;
}

/** A reading was refused because the partition of its day is not there. */
export function isPartitionMissing(cause: unknown): boolean {
  const { code, table, constraint } = cause as { code?: string; table?: string; constraint?: string };
  return code === checkViolation && table === "reading" && constraint === undefined;
}

/** reading_2025_06_15 */
export function partitionName(day: number): string {
  return `reading_${new Date(startOf(day)).toISOString().slice(0, 10).replaceAll("-", "_")}`;
}

export type Partitions = {
  /** Sees to it that readings of these days can be written. */
  ensure(days: Iterable<number>): Promise<void>;
  /** Makes the partition after these days, some time from now: nobody waits for it. */
  prepareNext(days: Iterable<number>): void;
  /** Forgets what is thought to be there: another replica may have dropped it. */
  forget(): void;
  /** Sees to it that readings of today and tomorrow, by the server's clock, can be written. */
  ensureNow(): Promise<void>;
  /** Drops partitions of days that ended at `before` or earlier; returns the rows that were in them, about. */
  dropBefore(before: number): Promise<number>;
  /** Settles when nothing is under way. */
  settled(): Promise<void>;
};

export function openPartitions(postgres: Postgres): Partitions {
  const known = new Set<number>();
  let preparing: Promise<void> | null = null;

  async function create(day: number): Promise<void> {
    await postgres.transaction(async (transaction) => {
      await transaction.run("select pg_advisory_xact_lock($1, hashtext(current_schema()))", [creating]);
      const name = partitionName(day);
      const [there] = await transaction.rows<{ attached: boolean }>(
        `select exists (select from pg_inherits where inhrelid = to_regclass($1)) as attached
         where to_regclass($1) is not null`,
        [name],
      );
      if (there?.attached) return;
      // What was left of a partition that went holds nothing that is to be kept.
      if (there) await transaction.run(`drop table ${name}`);
      // Made aside and then attached: neither those who read nor those who write wait for it, as they would for "partition of".
      // A day that is over is never written again: vacuum looks at it once more, to freeze it, and then leaves it.
      await transaction.run(
        `create table ${name} (like reading including defaults including constraints)
         with (autovacuum_vacuum_insert_scale_factor = 0.5, autovacuum_analyze_scale_factor = 0.2)`,
      );
      await transaction.run(`alter table reading attach partition ${name} for values from (${day}) to (${day + 1})`);
    });
    known.add(day);
  }

  async function ensure(days: Iterable<number>): Promise<void> {
    for (const day of [...new Set(days)].sort((a, b) => a - b)) if (!known.has(day)) await create(day);
  }

  async function partitions(): Promise<readonly { name: string; attached: boolean; pending: boolean }[]> {
    return postgres.alone((connection) =>
      connection.rows(
        `select relname as name, inhrelid is not null as attached, coalesce(inhdetachpending, false) as pending
         from pg_class left join pg_inherits on inhrelid = pg_class.oid
         where relnamespace = current_schema()::regnamespace and relkind = 'r'
           and relname ~ '^reading_\\d+_\\d\\d_\\d\\d$'
         order by relname`,
      ),
    );
  }

  return {
    ensure,
    prepareNext(days) {
      const next = Math.max(...days) + 1;
      if (preparing || known.has(next) || !Number.isFinite(next)) return;
      // Whoever needs it will make it, if this fails, and is told why.
      preparing = ensure([next])
        .catch(() => {})
        .finally(() => {
          preparing = null;
        });
    },
    forget: () => known.clear(),
    async ensureNow() {
      const [row] = await postgres.alone((connection) =>
        connection.rows<{ now: number }>(`select ${postgresClock} as now`),
      );
      const today = dayOf(row?.now ?? 0);
      await ensure([today, today + 1]);
    },
    async dropBefore(before) {
      const oldest = before > 0 ? partitionName(Math.min(Math.floor(before / dayMs), lastDay)) : "";
      const old = (await partitions()).filter(({ name }) => name < oldest);
      if (old.length === 0) return 0;
      return postgres.alone(async (connection) => {
        const [lock] = await connection.rows<{ free: boolean }>(
          "select pg_try_advisory_lock($1, hashtext(current_schema())) as free",
          [dropping],
        );
        if (!lock?.free) return 0;
        let removed = 0;
        try {
          await connection.run(`set lock_timeout = ${patienceMs}`);
          for (const { name, attached, pending } of old) {
            const rows = await rowsOf(connection, name);
            // Those who read and write the table go on meanwhile; what was begun and given up is brought to its end.
            if (pending) await connection.run(`alter table reading detach partition ${name} finalize`);
            else if (attached) await connection.run(`alter table reading detach partition ${name} concurrently`);
            await connection.run(`drop table ${name}`);
            removed += rows;
          }
          return removed;
        } catch (cause) {
          // Somebody reads it for long: what was begun is ended with the next prune.
          if ((cause as { code?: string }).code === lockNotAvailable) return removed;
          throw cause;
        } finally {
          known.clear();
          await connection.run("reset lock_timeout");
          await connection.run("select pg_advisory_unlock($1, hashtext(current_schema()))", [dropping]);
        }
      });
    },
    async settled() {
      await preparing;
    },
  };
}

/** By the statistics, where there are any: counting would read the whole day. */
async function rowsOf(connection: Transaction, partition: string): Promise<number> {
  const [known] = await connection.rows<{ rows: number }>(
    "select reltuples as rows from pg_class where oid = to_regclass($1)",
    [partition],
  );
  if (known && known.rows >= 0) return Math.round(known.rows);
  const [counted] = await connection.rows<{ rows: number }>(`select count(*) as rows from ${partition}`);
  return counted?.rows ?? 0;
}
