/** The settings of cairn-fleet: one list per command with unit, range and default. A bad one refuses the start and is named. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { LocalnetFault } from "../fault.ts";
import type { BrokerAddress } from "./connection.ts";
import type { FleetShape } from "./plan.ts";

type Setting = {
  readonly help: string;
  /** What stands for the value in the help; none for a switch. */
  readonly value?: string;
  /** Inclusive range of a whole number. */
  readonly range?: readonly [number, number];
  readonly unit?: string;
  readonly fallback?: string;
};

const most = 100_000;
const day = 86_400;
const seed = {
  help: "word from which keys and plan are drawn; the same word, the same fleet",
  value: "TEXT",
  fallback: "cairn",
};
const json = { help: "print one JSON line to stdout at the end, all other lines to stderr" };
const help = { help: "print this" };

const rosterList = {
  nodes: { help: "nodes to enrol", value: "N", range: [1, most], fallback: "100" },
  seed,
  operators: { help: "operators that the nodes belong to, in turn", value: "N", range: [1, 1_000], fallback: "2" },
  out: { help: "file to write, as the coordinator's --roster takes it", value: "FILE" },
  json,
  help,
} as const satisfies Record<string, Setting>;

const runList = {
  network: { help: "the network's description, network.json of the coordinator", value: "FILE" },
  broker: {
    help: "where to connect, mqtt:// or mqtts://, several with commas: nodes are spread over them and take the next after a failure",
    value: "URL[,URL]",
    fallback: "mqtt://127.0.0.1:1883",
  },
  ca: { help: "PEM of the authority to trust with mqtts, in place of the system's", value: "FILE" },
  credentials: {
    help: "for brokers beside the coordinator: folder with NODEID.json, {username, password}, as cairn-node takes them; without it the token of cairn-node is the password",
    value: "DIR",
  },
  nodes: { help: "simulated nodes", value: "N", range: [1, most], fallback: "100" },
  seed,
  boot: {
    help: "the nodes' boot counter, higher than in any run before",
    value: "N",
    range: [1, 2 ** 48],
    fallback: "unix seconds",
  },
  duration: { help: "how long batches are made; without it until Ctrl-C", value: "N", unit: "s", range: [1, 30 * day] },
  settle: {
    help: "at the end, longest wait for the receipts that are open",
    value: "N",
    unit: "s",
    range: [0, 3_600],
    fallback: "30",
  },
  "report-every": {
    help: "time between two lines of figures",
    value: "N",
    unit: "s",
    range: [1, 3_600],
    fallback: "5",
  },
  journal: {
    help: "file to append to: each batch when it is created and when it is receipted, one JSON object per line",
    value: "FILE",
  },
  scenario: {
    help: 'JSON file with settings of this list by name, such as {"nodes": 500}; the command line goes before it',
    value: "FILE",
  },
  readings: { help: "readings in a batch", value: "N", range: [1, 500], fallback: "20" },
  "batch-ms": {
    help: "mean time between two batches of a node",
    value: "N",
    unit: "ms",
    range: [100, 1_000 * day],
    fallback: "10000",
  },
  window: { help: "batches of a node without a receipt", value: "N", range: [1, 64], fallback: "8" },
  keepalive: {
    help: "time without a word after which a node pings",
    value: "N",
    unit: "s",
    range: [5, 3_600],
    fallback: "15",
  },
  "verify-percent": {
    help: "share of the receipts whose signature is verified (some 70 us each)",
    value: "N",
    unit: "%",
    range: [0, 100],
    fallback: "100",
  },
  join: {
    help: "time over which the nodes connect at first",
    value: "N",
    unit: "s",
    range: [0, 3_600],
    fallback: "10",
  },
  "day-seconds": {
    help: "length of the day over which the load swings",
    value: "N",
    unit: "s",
    range: [10, 30 * day],
    fallback: "86400",
  },
  "swing-percent": {
    help: "by how much of its mean the load rises and falls over a day",
    value: "N",
    unit: "%",
    range: [0, 95],
    fallback: "0",
  },
  sites: { help: "groups of nodes that lose their uplink together", value: "N", range: [1, most], fallback: "10" },
  "outage-every": {
    help: "mean time between outages of a site, 0 for none",
    value: "N",
    unit: "s",
    range: [0, 30 * day],
    fallback: "0",
  },
  "outage-seconds": { help: "mean length of an outage", value: "N", unit: "s", range: [1, 30 * day], fallback: "60" },
  "backlog-batches": {
    help: "batches that wait in a node when it begins",
    value: "N",
    range: [0, most],
    fallback: "0",
  },
  "backlog-percent": {
    help: "share of the nodes that begin with a backlog",
    value: "N",
    unit: "%",
    range: [0, 100],
    fallback: "100",
  },
  "backlog-hours": {
    help: "how far back the backlog reaches, 0: as far as its batches took",
    value: "N",
    unit: "h",
    range: [0, 720],
    fallback: "0",
  },
  "storm-every": {
    help: "time between two storms that throw nodes off, 0 for none",
    value: "N",
    unit: "s",
    range: [0, 30 * day],
    fallback: "0",
  },
  "storm-percent": {
    help: "share of the nodes that a storm throws off",
    value: "N",
    unit: "%",
    range: [1, 100],
    fallback: "100",
  },
  "storm-jitter-ms": {
    help: "time over which they come back, 0: all at once",
    value: "N",
    unit: "ms",
    range: [0, 1_000 * day],
    fallback: "10000",
  },
  "misbehaving-percent": {
    help: "share of the nodes that send, in turn: malformed bytes, to another node's topic, oversize, replays, with a wrong signature, floods",
    value: "N",
    unit: "%",
    range: [0, 100],
    fallback: "0",
  },
  "skew-ms": {
    help: "how wrong the nodes' clocks are at most; a token is good for 600000 ms",
    value: "N",
    unit: "ms",
    range: [0, 1_000 * day],
    fallback: "0",
  },
  json,
  help,
} as const satisfies Record<string, Setting>;

const commands = {
  roster: { list: rosterList, says: "writes the roster that enrols the fleet at a coordinator" },
  run: { list: runList, says: "runs the fleet against a broker" },
} as const;

export type RosterSettings = {
  readonly command: "roster";
  readonly nodes: number;
  readonly seed: string;
  readonly operators: number;
  /** Absolute. */
  readonly out: string;
  readonly json: boolean;
};

export type RunSettings = {
  readonly command: "run";
  /** Absolute. */
  readonly network: string;
  readonly brokers: readonly BrokerAddress[];
  readonly ca: string | undefined;
  readonly credentials: string | undefined;
  readonly journal: string | undefined;
  readonly shape: FleetShape;
  readonly boot: number | undefined;
  readonly durationMs: number | undefined;
  readonly settleMs: number;
  readonly reportMs: number;
  readonly window: number;
  readonly keepaliveSeconds: number;
  readonly verifiedShare: number;
  readonly json: boolean;
};

type Values = Readonly<Record<string, string | boolean | undefined>>;

/** Reads the command line, and the scenario it names; undefined when it asks for help. Throws LocalnetFault `setting-refused`. */
export function parseFleetSettings(
  args: readonly string[],
  workingFolder: string,
): RosterSettings | RunSettings | undefined {
  const [command = "", ...rest] = args;
  if (command === "--help" || command === "") return undefined;
  if (command !== "roster" && command !== "run") throw refused(`${command} is no command of cairn-fleet`);
  const list: Readonly<Record<string, Setting>> = commands[command].list;
  const flags = readFlags(list, rest);
  if (flags.help) return undefined;
  const values =
    typeof flags.scenario === "string"
      ? { ...readScenario(list, resolve(workingFolder, flags.scenario)), ...flags }
      : flags;

  const optional = (name: string): string | undefined => {
    const value = values[name];
    if (value === "") throw refused(`--${name} is empty`);
    return typeof value === "string" ? value : undefined;
  };
  const text = (name: string): string => {
    const value = optional(name) ?? list[name]?.fallback;
    if (value === undefined) throw refused(`--${name} is missing: ${list[name]?.help}`);
    return value;
  };
  const file = (name: string) => {
    const value = optional(name);
    return value === undefined ? undefined : resolve(workingFolder, value);
  };
  const whole = (name: string): number | undefined => {
    const value = optional(name);
    return value === undefined ? undefined : inRange(name, value, list[name]);
  };
  const number = (name: string): number => inRange(name, text(name), list[name]);
  const ms = (name: string) => number(name) * 1_000;
  const share = (name: string) => number(name) / 100;
  const isJson = values.json === true;

  if (command === "roster") {
    const out = resolve(workingFolder, text("out"));
    return { command, nodes: number("nodes"), seed: text("seed"), operators: number("operators"), out, json: isJson };
  }
  const nodes = number("nodes");
  const duration = whole("duration");
  return {
    command,
    network: resolve(workingFolder, text("network")),
    brokers: parseBrokers(text("broker")),
    ca: file("ca"),
    credentials: file("credentials"),
    journal: file("journal"),
    boot: whole("boot"),
    durationMs: duration === undefined ? undefined : duration * 1_000,
    settleMs: ms("settle"),
    reportMs: ms("report-every"),
    window: number("window"),
    keepaliveSeconds: number("keepalive"),
    verifiedShare: share("verify-percent"),
    json: isJson,
    shape: {
      seed: text("seed"),
      nodes,
      sites: Math.min(nodes, number("sites")),
      joinMs: ms("join"),
      readingsPerBatch: number("readings"),
      batchMs: number("batch-ms"),
      dayMs: ms("day-seconds"),
      swing: share("swing-percent"),
      outageEveryMs: ms("outage-every"),
      outageMs: ms("outage-seconds"),
      backlogBatches: number("backlog-batches"),
      backlogShare: share("backlog-percent"),
      backlogMs: number("backlog-hours") * 3_600_000,
      stormEveryMs: ms("storm-every"),
      stormShare: share("storm-percent"),
      stormJitterMs: number("storm-jitter-ms"),
      misbehavingShare: share("misbehaving-percent"),
      skewMs: number("skew-ms"),
    },
  };
}

function inRange(name: string, value: string, setting: Setting | undefined): number {
  const { range: [least, highest] = [0, 0], unit } = setting ?? { help: "" };
  if (/^\d{1,15}$/.test(value) && Number(value) >= least && Number(value) <= highest) return Number(value);
  throw refused(`--${name} ${value}: a whole number from ${least} to ${highest}${unit ? ` (${unit})` : ""} is needed`);
}

/** `mqtt://HOST:PORT`, comma separated. Throws LocalnetFault `setting-refused`. */
export function parseBrokers(text: string): readonly BrokerAddress[] {
  return text.split(",").map((each) => {
    const url = URL.canParse(each) ? new URL(each) : undefined;
    const isTls = url?.protocol === "mqtts:";
    if (!url?.hostname || (!isTls && url.protocol !== "mqtt:"))
      throw refused(`--broker ${each}: mqtt://HOST:PORT or mqtts://HOST:PORT is needed`);
    if (url.username || url.password || url.search || !["", "/"].includes(url.pathname))
      throw refused(`--broker ${each.replace(/\/\/.*@/, "//...@")}: only host and port belong into the address`);
    return {
      host: url.hostname.replace(/^\[|\]$/g, ""),
      port: Number(url.port) || (isTls ? 8_883 : 1_883),
      tls: isTls,
    };
  });
}

function readFlags(list: Readonly<Record<string, Setting>>, args: readonly string[]): Values {
  const options = Object.fromEntries(
    Object.entries(list).map(([name, { value }]) => [
      name,
      { type: value === undefined ? ("boolean" as const) : ("string" as const) },
    ]),
  );
  try {
    return { ...parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values };
  } catch (cause) {
    const [reason = ""] = (cause as Error).message.split(". ");
    throw refused(reason);
  }
}

/** The same names as on the command line; numbers, texts, and true for a switch. */
function readScenario(list: Readonly<Record<string, Setting>>, path: string): Values {
  let scenario: unknown;
  try {
    scenario = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw refused(`--scenario ${path}: ${(cause as Error).message}`);
  }
  if (typeof scenario !== "object" || scenario === null || Array.isArray(scenario))
    throw refused(`--scenario ${path}: not a JSON object`);
  return Object.fromEntries(
    Object.entries(scenario).map(([name, value]) => {
      const setting = Object.hasOwn(list, name) && name !== "scenario" ? list[name] : undefined;
      if (setting === undefined) throw refused(`--scenario ${path}: ${name} is no setting of cairn-fleet run`);
      const fits =
        setting.value === undefined ? typeof value === "boolean" : ["string", "number"].includes(typeof value);
      if (!fits) throw refused(`--scenario ${path}: ${name} is ${JSON.stringify(value)}`);
      return [name, typeof value === "number" ? `${value}` : value];
    }),
  );
}

function refused(message: string): LocalnetFault {
  return new LocalnetFault("setting-refused", message, "cairn-fleet --help lists the settings");
}

export function fleetUsage(): string {
  const lines = (list: Readonly<Record<string, Setting>>) =>
    Object.entries(list).map(([name, { help, value, range, unit, fallback }]) => {
      const notes = [
        range && `${range[0]} to ${range[1]}${unit ? ` ${unit}` : ""}`,
        fallback !== undefined && `default ${fallback}`,
      ];
      const said = notes.filter(Boolean).join("; ");
      return `  ${`--${name} ${value ?? ""}`.padEnd(25)} ${help}${said && ` (${said})`}`;
    });
  return [
    "cairn-fleet: a fleet of simulated nodes in one process, with real keys and signatures, for load and for storms.",
    "Its keys come from the seed and are known to all who know it: enrol them nowhere but in networks made for tests.",
    ...Object.entries(commands).flatMap(([name, { list, says }]) => [
      "",
      `cairn-fleet ${name} [settings]: ${says}`,
      ...lines(list),
    ]),
    "",
    "Exit codes: 0 every reading of an honest node was receipted, 1 some were not or a part is broken, 2 a setting was refused,",
    "130 stopped before --duration was over.",
    "",
  ].join("\n");
}
