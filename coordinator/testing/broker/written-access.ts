/** What `writeAccess` left for a node. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { NodeId } from "@cairn/protocol";

export function readNodeCredential(folder: string, nodeId: NodeId): { username: string; password: string } {
  const { username, password } = JSON.parse(readFileSync(join(folder, "nodes", `${nodeId}.json`), "utf8")) as {
    username: string;
    password: string;
  };
  return { username, password };
}
