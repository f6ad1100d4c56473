/** Says once a second that this replica runs and how far it has committed, waits for what the others still hold, and notices who is gone. */
import { CoordinatorFault } from "../fault.ts";
import type { Ledger, Replica, Role } from "../model.ts";

export type ReplicaActions = {
  readonly ledger: Pick<Ledger, "noteReplica" | "replicas">;
  readonly replica: Omit<Replica, "committedBefore">;
  /** For how long the broker may keep messages for a replica that went away, which nobody else gets; 0 where others get them. */
  readonly heldMs: number;
  /** Everything that reached this replica before is committed; null when it takes nothing in. */
  committedBefore(): number | null;
  /** Done with every round: what else belongs to it, for example a look at the ledger's clock. */
  beat(): Promise<void>;
  fault(error: unknown): void;
};

export type Replicas = {
  /**
   * Resolves when all other replicas that run have committed what reached them before `at`, or after `patienceMs`: "late". "gone": one
   * that had not went away meanwhile.
   */
  othersCommitted(at: number, patienceMs: number): Promise<"committed" | "late" | "gone">;
  /** Whether another replica of this role was seen lately. */
  othersWith(role: Role): Promise<boolean>;
  /**
   * Since when some replica takes nodes' messages in, and the broker keeps none for one that is gone, by the ledger's clock; null while
   * that is not so.
   */
  allPresentSince(): number | null;
  /** `isDone`: nothing was left behind, so nobody is to wait for this one's return. */
  stop(isDone: boolean): Promise<void>;
};

const beatMs = 1_000;
/** Not seen for this long: what it held reaches another by the broker's own means. */
const goneMs = 4_000;
const askAgainMs = 200;
/** A replica that runs is seen anew within this. */
const lookTwiceMs = 2_500;

/**
 * Throws CoordinatorFault `setting-refused` when another replica of this network runs that this one cannot stand beside: of the same name,
 * or on another kind of broker, where neither would hear what the other one's nodes say.
 */
export async function judgeCompany(
  ledger: Pick<Ledger, "replicas">,
  { name, roles, broker }: Pick<Replica, "name" | "roles" | "broker">,
): Promise<void> {
  const usesBroker = (of: readonly Role[]) => of.includes("ingest") || of.includes("verifier");
  const seen = await ledger.replicas(goneMs);
  const stranger = seen.find(
    (other) => placeOf(other.name) !== placeOf(name) && usesBroker(other.roles) && other.broker !== broker,
  );
  if (usesBroker(roles) && stranger)
    throw new CoordinatorFault(
      "setting-refused",
      `the replica ${placeOf(stranger.name)} of this network has its broker by ${stranger.broker}, this one by ${broker}: give all the same --broker`,
    );
  const namesakes = new Map(
    seen.flatMap((other) =>
      placeOf(other.name) === placeOf(name) && other.name !== name ? [[other.name, other.seenAt]] : [],
    ),
  );
  if (namesakes.size === 0) return;
  // One that was killed a moment ago, perhaps this one before its restart, is not seen again.
  await new Promise((resolve) => setTimeout(resolve, lookTwiceMs));
  const again = await ledger.replicas(goneMs);
  if (
    again.some(
      (other) => other.roles.length > 0 && other.seenAt > (namesakes.get(other.name) ?? Number.POSITIVE_INFINITY),
    )
  )
    throw new CoordinatorFault(
      "setting-refused",
      `a replica ${placeOf(name)} of this network runs already: every one needs a --replica of its own`,
    );
}

export function startReplicas(actions: ReplicaActions): Replicas {
  const { ledger, replica } = actions;
  let stopped = false;
  let presentSince: number | null = 0;
  let lookedAt = performance.now();
  let blindUntil = 0;
  let timer: NodeJS.Timeout | undefined;
  let beating = beat();

  async function beat(): Promise<void> {
    try {
      await ledger.noteReplica({ ...replica, committedBefore: actions.committedBefore() });
      await lookForAbsent();
      await actions.beat();
    } catch (error) {
      actions.fault(error);
    }
    if (stopped) return;
    timer = setTimeout(() => {
      beating = beat();
    }, beatMs);
  }

  /** Who could not be seen because the ledger was away is not gone: after an outage all get the time to be seen again. */
  function canTell(): boolean {
    const now = performance.now();
    if (now - lookedAt > goneMs) blindUntil = now + goneMs;
    lookedAt = now;
    return now >= blindUntil;
  }

  /** One that is gone did not say so; what the broker deals out to it waits until it is back, or is forgotten. */
  async function lookForAbsent(): Promise<void> {
    const seen = await ledger.replicas(actions.heldMs + goneMs);
    if (!canTell()) return;
    const now = Math.max(...seen.map(({ seenAt }) => seenAt));
    const running = seen.filter(({ seenAt }) => seenAt > now - goneMs);
    const places = new Set(running.map(({ name }) => placeOf(name)));
    const isAbsent = seen.some(({ name, committedBefore }) => committedBefore !== null && !places.has(placeOf(name)));
    const isTakenIn = running.some(({ roles }) => roles.includes("ingest"));
    presentSince = isAbsent || !isTakenIn ? null : (presentSince ?? now);
  }

  const others = async () => (await ledger.replicas(goneMs)).filter(({ name }) => name !== replica.name);

  return {
    async othersCommitted(at, patienceMs) {
      const giveUpAt = performance.now() + patienceMs;
      let wereBehind: readonly string[] = [];
      for (;;) {
        const running = await others();
        if (canTell()) {
          if (wereBehind.some((name) => !running.some((other) => other.name === name))) return "gone";
          wereBehind = running
            .filter(({ committedBefore }) => committedBefore !== null && committedBefore < at)
            .map(({ name }) => name);
          if (wereBehind.length === 0) return "committed";
        }
        if (stopped || performance.now() > giveUpAt) return "late";
        await new Promise((resolve) => setTimeout(resolve, askAgainMs));
      }
    },
    othersWith: async (role) => (await others()).some(({ roles }) => roles.includes(role)),
    allPresentSince: () => presentSince,
    async stop(isDone) {
      stopped = true;
      clearTimeout(timer);
      await beating;
      if (isDone) await ledger.noteReplica({ ...replica, roles: [], committedBefore: null }).catch(actions.fault);
    },
  };
}

/** The name of a replica without what tells its starts apart. */
function placeOf(name: string): string {
  return name.split("/")[0] ?? name;
}
