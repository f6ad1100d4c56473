/** The settings of `cairn-coordinator size`: one list with unit, range and default; a bad one is refused by name. Pure. */
import { parseArgs } from "node:util";
import { CoordinatorFault } from "../fault.ts";
import { brokerKinds, type FleetLoad, ledgerKinds } from "./size-load.ts";

type SizeSetting = {
  readonly help: string;
  readonly fallback: string;
  readonly unit?: string;
  /** Inclusive range of a number; `fraction` where it need not be whole. */
  readonly range?: readonly [number, number];
  readonly fraction?: true;
  readonly choice?: readonly string[];
};

const list = {
  nodes: { help: "nodes of the fleet", fallback: "1000000", range: [1, 100_000_000] },
  interval: {
    help: "time between two batches of a node",
    unit: "s",
    fallback: "60",
    range: [0.1, 86_400],
    fraction: true,
  },
  readings: { help: "readings in a batch", fallback: "50", range: [1, 500] },
  "payload-bytes": {
    help: "size of a batch; as measured for so many readings without it",
    unit: "B",
    fallback: "",
    range: [1, 131_072],
  },
  "slot-seconds": { help: "length of a slot", unit: "s", fallback: "60", range: [1, 3_600] },
  "slots-per-epoch": { help: "slots in an epoch", fallback: "60", range: [1, 8_192] },
  "keep-days": { help: "how long readings are kept", unit: "days", fallback: "30", range: [1, 3_650] },
  "keep-evidence-days": { help: "how long evidence is kept", unit: "days", fallback: "90", range: [1, 3_650] },
  "nodes-per-operator": { help: "nodes of one operator", fallback: "10", range: [1, 1_000_000], fraction: true },
  broker: { help: "which broker", fallback: "nats", choice: brokerKinds },
  ledger: { help: "which ledger; sqlite with an embedded broker, else postgres", fallback: "", choice: ledgerKinds },
  "reconnect-seconds": {
    help: "over which a fleet that lost its broker comes back on purpose",
    unit: "s",
    fallback: "600",
    range: [1, 86_400],
  },
  "head-room": {
    help: "what is bought is so many times what is needed",
    fallback: "2",
    range: [1, 100],
    fraction: true,
  },
} as const satisfies Record<string, SizeSetting>;
type Name = keyof typeof list;

export type SizeSettings = { readonly load: FleetLoad; readonly json: boolean };

/** Reads the arguments behind `size`; undefined when they ask for help. Throws CoordinatorFault `setting-refused`. */
export function parseSizeSettings(args: readonly string[]): SizeSettings | undefined {
  const options = Object.fromEntries(Object.keys(list).map((name) => [name, { type: "string" as const }]));
  let values: Record<string, string | boolean | undefined>;
  try {
    values = parseArgs({
      args: [...args],
      options: { ...options, json: { type: "boolean" }, help: { type: "boolean" } },
    }).values;
  } catch (cause) {
    throw refused(`${(cause as Error).message}; size --help lists the settings`);
  }
  if (values.help) return undefined;

  const text = (name: Name) => String(values[name] ?? list[name].fallback);
  const number = (name: Name): number => {
    const { range: [least, most] = [0, Number.MAX_SAFE_INTEGER], unit, fraction }: SizeSetting = list[name];
    const digits = text(name);
    const value = (fraction ? /^[0-9]{1,12}(?:\.[0-9]{1,6})?$/ : /^[0-9]{1,12}$/).test(digits)
      ? Number(digits)
      : Number.NaN;
    if (!(value >= least && value <= most))
      throw refused(
        `--${name} is "${digits}": a ${fraction ? "" : "whole "}number from ${least} to ${most}${unit ? ` (${unit})` : ""} is needed`,
      );
    return value;
  };
  const choice = <T extends string>(name: Name, choices: readonly T[], fallback: string): T => {
    const value = choices.find((each) => each === (text(name) || fallback));
    if (value === undefined) throw refused(`--${name} is "${text(name)}": one of ${choices.join(", ")} is needed`);
    return value;
  };
  const broker = choice("broker", brokerKinds, "nats");
  const load: FleetLoad = {
    nodes: number("nodes"),
    intervalSeconds: number("interval"),
    readings: number("readings"),
    payloadBytes: text("payload-bytes") === "" ? undefined : number("payload-bytes"),
    slotSeconds: number("slot-seconds"),
    slotsPerEpoch: number("slots-per-epoch"),
    keepReadingsDays: number("keep-days"),
    keepEvidenceDays: number("keep-evidence-days"),
    nodesPerOperator: number("nodes-per-operator"),
    broker,
    ledger: choice("ledger", ledgerKinds, broker === "embedded" ? "sqlite" : "postgres"),
    reconnectSeconds: number("reconnect-seconds"),
    headRoom: number("head-room"),
  };
  return { load, json: values.json === true };
}

export function sizeUsage(): string {
  const line = ([name, { help, unit, fallback, choice }]: [string, SizeSetting]) =>
    `  --${name.padEnd(20)} ${help}${choice ? `: ${choice.join(", ")}` : ""}${unit ? `, ${unit}` : ""}${fallback ? ` (default ${fallback})` : ""}`;
  return [
    "cairn-coordinator size: what a fleet needs, by arithmetic over measured unit costs; docs/scale.md explains each line.",
    "",
    ...Object.entries(list).map(line),
    `  --${"json".padEnd(20)} print one JSON object`,
    "",
  ].join("\n");
}

function refused(message: string): CoordinatorFault {
  return new CoordinatorFault("setting-refused", message);
}
