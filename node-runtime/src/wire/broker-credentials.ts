/** What the node signs in with at a broker that is not Cairn's own: a file that the network's admin made for this node alone. */
import { readFileSync, statSync } from "node:fs";
import { NodeFault } from "../fault.ts";

export type BrokerCredentials = { readonly username: string; readonly password: string };

/**
 * Reads {"username"?, "password"}; `username` falls back to the NodeId. Throws NodeFault "setting-refused" when the file is absent, not as
 * described, or readable by others than its owner.
 */
export function readBrokerCredentials(file: string, nodeId: string): BrokerCredentials {
  const refuse = (reason: string, remedy: string, cause?: unknown) =>
    new NodeFault("setting-refused", `--broker-credentials ${file}: ${reason}`, remedy, cause);
  const remedy = 'Ask the network\'s admin for this node\'s file: {"username": "...", "password": "..."}.';
  let value: unknown;
  try {
    const { mode } = statSync(file);
    if ((mode & 0o077) !== 0)
      throw refuse(`may be read by others (mode ${(mode & 0o777).toString(8)})`, `Run: chmod 600 ${file}`);
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch (cause) {
    if (cause instanceof NodeFault) throw cause;
    throw refuse((cause as Error).message, remedy, cause);
  }
  const { username = nodeId, password } = (value ?? {}) as { username?: unknown; password?: unknown };
  if (typeof username !== "string" || username === "" || typeof password !== "string" || password === "")
    throw refuse("holds no password in text", remedy);
  return { username, password };
}
