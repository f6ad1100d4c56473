/** The coordinator's settings: one typed list with unit, range and default. A bad one refuses the start and is named. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { CoordinatorFault } from "./fault.ts";

type Setting = {
  readonly help: string;
  readonly fallback?: string;
  readonly unit?: string;
  /** Inclusive range of a number. */
  readonly range?: readonly [number, number];
};

const settings = {
  data: { help: "folder of ledger, keys and the network's description" },
  network: { help: "the network's name: lower-case letters, digits, hyphens", fallback: "local" },
  host: { help: "address to listen on", fallback: "127.0.0.1" },
  "mqtt-port": { help: "port of the embedded MQTT broker, 0 for any", fallback: "1883", range: [0, 65_535] },
  "http-port": { help: "port of the HTTP interface and the page, 0 for any", fallback: "8080", range: [0, 65_535] },
  rpc: { help: "JSON-RPC address of the chain" },
  deployment: { help: "file that names the deployed contracts" },
  roster: { help: "file that lists the enrolled nodes; read again on SIGHUP" },
  "verifier-key": { help: "file with the verifier's secp256k1 key, mode 0600" },
  "settlement-key": { help: "file with the secp256k1 key of the account that pays for transactions, mode 0600" },
  "web-dir": { help: "folder of the built web page; without it only the interface is served", fallback: "" },
  "slot-seconds": { help: "length of a slot", unit: "s", fallback: "60", range: [1, 3_600] },
  "slots-per-epoch": { help: "slots in an epoch", fallback: "60", range: [1, 8_192] },
  "work-share": {
    help: "w: part of the budget paid for accepted work",
    unit: "basis points",
    fallback: "5000",
    range: [0, 10_000],
  },
  "uptime-floor": {
    help: "attested share of the counting slots under which uptime earns nothing",
    unit: "basis points",
    fallback: "5000",
    range: [0, 10_000],
  },
  "keep-readings-days": { help: "how long readings are kept", unit: "days", fallback: "30", range: [1, 3_650] },
  "keep-evidence-days": { help: "how long evidence tokens are kept", unit: "days", fallback: "90", range: [1, 3_650] },
  "keep-rejections": {
    help: "refused inputs kept in detail",
    unit: "rows",
    fallback: "10000",
    range: [100, 1_000_000],
  },
} as const satisfies Record<string, Setting>;

type Name = keyof typeof settings;

export type CoordinatorSettings = {
  readonly data: string;
  readonly network: string;
  readonly host: string;
  readonly mqttPort: number;
  readonly httpPort: number;
  readonly rpc: string;
  readonly deployment: string;
  readonly roster: string;
  readonly verifierKey: string;
  readonly settlementKey: string;
  readonly webDir: string | undefined;
  readonly slotSeconds: number;
  readonly slotsPerEpoch: number;
  readonly workShareBps: number;
  readonly uptimeFloorBps: number;
  readonly keepReadingsDays: number;
  readonly keepEvidenceDays: number;
  readonly keepRejections: number;
  /** Stop when standard input closes: a launcher that dies leaves no orphan. */
  readonly exitWithParent: boolean;
};

/** Reads the command line; undefined when it asks for help. Throws CoordinatorFault `setting-refused` naming the setting, its value and its range. */
export function parseSettings(args: readonly string[]): CoordinatorSettings | undefined {
  const options = Object.fromEntries(Object.keys(settings).map((name) => [name, { type: "string" as const }]));
  let values: Record<string, string | boolean | undefined>;
  try {
    values = parseArgs({
      args: [...args],
      options: { ...options, help: { type: "boolean" }, "exit-with-parent": { type: "boolean" } },
    }).values;
  } catch (cause) {
    throw refused(`${(cause as Error).message}; --help lists the settings`);
  }
  if (values.help) return undefined;

  const text = (name: Name): string => {
    const { fallback }: Setting = settings[name];
    const value = values[name] ?? fallback;
    if (typeof value !== "string" || (value === "" && fallback !== ""))
      throw refused(`--${name} is missing: ${settings[name].help}`);
    return value;
  };
  const number = (name: Name): number => {
    const { range: [least, most] = [0, Number.MAX_SAFE_INTEGER], unit }: Setting = settings[name];
    const digits = text(name);
    const value = /^[0-9]{1,15}$/.test(digits) ? Number(digits) : Number.NaN;
    if (!(value >= least && value <= most))
      throw refused(
        `--${name} is "${digits}": a whole number from ${least} to ${most}${unit ? ` (${unit})` : ""} is needed`,
      );
    return value;
  };
  const network = text("network");
  if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(network))
    throw refused(`--network is ${network}: lower-case letters, digits and hyphens, at most 32, are needed`);
  const rpc = text("rpc");
  if (!/^https?:\/\//.test(rpc) || !URL.canParse(rpc)) throw refused(`--rpc is ${rpc}: an http address is needed`);
  return {
    data: text("data"),
    network,
    host: text("host"),
    mqttPort: number("mqtt-port"),
    httpPort: number("http-port"),
    rpc,
    deployment: text("deployment"),
    roster: text("roster"),
    verifierKey: text("verifier-key"),
    settlementKey: text("settlement-key"),
    webDir: text("web-dir") ? resolve(text("web-dir")) : undefined,
    slotSeconds: number("slot-seconds"),
    slotsPerEpoch: number("slots-per-epoch"),
    workShareBps: number("work-share"),
    uptimeFloorBps: number("uptime-floor"),
    keepReadingsDays: number("keep-readings-days"),
    keepEvidenceDays: number("keep-evidence-days"),
    keepRejections: number("keep-rejections"),
    exitWithParent: values["exit-with-parent"] === true,
  };
}

function refused(message: string): CoordinatorFault {
  return new CoordinatorFault("setting-refused", message);
}

export function usage(): string {
  const line = ([name, { help, unit, fallback }]: [string, Setting]) =>
    `  --${name.padEnd(20)} ${help}${unit ? `, ${unit}` : ""}${fallback ? ` (default ${fallback})` : ""}`;
  return [
    "cairn-coordinator: enrols nodes, takes in their data, verifies their uptime, settles their rewards.",
    "",
    ...Object.entries(settings).map(line),
    `  --${"exit-with-parent".padEnd(20)} stop when standard input closes`,
    "",
  ].join("\n");
}
