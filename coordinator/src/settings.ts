/** The settings of a running coordinator: one typed list with unit, range and default. A bad one refuses the start and is named. */
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { networkPattern } from "@cairn/protocol";
import { CoordinatorFault } from "./fault.ts";
import type { BrokerAddress, Role } from "./model.ts";

type Setting = {
  readonly help: string;
  readonly fallback?: string;
  readonly unit?: string;
  /** Inclusive range of a number. */
  readonly range?: readonly [number, number];
};

const settings = {
  data: { help: "folder of keys, of the network's description, and of the ledger where no other is named" },
  ledger: { help: "where the ledger is: sqlite:PATH or postgres://USER@HOST:PORT/DATABASE", fallback: "" },
  "ledger-password-file": { help: "file with the database's password, mode 0600", fallback: "" },
  roles: {
    help: "what this replica does, of ingest, verifier, placer, settler and api, separated by commas",
    fallback: "ingest,verifier,placer,settler,api",
  },
  replica: { help: "name of this replica, another one on each (default the host's name)", fallback: "" },
  "duty-seconds": {
    help: "how long a single-writer duty is held without being renewed: a take-over takes a little longer",
    unit: "s",
    fallback: "6",
    range: [2, 60],
  },
  broker: {
    help: "embedded, mqtt://HOST:PORT or mqtts://HOST:PORT (any MQTT 5 broker), or nats://HOST:PORT (JetStream); several separated by commas",
    fallback: "embedded",
  },
  "broker-gateway": {
    help: "with NATS: mqtt://HOST:PORT of its MQTT gateway, several separated by commas",
    fallback: "",
  },
  "broker-credentials": { help: "file with the coordinator's credentials at the broker, mode 0600", fallback: "" },
  "broker-ca": { help: "PEM file of the authority that signed the broker's certificate", fallback: "" },
  "stream-replicas": { help: "with NATS: servers that keep each message", fallback: "1", range: [1, 5] },
  network: { help: "the network's name: lower-case letters, digits, hyphens", fallback: "local" },
  host: { help: "address to listen on", fallback: "127.0.0.1" },
  "mqtt-port": { help: "port of the embedded MQTT broker, 0 for any", fallback: "1883", range: [0, 65_535] },
  "http-port": { help: "port of the HTTP interface and the page, 0 for any", fallback: "8080", range: [0, 65_535] },
  rpc: { help: "JSON-RPC address of the chain; needed by verifier and settler, and to found a network", fallback: "" },
  deployment: { help: "file that names the deployed contracts; needed where rpc is", fallback: "" },
  roster: { help: "file that lists the enrolled nodes; read again on SIGHUP" },
  "verifier-key": {
    help: "file with the verifier's secp256k1 key, mode 0600; needed by verifier and settler",
    fallback: "",
  },
  "settlement-key": {
    help: "file with the secp256k1 key of the account that pays for transactions, mode 0600; needed by settler",
    fallback: "",
  },
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

const allRoles: readonly Role[] = ["ingest", "verifier", "placer", "settler", "api"];

export type CoordinatorSettings = {
  readonly data: string;
  readonly ledger: string;
  readonly ledgerPasswordFile: string | undefined;
  readonly roles: readonly Role[];
  readonly replica: string;
  readonly dutySeconds: number;
  readonly broker: BrokerAddress;
  readonly network: string;
  readonly host: string;
  readonly mqttPort: number;
  readonly httpPort: number;
  readonly rpc: string | undefined;
  readonly deployment: string | undefined;
  readonly roster: string;
  readonly verifierKey: string | undefined;
  readonly settlementKey: string | undefined;
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
  const optional = (name: Name) => text(name) || undefined;
  const network = text("network");
  if (!new RegExp(networkPattern).test(network))
    throw refused(`--network is ${network}: lower-case letters, digits and hyphens, at most 32, are needed`);
  const roles = rolesOf(text("roles"));
  const rpc = optional("rpc");
  if (rpc !== undefined && (!/^https?:\/\//.test(rpc) || !URL.canParse(rpc)))
    throw refused(`--rpc is ${rpc}: an http address is needed`);
  const needs = (role: Role, ...names: Name[]) => {
    for (const name of names)
      if (roles.includes(role) && !text(name)) throw refused(`--${name} is missing: ${settings[name].help}`);
  };
  needs("verifier", "rpc", "deployment", "verifier-key");
  needs("settler", "rpc", "deployment", "verifier-key", "settlement-key");
  if ((rpc === undefined) !== (text("deployment") === ""))
    throw refused(
      "--rpc and --deployment are needed together: the one is where the chain is, the other what to look for there",
    );
  const replica = text("replica") || hostname().toLowerCase();
  if (!/^[a-z0-9][a-z0-9.-]{0,62}$/.test(replica))
    throw refused(`--replica is ${replica}: lower-case letters, digits, dots and hyphens, at most 63, are needed`);
  const ledger = text("ledger") || `sqlite:${join(text("data"), "ledger.sqlite")}`;
  if (!/^(sqlite:.|postgres(ql)?:\/\/.)/.test(ledger))
    throw refused(`--ledger is ${ledger.split(":", 1)[0]}:...: sqlite:PATH or postgres://... is needed`);
  const broker = brokerOf(text, number);
  if (broker.kind === "embedded" && !roles.includes("ingest") && roles.includes("verifier"))
    throw refused("--roles has verifier without ingest: with the embedded broker both are in one process");
  return {
    data: text("data"),
    ledger,
    ledgerPasswordFile: optional("ledger-password-file"),
    roles,
    replica,
    dutySeconds: number("duty-seconds"),
    broker,
    network,
    host: text("host"),
    mqttPort: number("mqtt-port"),
    httpPort: number("http-port"),
    rpc,
    deployment: optional("deployment"),
    roster: text("roster"),
    verifierKey: optional("verifier-key"),
    settlementKey: optional("settlement-key"),
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

function rolesOf(list: string): Role[] {
  const names = list.split(",").map((name) => name.trim());
  for (const name of names)
    if (!allRoles.includes(name as Role)) throw refused(`--roles has "${name}": ${allRoles.join(", ")} are known`);
  return allRoles.filter((role) => names.includes(role));
}

function brokerOf(text: (name: Name) => string, number: (name: Name) => number): BrokerAddress {
  const address = text("broker");
  if (address === "embedded") return { kind: "embedded" };
  const list = (name: Name, schemes: RegExp) => {
    const urls = text(name)
      .split(",")
      .map((url) => url.trim());
    for (const url of urls)
      if (!schemes.test(url) || !URL.canParse(url) || new URL(url).host === "")
        throw refused(`--${name} ${text(name) ? `has "${url}"` : "is missing"}: ${settings[name].help}`);
    return urls;
  };
  const kind = address.startsWith("nats") ? "nats" : "mqtt";
  if (text("broker-credentials") === "")
    throw refused(
      "--broker-credentials is missing: cairn-coordinator access writes the file together with the broker's policy",
    );
  return {
    kind,
    urls: list("broker", kind === "nats" ? /^(nats|tls):\/\// : /^mqtts?:\/\//),
    gateway: kind === "nats" ? list("broker-gateway", /^mqtts?:\/\//) : [],
    credentials: text("broker-credentials"),
    ca: text("broker-ca") || undefined,
    streamReplicas: number("stream-replicas"),
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
    "  cairn-coordinator [run] --SETTING VALUE ...   runs one, with the settings below",
    "  cairn-coordinator ledger --help               copies, backs up, restores, verifies a ledger",
    "  cairn-coordinator access --help               writes configuration and credentials for a broker",
    "  cairn-coordinator size --help                 computes what a fleet needs",
    "",
    ...Object.entries(settings).map(line),
    `  --${"exit-with-parent".padEnd(20)} stop when standard input closes`,
    "",
  ].join("\n");
}
