/**
 * Loaded into a program before its own code (node --import): collects its garbage when it is told to by a signal, so that memory which is
 * only free for now is not counted as anybody's.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { isMainThread } from "node:worker_threads";

if (isMainThread) {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  process.on("SIGUSR2", () => {
    collect();
    // What was freed by the first round is given back by the second.
    setImmediate(collect);
  });
}
