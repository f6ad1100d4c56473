/** How long to wait before the next attempt to reach a broker, and which of its addresses is next. */

const floorMs = 200;
const ceilingMs = 5_000;

/** Doubles from 0.2 s to 5 s with the attempts (0, 1, 2 ...); `chance` in [0, 1) takes off up to half. */
export function reconnectMs(attempt: number, chance: number): number {
  return Math.round(Math.min(ceilingMs, floorMs * 2 ** Math.min(attempt, 10)) * (1 - chance / 2));
}

/** A wait that can be ended early. */
export function pause(ms: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (ended.aborted) return resolve();
    const finish = () => {
      clearTimeout(timer);
      ended.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    ended.addEventListener("abort", finish, { once: true });
  });
}

/** Waits for what ends by itself, but no longer than `ms`; how it ends does not matter. */
export async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const done = new AbortController();
  const finish = () => done.abort();
  work.then(finish, finish);
  await pause(ms, done.signal);
}
