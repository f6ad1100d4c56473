/**
 * Loaded into a program before its own code (node --import), and so into each of its threads: collects their garbage when a signal says so,
 * so that memory which is only free for now is not counted as anybody's.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { BroadcastChannel, isMainThread } from "node:worker_threads";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as (how: object) => void;
// The plain collection keeps most pages that it has emptied, for later.
const collect = () => gc({ type: "major", execution: "sync", flavor: "last-resort" });

const threads = new BroadcastChannel("collect");
threads.onmessage = collect;
threads.unref();
if (isMainThread)
  process.on("SIGUSR2", () => {
    threads.postMessage(null);
    collect();
  });
