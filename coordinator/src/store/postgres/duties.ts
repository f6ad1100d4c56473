/** Duties that one replica may hold at a time, by the database's clock, and the replicas that run. */
import { CoordinatorFault } from "../../fault.ts";
import type { Duty, Fence, Ledger } from "../../model.ts";
import { type Postgres, postgresClock, type Transaction } from "./database.ts";

const replicasKeptMs = 86_400_000;

export type DutyStore = Pick<Ledger, "takeDuty" | "releaseDuty" | "noteReplica">;

export function createDuties({ transaction }: Postgres): DutyStore {
  return {
    takeDuty: (duty, holder, forMs) =>
      transaction(async (tx) => {
        const token = (await hold(tx, duty, holder, forMs)) ?? (await takeOver(tx, duty, holder, forMs));
        return token === undefined ? null : { duty, token };
      }),
    releaseDuty: ({ duty, token }) =>
      transaction(async (tx) => {
        await tx.run(`update duty set until = least(until, ${postgresClock}) where duty = $1 and token = $2`, [
          duty,
          token,
        ]);
      }),
    noteReplica: ({ name, roles, software, broker, committedBefore }) =>
      transaction(async (tx) => {
        await tx.run(
          `insert into replica (name, roles, software, broker, committed_before, seen_at)
           values ($1, $2, $3, $4, $5, ${postgresClock})
           on conflict (name) do update set roles = excluded.roles, software = excluded.software, broker = excluded.broker,
             committed_before = excluded.committed_before, seen_at = excluded.seen_at`,
          [name, JSON.stringify(roles), software, broker, committedBefore],
        );
        await tx.run(`delete from replica where seen_at < ${postgresClock} - $1`, [replicasKeptMs]);
      }),
  };
}

/** Holds a duty longer. Leaves its key alone, so that a long write under the same fence does not stand in the way. */
async function hold(tx: Transaction, duty: Duty, holder: string, forMs: number): Promise<number | undefined> {
  const [held] = await tx.rows<{ token: number }>(
    `update duty set until = ${postgresClock} + $3 where duty = $1 and holder = $2 returning token`,
    [duty, holder, forMs],
  );
  return held?.token;
}

/** Takes a duty that nobody holds any more. A write under the old fence that is still running is waited for. */
async function takeOver(tx: Transaction, duty: Duty, holder: string, forMs: number): Promise<number | undefined> {
  // Two that are first at the same moment meet on either of the table's keys: the row is made apart from who gets it.
  await tx.run("insert into duty (duty, holder, token, until) values ($1, '', 0, 0) on conflict do nothing", [duty]);
  const [taken] = await tx.rows<{ token: number }>(
    `update duty set token = token + 1, holder = $2, until = ${postgresClock} + $3
     where duty = $1 and until <= ${postgresClock} returning token`,
    [duty, holder, forMs],
  );
  return taken?.token;
}

/**
 * To be the first statement of a write under a fence: keeps the duty from changing hands until the write is committed.
 * Throws CoordinatorFault `duty-lost` once another holder has taken it.
 */
export async function checkFence(tx: Transaction, { duty, token }: Fence): Promise<void> {
  const [held] = await tx.rows("select from duty where duty = $1 and token = $2 for key share", [duty, token], "fence");
  if (held) return;
  const [now] = await tx.rows<{ holder: string }>("select holder from duty where duty = $1", [duty]);
  throw new CoordinatorFault(
    "duty-lost",
    `the duty of the ${duty} was lost to ${now?.holder ?? "nobody"}: nothing was written`,
  );
}
