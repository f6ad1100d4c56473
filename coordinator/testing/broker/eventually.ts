import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

/** Waits for something that comes by itself; fails with `otherwise` when it has not come after `withinMs`. */
export async function eventually(
  met: () => Promise<boolean> | boolean,
  otherwise: () => string,
  withinMs = 20_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await met())) {
    if (performance.now() > deadline) assert.fail(otherwise());
    await sleep(10);
  }
}
