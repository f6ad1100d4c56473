/**
 * What a clustered network loses, doubles and how long it takes to take over, when everything that can break is broken: three NATS
 * servers, PostgreSQL, three coordinators and a simulated fleet, in network namespaces. Needs root, and the programs that the test suite
 * of services installs.
 *
 *   npm run bench -- chaos [--runs 3] [--nodes 2000] [--seed 1] [--combinations 2]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import type { ChaosResult } from "../localnet/testing/chaos-run.ts";
import { median } from "./median.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "3" },
    nodes: { type: "string", default: "2000" },
    seed: { type: "string", default: "1" },
    combinations: { type: "string", default: "2" },
  },
});
const runs = Number(values.runs);
const program = join(dirname(import.meta.dirname), "localnet", "testing", "chaos-run.ts");

async function run(seed: string): Promise<ChaosResult> {
  const args = ["--seed", seed, "--nodes", values.nodes, "--combinations", values.combinations];
  const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`the run with seed ${seed} ended with code ${code}`);
  return JSON.parse(text);
}

const results: ChaosResult[] = [];
for (let index = 0; index < runs; index++) results.push(await run(`${Number(values.seed) + index}`));
const worst = (numbers: readonly number[]) => Math.max(0, ...numbers);
const alone = ({ recoveries }: ChaosResult) => recoveries.filter(({ faults }) => faults.length === 1);
const figures = {
  lost: worst(results.map(({ tally }) => tally.lost)),
  doubled: worst(results.map(({ tally }) => tally.doubled)),
  takeover_s: Number(
    worst(results.flatMap((result) => alone(result).map(({ takeoverSeconds }) => takeoverSeconds ?? 0))).toFixed(1),
  ),
};
const baseline = {
  batches_receipted: median(results.map(({ tally }) => tally.receipted)),
  longest_recovery_s: Number(
    worst(results.flatMap(({ recoveries }) => recoveries.map(({ recoverySeconds }) => recoverySeconds))).toFixed(1),
  ),
};
process.stdout.write(`${JSON.stringify({ bench: "chaos", figures, baseline, runs })}\n`);
