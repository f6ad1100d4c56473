/** PostgreSQL's own programs, as they are installed on this machine. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { CoordinatorFault, type FaultCode } from "../fault.ts";

/** Where Debian and Ubuntu put the programs of each version. */
const versions = "/usr/lib/postgresql";
/** Of what a program complains, the end is kept. */
const complaintLength = 2_000;

/**
 * Runs a program on a database; its password goes by the environment, where no list of processes shows it. Throws CoordinatorFault:
 * `file-missing` when the program is not installed, `otherwise` with the program's own words when it fails.
 */
export async function runOnDatabase(
  name: string,
  url: string,
  args: readonly string[],
  otherwise: FaultCode,
): Promise<void> {
  const { address, password } = withoutPassword(url);
  const child = spawn(findProgram(name), [...args, `--dbname=${address}`], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...(password === "" ? {} : { PGPASSWORD: password }) },
  });
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-complaintLength);
  });
  const [status, signal] = await once(child, "close");
  if (status !== 0)
    throw new CoordinatorFault(
      otherwise,
      `${name} ended with ${status ?? signal}: ${complaint.trim() || "it said nothing"}`,
    );
}

/** On the path, or else the newest version that is installed. */
function findProgram(name: string): string {
  const installed = existsSync(versions) ? readdirSync(versions) : [];
  const newestFirst = installed.sort((a, b) => Number(b) - Number(a)).map((version) => join(versions, version, "bin"));
  const folders = [...(process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== ""), ...newestFirst];
  const found = folders.map((folder) => join(folder, name)).find(isExecutable);
  if (found === undefined)
    throw new CoordinatorFault(
      "file-missing",
      `${name} is neither on the path nor under ${versions}: install PostgreSQL's client programs (apt-get install postgresql-client)`,
    );
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function withoutPassword(url: string): { address: string; password: string } {
  const parsed = new URL(url);
  const password = decodeURIComponent(parsed.password);
  parsed.password = "";
  return { address: parsed.toString(), password };
}
