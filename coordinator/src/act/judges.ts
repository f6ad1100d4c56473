/**
 * Threads that judge arrivals. Verifying a signature costs more than all the rest of taking a batch in; done on this event loop, even
 * through node:crypto's callbacks, it would hold up every socket. Arrivals of one turn of the loop travel in one message, their payloads
 * in one buffer that changes hands instead of being copied.
 */
import { Worker } from "node:worker_threads";
import type { Beacon, NodeId } from "@cairn/protocol";
import type { Arrival, Input, JudgeMessage, JudgeSettings } from "../model.ts";

export type Judges = {
  judge(arrival: Arrival): Promise<Input>;
  setKeys(keys: readonly (readonly [NodeId, string])[]): void;
  /** All beacons that evidence may answer; replaces those told before. */
  setBeacons(beacons: readonly Beacon[]): void;
  close(): Promise<void>;
};

/** A judge makes garbage only: a small young generation keeps its memory flat. */
const resourceLimits = { maxYoungGenerationSizeMb: 4 };

type Waiting = { readonly arrival: Arrival; readonly resolve: (input: Input) => void };

/** `thread`: module of the thread's entry. `fault` is called when a thread dies: what it held is not answered, so its senders keep it. */
export function startJudges(
  thread: URL,
  count: number,
  settings: JudgeSettings,
  fault: (error: unknown) => void,
): Judges {
  const workers = Array.from({ length: count }, () => {
    const worker = new Worker(thread, { workerData: settings, resourceLimits });
    const sent: Waiting[][] = [];
    worker.on("message", (inputs: Input[]) => {
      const group = sent.shift() ?? [];
      for (const [index, { resolve }] of group.entries()) {
        const input = inputs[index];
        if (input) resolve(input);
      }
    });
    worker.on("error", fault);
    return { worker, sent };
  });
  let gathered: Waiting[] = [];
  let next = 0;

  function dispatch(): void {
    const group = gathered;
    gathered = [];
    const target = workers[next];
    next = (next + 1) % workers.length;
    if (!target) return;
    const payloads = new Uint8Array(group.reduce((sum, { arrival }) => sum + arrival.payload.length, 0));
    let at = 0;
    const arrivals = group.map(({ arrival: { payload, ...arrival } }) => {
      payloads.set(payload, at);
      at += payload.length;
      return { ...arrival, length: payload.length };
    });
    target.sent.push(group);
    target.worker.postMessage({ kind: "arrivals", arrivals, payloads: payloads.buffer } satisfies JudgeMessage, [
      payloads.buffer,
    ]);
  }

  const tell = (message: JudgeMessage) => {
    for (const { worker } of workers) worker.postMessage(message);
  };

  return {
    judge(arrival) {
      if (gathered.length === 0) setImmediate(dispatch);
      return new Promise((resolve) => gathered.push({ arrival, resolve }));
    },
    setKeys: (keys) => tell({ kind: "keys", keys }),
    setBeacons: (beacons) => tell({ kind: "beacons", beacons }),
    async close() {
      await Promise.all(workers.map(({ worker }) => worker.terminate()));
    },
  };
}
