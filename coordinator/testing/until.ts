import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

/** Waits for something that comes by itself; fails with `otherwise` when it has not come after some seconds. */
export async function until(met: () => Promise<boolean> | boolean, otherwise = () => "it has not come"): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!(await met())) {
    assert.ok(performance.now() < deadline, otherwise());
    await sleep(2);
  }
}
