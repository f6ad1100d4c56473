/** Duties that one replica may hold at a time, and the replicas that run. Nothing here is a transaction by itself. */
import { CoordinatorFault } from "../../fault.ts";
import type { Duty, Fence, Replica } from "../../model.ts";
import { type Sqlite, sqliteClock } from "./database.ts";

const replicasKeptMs = 86_400_000;

export function prepareDuties(database: Sqlite) {
  const take = database
    .prepare<[Duty, string, number], number>(
      `insert into duty (duty, holder, token, until) values (?, ?, 1, ${sqliteClock} + ?)
       on conflict (duty) do update set
         token = token + (holder <> excluded.holder), holder = excluded.holder, until = excluded.until
       where holder = excluded.holder or until <= ${sqliteClock}
       returning token`,
    )
    .pluck();
  const release = database.prepare(`update duty set until = min(until, ${sqliteClock}) where duty = ? and token = ?`);
  const holderOf = database.prepare<[Duty], { holder: string; token: number }>(
    "select holder, token from duty where duty = ?",
  );
  const note = database.prepare(
    `insert into replica (name, roles, software, broker, committed_before, seen_at) values (?, ?, ?, ?, ?, ${sqliteClock})
     on conflict (name) do update set roles = excluded.roles, software = excluded.software, broker = excluded.broker,
       committed_before = excluded.committed_before, seen_at = excluded.seen_at`,
  );
  const forget = database.prepare(`delete from replica where seen_at < ${sqliteClock} - ${replicasKeptMs}`);

  return {
    takeDuty(duty: Duty, holder: string, forMs: number): Fence | null {
      const token = take.get(duty, holder, forMs);
      return token === undefined ? null : { duty, token };
    },
    releaseDuty({ duty, token }: Fence) {
      release.run(duty, token);
    },
    /** Throws CoordinatorFault `duty-lost` once another holder has taken the duty since. */
    checkFence({ duty, token }: Fence) {
      const now = holderOf.get(duty);
      if (now?.token === token) return;
      throw new CoordinatorFault(
        "duty-lost",
        `the duty of the ${duty} was lost to ${now?.holder ?? "nobody"}: nothing was written`,
      );
    },
    noteReplica({ name, roles, software, broker, committedBefore }: Replica) {
      note.run(name, JSON.stringify(roles), software, broker, committedBefore);
      forget.run();
    },
  };
}
