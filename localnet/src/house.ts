/** Finds the house's programs, which are started as processes and never imported. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { LocalnetFault } from "./fault.ts";

/** The repository's root: working folder of every process, so that arguments stay short. */
export const houseRoot = dirname(dirname(import.meta.dirname));

type Manifest = { readonly workspaces?: readonly string[]; readonly bin?: Readonly<Record<string, string>> };

function readManifest(folder: string): Manifest {
  const file = join(folder, "package.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Manifest) : {};
}

/** Path of a workspace's program by the name its package.json gives it. Throws LocalnetFault `program-missing`. */
export function programFile(name: string, root: string = houseRoot): string {
  for (const workspace of readManifest(root).workspaces ?? []) {
    const path = readManifest(join(root, workspace)).bin?.[name];
    if (path !== undefined) return join(root, workspace, path);
  }
  throw new LocalnetFault("program-missing", `no workspace brings the program ${name}`, "take a complete clone");
}
