/** The network descriptor: a file that the launcher or the admin puts beside the node. */
import { readFile } from "node:fs/promises";
import { type Network, parseNetwork } from "@cairn/protocol";
import { NodeFault } from "../fault.ts";
import type { Log, Surroundings } from "../model.ts";

const retryMs = 500;

/**
 * Reads the descriptor; while the file does not exist, waits for it. Undefined when `stopped` aborts first. A file that is there but not
 * a descriptor may be half written: it is read once more, then throws NodeFault "network-refused".
 */
export async function awaitNetwork(
  file: string,
  surroundings: Pick<Surroundings, "later">,
  log: Log,
  stopped: AbortSignal,
): Promise<Network | undefined> {
  let told = false;
  let refusedOnce = false;
  while (!stopped.aborted) {
    const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === "ENOENT") return undefined;
      throw new NodeFault(
        "network-refused",
        `--network ${file} cannot be read: ${cause.message}`,
        "Name a readable file.",
        cause,
      );
    });
    if (bytes) {
      const network = parseNetwork(bytes);
      if (network.ok) return network.value;
      if (refusedOnce)
        throw new NodeFault(
          "network-refused",
          `--network ${file} is not a network descriptor: ${network.rejection.detail}`,
          "Take the file that the network's coordinator writes.",
        );
      refusedOnce = true;
    } else if (!told) {
      told = true;
      log.info({ file }, "waiting for the network descriptor; measuring and storing meanwhile");
    }
    await new Promise<void>((resolve) => {
      const cancel = surroundings.later(retryMs, done);
      function done(): void {
        stopped.removeEventListener("abort", done);
        cancel();
        resolve();
      }
      stopped.addEventListener("abort", done);
    });
  }
  return undefined;
}
