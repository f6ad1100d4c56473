/**
 * Strikes a clustered network with faults and prints, as its last line, what they cost as JSON.
 *
 *   node localnet/testing/chaos-run.ts --seed 7 --nodes 2000 --faults kill-broker,kill-database+kill-coordinator
 *
 * Faults joined by a plus come together. The seed makes the fleet, and the combinations when no faults are named.
 */
import { parseArgs } from "node:util";
import {
  combinationsOf,
  type Fault,
  faults,
  openRig,
  type Recovery,
  rigMissing,
  type Tally,
  troublesIn,
} from "./chaos-rig.ts";

export type ChaosResult = { readonly seed: string; readonly recoveries: readonly Recovery[]; readonly tally: Tally };

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    nodes: { type: "string", default: "2000" },
    faults: { type: "string" },
    combinations: { type: "string", default: "0" },
    "slot-seconds": { type: "string", default: "20" },
    "slots-per-epoch": { type: "string", default: "2" },
    "hold-seconds": { type: "string", default: "10" },
    epochs: { type: "string", default: "0" },
  },
});
const { seed } = values;
const names = Object.keys(faults) as Fault[];

function named(list: string): Fault[][] {
  return list.split(",").map((entry) =>
    entry.split("+").map((name) => {
      if (!(name in faults)) throw new RangeError(`${name} is no fault: ${names.join(", ")} are`);
      return name as Fault;
    }),
  );
}

const missing = rigMissing();
if (missing) throw new Error(missing);
const say = (line: string) => process.stderr.write(`${line}\n`);
const strikes = [
  ...(values.faults === undefined ? names.map((name) => [name]) : values.faults === "" ? [] : named(values.faults)),
  ...combinationsOf(seed, Number(values.combinations)),
];
say(`seed ${seed}: ${strikes.map((together) => together.join("+")).join(", ") || "no faults"}`);
const rig = await openRig({
  ...{ seed, say },
  nodes: Number(values.nodes),
  slotSeconds: Number(values["slot-seconds"]),
  slotsPerEpoch: Number(values["slots-per-epoch"]),
});
try {
  const recoveries: Recovery[] = [];
  for (const together of strikes) recoveries.push(await rig.strike(together, Number(values["hold-seconds"]) * 1000));
  if (strikes.length > 0) await rig.calm();
  while ((await rig.epochsClosed()) < Number(values.epochs)) await new Promise((resolve) => setTimeout(resolve, 1_000));
  const tally = await rig.tally();
  process.stdout.write(`${JSON.stringify({ seed, recoveries, tally } satisfies ChaosResult)}\n`);
} catch (error) {
  for (const { name } of rig.laboratory.coordinators) say(`log of ${name}:\n${troublesIn(rig.laboratory.log(name))}`);
  throw error;
} finally {
  await rig.close();
}
process.exit(0);
