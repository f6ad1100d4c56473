/**
 * Holds single-writer duties by leases in the ledger. Who holds one works, and gives its fence with every write; who does not asks again
 * and again. A holder that was paused past its time finds its writes refused, and stops working before it asks anew.
 */
import { CoordinatorFault } from "../fault.ts";
import type { Duty, Fence, Ledger } from "../model.ts";

export type DutyWorker = { stop(): Promise<void> };

export type DutyActions = {
  readonly ledger: Pick<Ledger, "takeDuty" | "releaseDuty">;
  /** This replica's name. */
  readonly holder: string;
  /** How long a duty is held without being renewed. A take-over takes this long and one look more. */
  readonly forMs: number;
  taken(duty: Duty, token: number): void;
  lost(duty: Duty): void;
  fault(error: unknown): void;
};

export type Duties = {
  /** Begins to ask for a duty. `begin` is called whenever it is newly held, and its worker stopped when it is lost. */
  seek(duty: Duty, begin: (fence: Fence) => Promise<DutyWorker>): void;
  /** Something under this fence failed: true when the duty is another's now, so that the error needs no further report. */
  noteFailure(fence: Fence, error: unknown): boolean;
  /** Stops every worker and gives back what is held. */
  stop(): Promise<void>;
};

type Sought = {
  readonly duty: Duty;
  readonly begin: (fence: Fence) => Promise<DutyWorker>;
  held: { readonly fence: Fence; readonly worker: DutyWorker } | null;
  timer: NodeJS.Timeout | undefined;
  looking: Promise<void>;
};

export function startDuties(actions: DutyActions): Duties {
  const { ledger, holder, forMs } = actions;
  const sought: Sought[] = [];
  let stopped = false;
  const lookEveryMs = forMs / 4;

  async function look(wish: Sought): Promise<void> {
    try {
      const fence = await ledger.takeDuty(wish.duty, holder, forMs);
      if (wish.held && wish.held.fence.token !== fence?.token) await drop(wish);
      if (stopped || !fence || wish.held) return;
      wish.held = { fence, worker: await wish.begin(fence) };
      actions.taken(wish.duty, fence.token);
    } catch (error) {
      // The fence guards what a worker writes meanwhile: as long as nobody else takes the duty it may go on.
      actions.fault(error);
    }
  }

  async function drop(wish: Sought): Promise<void> {
    const { held } = wish;
    wish.held = null;
    await held?.worker.stop();
    actions.lost(wish.duty);
  }

  function lookAgain(wish: Sought, afterMs: number): void {
    clearTimeout(wish.timer);
    if (stopped) return;
    wish.timer = setTimeout(() => {
      wish.looking = wish.looking.then(() => look(wish)).then(() => lookAgain(wish, lookEveryMs));
    }, afterMs);
  }

  return {
    seek(duty, begin) {
      const wish: Sought = { duty, begin, held: null, timer: undefined, looking: Promise.resolve() };
      sought.push(wish);
      lookAgain(wish, 0);
    },
    noteFailure(fence, error) {
      if (!(error instanceof CoordinatorFault) || error.code !== "duty-lost") return false;
      const wish = sought.find(({ held }) => held?.fence === fence);
      if (wish) lookAgain(wish, 0);
      return true;
    },
    async stop() {
      stopped = true;
      for (const { timer } of sought) clearTimeout(timer);
      await Promise.all(sought.map(({ looking }) => looking));
      for (const { held } of sought) {
        await held?.worker.stop();
        if (held) await ledger.releaseDuty(held.fence).catch(actions.fault);
      }
    },
  };
}
