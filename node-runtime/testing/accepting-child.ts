/** A process that takes readings in as fast as it can and says which it has accepted, until somebody kills it. Argument: the folder. */
import { randomBytes } from "node:crypto";
import { writeSync } from "node:fs";
import type { BootId, Reading } from "@cairn/protocol";
import { openEdgeStore } from "../src/store/edge-store.ts";
import { silent } from "./surroundings.ts";

const store = openEdgeStore({
  folder: process.argv[2] ?? "",
  bootId: randomBytes(16).toString("hex") as BootId,
  capBytes: 100_000_000,
  groupMs: 20,
  surroundings: {
    now: Date.now,
    later(ms, task) {
      const timer = setTimeout(task, ms);
      return () => clearTimeout(timer);
    },
  },
  log: silent,
  broken(cause) {
    throw cause;
  },
});

let next = 0;
setInterval(() => {
  const readings = Array.from(
    { length: 50 },
    (): Reading => ({ series: "test.value", unit: "m", at: Date.now(), value: next++, quality: "good" }),
  );
  const last = next - 1;
  // Straight to the pipe: what is written is out, whatever happens to the process in the next instant.
  store.accept(readings, last % 100 < 50 ? "results" : "telemetry", () => writeSync(1, `${last}\n`));
  // Seals and frees meanwhile, so that the kill may hit any kind of transaction.
  if (next % 500 === 0) store.seal("telemetry", 20, 2);
}, 1);
