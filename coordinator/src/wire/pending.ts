/** What was handed on and is not committed yet, so that somebody can wait until it is. */

export type Pending = {
  readonly size: number;
  /** Notes something handed on; the function that comes back says that it is committed, also when it is called twice. */
  taken(): () => void;
  /** True once all that was taken before this call is committed, false when that is not so after `patienceMs`. */
  drained(patienceMs: number): Promise<boolean>;
  /** Whoever waits is answered with false. */
  close(): void;
};

type Wait = { readonly upTo: number; answer(drained: boolean): void };

export function createPending(): Pending {
  /** Numbers of what is not committed, ascending: a set keeps the order in which they were added. */
  const open = new Set<number>();
  let last = 0;
  let waits: Wait[] = [];

  const reached = (upTo: number) => {
    const [oldest] = open;
    return oldest === undefined || oldest > upTo;
  };

  return {
    get size() {
      return open.size;
    },
    taken() {
      last += 1;
      const number = last;
      open.add(number);
      return () => {
        if (!open.delete(number) || waits.length === 0) return;
        const due = waits.filter(({ upTo }) => reached(upTo));
        waits = waits.filter((wait) => !due.includes(wait));
        for (const { answer } of due) answer(true);
      };
    },
    drained(patienceMs) {
      const upTo = last;
      if (reached(upTo)) return Promise.resolve(true);
      return new Promise((resolve) => {
        const timer = setTimeout(() => {
          waits = waits.filter((other) => other !== wait);
          resolve(false);
        }, patienceMs);
        const wait: Wait = {
          upTo,
          answer(drained) {
            clearTimeout(timer);
            resolve(drained);
          },
        };
        waits.push(wait);
      });
    },
    close() {
      for (const { answer } of waits.splice(0)) answer(false);
    },
  };
}
