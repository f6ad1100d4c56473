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
/** Arrivals that wait for the least busy thread before another one is started: some 30 ms of work. */
const behind = 256;

type Waiting = { readonly arrival: Arrival; readonly resolve: (input: Input) => void };
type Judge = { readonly worker: Worker; readonly sent: Waiting[][]; waiting: number };

/**
 * One thread runs from the start, further ones, `most` in all, are started when those that run fall behind: each costs some 25 MB.
 * `thread`: module of the thread's entry. `fault` is called when a thread dies: what it held is not answered, so its senders keep it.
 */
export function startJudges(
  thread: URL,
  most: number,
  settings: JudgeSettings,
  fault: (error: unknown) => void,
): Judges {
  const keys = new Map<NodeId, string>();
  let beacons: readonly Beacon[] = [];
  const judges = [start()];
  let gathered: Waiting[] = [];

  function start(): Judge {
    const worker = new Worker(thread, { workerData: settings, resourceLimits });
    const judge: Judge = { worker, sent: [], waiting: 0 };
    worker.on("message", (inputs: Input[]) => {
      const group = judge.sent.shift() ?? [];
      judge.waiting -= group.length;
      for (const [index, { resolve }] of group.entries()) {
        const input = inputs[index];
        if (input) resolve(input);
      }
    });
    worker.on("error", fault);
    tell(worker, { kind: "keys", keys: [...keys] });
    tell(worker, { kind: "beacons", beacons });
    return judge;
  }

  function leastBusy(): Judge {
    const least = judges.reduce((best, judge) => (judge.waiting < best.waiting ? judge : best));
    if (least.waiting < behind || judges.length >= most) return least;
    const another = start();
    judges.push(another);
    return another;
  }

  function dispatch(): void {
    const group = gathered;
    gathered = [];
    const payloads = new Uint8Array(group.reduce((sum, { arrival }) => sum + arrival.payload.length, 0));
    let at = 0;
    const arrivals = group.map(({ arrival: { payload, ...arrival } }) => {
      payloads.set(payload, at);
      at += payload.length;
      return { ...arrival, length: payload.length };
    });
    const judge = leastBusy();
    judge.sent.push(group);
    judge.waiting += group.length;
    tell(judge.worker, { kind: "arrivals", arrivals, payloads: payloads.buffer }, [payloads.buffer]);
  }

  return {
    judge(arrival) {
      if (gathered.length === 0) setImmediate(dispatch);
      return new Promise((resolve) => gathered.push({ arrival, resolve }));
    },
    setKeys(added) {
      for (const [nodeId, key] of added) keys.set(nodeId, key);
      for (const { worker } of judges) tell(worker, { kind: "keys", keys: added });
    },
    setBeacons(newest) {
      beacons = newest;
      for (const { worker } of judges) tell(worker, { kind: "beacons", beacons });
    },
    async close() {
      await Promise.all(judges.map(({ worker }) => worker.terminate()));
    },
  };
}

function tell(worker: Worker, message: JudgeMessage, transfer: ArrayBuffer[] = []): void {
  worker.postMessage(message, transfer);
}
