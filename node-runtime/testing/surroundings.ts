/** Clock, timers and chance that a test owns. */
import type { Log, Surroundings } from "../src/model.ts";

export type VirtualSurroundings = Surroundings & {
  /** Runs all timers that fall due within the next `ms`, in their order. */
  advance(ms: number): void;
  /** Forgets all timers, as a process does that dies. */
  dropTimers(): void;
};

/** `random` repeats the given numbers; 0.5 when there are none. */
export function virtualSurroundings(
  random: readonly number[] = [0.5],
  startMs = 1_700_000_000_000,
): VirtualSurroundings {
  let nowMs = startMs;
  let drawn = 0;
  let timers: { atMs: number; order: number; task: () => void }[] = [];
  let order = 0;
  return {
    now: () => nowMs,
    steadyNow: () => nowMs,
    random: () => random[drawn++ % random.length] ?? 0.5,
    later(ms, task) {
      const timer = { atMs: nowMs + Math.max(0, ms), order: order++, task };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    advance(ms) {
      const end = nowMs + ms;
      for (;;) {
        const next = timers.toSorted((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
        if (!next || next.atMs > end) break;
        timers = timers.filter((timer) => timer !== next);
        nowMs = Math.max(nowMs, next.atMs);
        next.task();
      }
      nowMs = end;
    },
    dropTimers() {
      timers = [];
    },
  };
}

export const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
