/** Says once a second that this replica runs and how far it has committed, and waits for what the others still hold. */
import type { Ledger, Replica, Role } from "../model.ts";

export type ReplicaActions = {
  readonly ledger: Pick<Ledger, "noteReplica" | "replicas">;
  readonly replica: Omit<Replica, "committedBefore">;
  /** Everything that reached this replica before is committed; null when it takes nothing in. */
  committedBefore(): number | null;
  /** Done with every round: what else belongs to it, for example a look at the ledger's clock. */
  beat(): Promise<void>;
  fault(error: unknown): void;
};

export type Replicas = {
  /** Resolves when all other replicas that run have committed what reached them before `at`, or after `patienceMs`: false. */
  othersCommitted(at: number, patienceMs: number): Promise<boolean>;
  /** Whether another replica of this role was seen lately. */
  othersWith(role: Role): Promise<boolean>;
  stop(): Promise<void>;
};

const beatMs = 1_000;
/** Not seen for this long: what it held reaches another by the broker's own means. */
const goneMs = 4_000;
const askAgainMs = 200;

export function startReplicas(actions: ReplicaActions): Replicas {
  const { ledger, replica } = actions;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let beating = beat();

  async function beat(): Promise<void> {
    try {
      await ledger.noteReplica({ ...replica, committedBefore: actions.committedBefore() });
      await actions.beat();
    } catch (error) {
      actions.fault(error);
    }
    if (stopped) return;
    timer = setTimeout(() => {
      beating = beat();
    }, beatMs);
  }

  const others = async () => (await ledger.replicas(goneMs)).filter(({ name }) => name !== replica.name);

  return {
    async othersCommitted(at, patienceMs) {
      const giveUpAt = performance.now() + patienceMs;
      for (;;) {
        const behind = (await others()).some(({ committedBefore }) => committedBefore !== null && committedBefore < at);
        if (!behind) return true;
        if (stopped || performance.now() > giveUpAt) return false;
        await new Promise((resolve) => setTimeout(resolve, askAgainMs));
      }
    },
    othersWith: async (role) => (await others()).some(({ roles }) => roles.includes(role)),
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await beating;
    },
  };
}
