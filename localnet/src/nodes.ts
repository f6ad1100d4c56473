/** The nodes of the local network: their names, keys, operators and what they measure; and the roster that enrols them. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { type Address, type NodeId, nodeIdOf, parseDevicePublicKey } from "@cairn/protocol";
import { LocalnetFault } from "./fault.ts";
import { houseRoot } from "./house.ts";
import type { Program } from "./processes.ts";

const run = promisify(execFile);

/** One line of the roster. */
export type RosterEntry = { readonly name: string; readonly publicKey: string; readonly operator: Address };

export type LocalNode = RosterEntry & { readonly number: number; readonly nodeId: NodeId; readonly folder: string };

/** Drives that node 1 and node 2 replay, and the ones after them in turn; the first two nodes carry their names. */
const recordings = ["city-drive", "harbour-mast"] as const;
/** What keeps a node small; see the head of its main file. The compile cache is the house's. */
export const leanFlags = ["--max-semi-space-size=1", "--optimize-for-size"];
export const leanEnvironment = { MALLOC_ARENA_MAX: "1" };
/** How many keys are made at the same time: each takes a process. */
const keysAtOnce = 2;

export function nodeName(number: number): string {
  return recordings[number - 1] ?? `host-${number}`;
}

function recordingOf(number: number): string {
  return `replay:hardware/recordings/${recordings[(number - 1) % recordings.length]}.jsonl`;
}

export function nodeFolder(data: string, number: number): string {
  return join(data, "nodes", `${number}`);
}

export function rosterFile(data: string): string {
  return join(data, "coordinator", "roster.json");
}

/** The enrolled nodes in their order; empty when there is no roster yet. Throws LocalnetFault `data-unusable`. */
export function readRoster(data: string): readonly RosterEntry[] {
  const file = rosterFile(data);
  if (!existsSync(file)) return [];
  try {
    const { nodes } = JSON.parse(readFileSync(file, "utf8")) as { nodes: readonly RosterEntry[] };
    if (nodes.every((entry) => parseDevicePublicKey(entry.publicKey).ok)) return nodes;
  } catch {
    // Said below, together with a roster that holds something else than keys.
  }
  throw new LocalnetFault("data-unusable", `${file} cannot be read`, "begin anew with npm start -- --fresh");
}

/**
 * Makes sure that the first `count` nodes exist and are enrolled, and resolves to them. Nodes of earlier starts keep their keys and
 * their enrolment, also those that this start does not run.
 */
export async function enrolNodes(
  data: string,
  count: number,
  operators: readonly Address[],
  nodeProgram: string,
): Promise<readonly LocalNode[]> {
  const entries = [...readRoster(data)];
  const missing = Array.from({ length: count }, (_, index) => index).filter(
    (index) => entries[index] === undefined || !existsSync(nodeFolder(data, index + 1)),
  );
  for (let first = 0; first < missing.length; first += keysAtOnce)
    await Promise.all(
      missing.slice(first, first + keysAtOnce).map(async (index) => {
        const publicKey = await deviceKey(nodeProgram, nodeFolder(data, index + 1));
        entries[index] = { name: nodeName(index + 1), publicKey, operator: operatorOf(index, operators) };
      }),
    );
  if (missing.length > 0) writeRoster(data, entries);
  return entries.slice(0, count).map((entry, index) => {
    const key = parseDevicePublicKey(entry.publicKey);
    if (!key.ok)
      throw new LocalnetFault("part-broken", `${entry.name}: ${key.rejection.detail}`, "see its data folder");
    return { ...entry, number: index + 1, nodeId: nodeIdOf(key.value), folder: nodeFolder(data, index + 1) };
  });
}

function operatorOf(index: number, operators: readonly Address[]): Address {
  const operator = operators[index % operators.length];
  if (operator === undefined) throw new RangeError("a network without operators");
  return operator;
}

function writeRoster(data: string, nodes: readonly RosterEntry[]): void {
  const file = rosterFile(data);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.new`, `${JSON.stringify({ nodes }, null, 2)}\n`);
  renameSync(`${file}.new`, file);
}

/** Public key (SPKI PEM) of the device key in the folder; the node's own program makes the key when there is none. */
async function deviceKey(nodeProgram: string, folder: string): Promise<string> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  try {
    const { stdout } = await run(process.execPath, [...leanFlags, nodeProgram, "key", "--data", folder], {
      cwd: houseRoot,
    });
    return (JSON.parse(stdout) as { publicKey: string }).publicKey;
  } catch (cause) {
    const said = (cause as { stderr?: string }).stderr?.trim() || (cause as Error).message;
    throw new LocalnetFault(
      "part-broken",
      `no device key in ${folder}: ${said}`,
      "remove that folder, or start --fresh",
      {
        cause,
      },
    );
  }
}

/** What the command line of a node needs beside the node itself. */
export type NodeSurroundings = {
  readonly nodeProgram: string;
  readonly networkFile: string;
  readonly broker: string;
  /** Real serial port of node 1. */
  readonly serial: string | undefined;
};

export function nodeProgramOf(node: LocalNode, surroundings: NodeSurroundings): Program {
  const { nodeProgram, networkFile, broker, serial } = surroundings;
  const source = node.number === 1 && serial !== undefined ? serial : recordingOf(node.number);
  return {
    name: node.name,
    command: process.execPath,
    env: leanEnvironment,
    args: [
      ...leanFlags,
      nodeProgram,
      "run",
      ...["--data", node.folder],
      ...["--network", networkFile],
      ...["--broker", broker],
      ...["--serial", source],
      "--exit-with-parent",
    ],
    stopBy: "signal",
  };
}
