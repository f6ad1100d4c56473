/** Delay before attempt `attempt` (0, 1, 2 ...): doubles from `floorMs` to `ceilingMs`; `chance` in [0, 1) takes off up to half. */
export function backoffMs(attempt: number, floorMs: number, ceilingMs: number, chance: number): number {
  const full = Math.min(ceilingMs, floorMs * 2 ** Math.min(attempt, 30));
  return Math.round(full * (1 - chance / 2));
}
