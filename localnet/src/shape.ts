/** The shape of a network: how its time is cut and how many nodes it has. Chosen at its first start and remembered with it. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LocalnetFault } from "./fault.ts";
import type { Settings } from "./settings.ts";

export type Shape = { readonly nodes: number; readonly slotSeconds: number; readonly slotsPerEpoch: number };

export const defaultShape: Shape = { nodes: 3, slotSeconds: 10, slotsPerEpoch: 6 };

const fileName = "localnet.json";
const names = Object.keys(defaultShape) as (keyof Shape)[];

/** The remembered shape of the network in `data`, undefined when there is none yet. Throws LocalnetFault `data-unusable`. */
export function readShape(data: string): Shape | undefined {
  const file = join(data, fileName);
  if (!existsSync(file)) return undefined;
  try {
    const shape = JSON.parse(readFileSync(file, "utf8")) as Shape;
    if (names.every((name) => Number.isInteger(shape[name]) && shape[name] > 0)) return shape;
  } catch {
    // Said below, together with a shape that is incomplete.
  }
  throw new LocalnetFault("data-unusable", `${file} cannot be read`, "begin anew with npm start -- --fresh");
}

export function writeShape(data: string, shape: Shape): void {
  writeFileSync(join(data, fileName), `${JSON.stringify(shape, null, 2)}\n`);
}

/**
 * What this start runs: what was asked for, else what is remembered, else the default. The number of nodes may change from start to
 * start; the cut of time may not, because slots and epochs are counted from it. Throws LocalnetFault `setting-refused`.
 */
export function decideShape(asked: Settings["shape"], remembered: Shape | undefined): Shape {
  for (const [name, flag, unit] of [
    ["slotSeconds", "slot-seconds", "s"],
    ["slotsPerEpoch", "slots-per-epoch", "slots"],
  ] as const) {
    const [now, before] = [asked[name], remembered?.[name]];
    if (now !== undefined && before !== undefined && now !== before)
      throw new LocalnetFault(
        "setting-refused",
        `--${flag} ${now}: this network was begun with ${before} ${unit}, and its slots and epochs are counted by it`,
        `leave the flag out to go on, or begin anew with --fresh --${flag} ${now}`,
      );
  }
  const past = remembered ?? defaultShape;
  return {
    nodes: asked.nodes ?? past.nodes,
    slotSeconds: asked.slotSeconds ?? past.slotSeconds,
    slotsPerEpoch: asked.slotsPerEpoch ?? past.slotsPerEpoch,
  };
}
