/** The settings of `npm start`: one list with unit, range and default. A bad one refuses the start and is named. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { LocalnetFault } from "./fault.ts";

type Setting = {
  readonly help: string;
  /** What stands for the value in the help; none for a switch. */
  readonly value?: string;
  /** Inclusive range of a whole number. */
  readonly range?: readonly [number, number];
  readonly fallback?: string;
};

const portRange = [1, 65_535] as const;

const list = {
  nodes: { help: "node processes", value: "N", range: [1, 50], fallback: "3, then as many as last time" },
  epochs: { help: "stop after N settled epochs; without it run until Ctrl-C", value: "N", range: [1, 1_000_000] },
  json: { help: "print one JSON summary to stdout at the end, all other lines to stderr" },
  fresh: { help: "forget the network in the data folder and begin anew" },
  "slot-seconds": { help: "length of a slot in seconds", value: "N", range: [1, 3_600], fallback: "10" },
  "slots-per-epoch": { help: "slots in an epoch", value: "N", range: [1, 8_192], fallback: "6" },
  "chain-port": { help: "port of the chain's JSON-RPC", value: "PORT", range: portRange, fallback: "8545" },
  "mqtt-port": { help: "port of the MQTT broker", value: "PORT", range: portRange, fallback: "1883" },
  "web-port": {
    help: "port of the web page and the HTTP interface",
    value: "PORT",
    range: portRange,
    fallback: "8080",
  },
  serial: { help: "serial port of a GNSS receiver for node 1, in place of its recording", value: "PATH" },
  data: { help: "folder of everything the network keeps", value: "DIR", fallback: ".cairn" },
  help: { help: "print this" },
} as const satisfies Record<string, Setting>;

type Name = keyof typeof list;
type PortFlag = "chain-port" | "mqtt-port" | "web-port";

/** A port somebody named is meant; a default one may move. */
export type PortWish = {
  readonly flag: PortFlag;
  readonly part: string;
  readonly port: number;
  readonly explicit: boolean;
};

export type Settings = {
  /** Absolute. */
  readonly data: string;
  readonly fresh: boolean;
  readonly json: boolean;
  readonly epochs: number | undefined;
  readonly serial: string | undefined;
  readonly ports: { readonly chain: PortWish; readonly mqtt: PortWish; readonly web: PortWish };
  /** What belongs to the network and is remembered with it; undefined where the command line does not say. */
  readonly shape: {
    readonly nodes: number | undefined;
    readonly slotSeconds: number | undefined;
    readonly slotsPerEpoch: number | undefined;
  };
};

/** Reads the command line; undefined when it asks for help. Throws LocalnetFault `setting-refused`. */
export function parseSettings(args: readonly string[], workingFolder: string): Settings | undefined {
  const values = readFlags(args);
  if (values.help) return undefined;

  const text = (name: Name): string | undefined => {
    const value = values[name];
    if (value === undefined || typeof value === "boolean") return undefined;
    if (value === "") throw refused(`--${name} is empty`);
    return value;
  };
  const number = (name: Name): number | undefined => {
    const value = text(name);
    const { range: [least, most] = [0, 0] }: Setting = list[name];
    if (value === undefined) return undefined;
    if (!/^\d+$/.test(value) || Number(value) < least || Number(value) > most)
      throw refused(`--${name} ${value}: a whole number from ${least} to ${most} is needed`);
    return Number(value);
  };
  const port = (flag: PortFlag, part: string): PortWish => {
    const asked = number(flag);
    return { flag, part, port: asked ?? Number(list[flag].fallback), explicit: asked !== undefined };
  };

  const ports = {
    chain: port("chain-port", "the chain"),
    mqtt: port("mqtt-port", "the MQTT broker"),
    web: port("web-port", "the web page"),
  };
  refuseTwice(Object.values(ports));
  return {
    data: resolve(workingFolder, text("data") ?? list.data.fallback),
    fresh: values.fresh === true,
    json: values.json === true,
    epochs: number("epochs"),
    serial: text("serial"),
    ports,
    shape: {
      nodes: number("nodes"),
      slotSeconds: number("slot-seconds"),
      slotsPerEpoch: number("slots-per-epoch"),
    },
  };
}

function readFlags(args: readonly string[]): Partial<Record<Name, string | boolean>> {
  const options = Object.fromEntries(
    Object.entries<Setting>(list).map(([name, { value }]) => [
      name,
      { type: value === undefined ? ("boolean" as const) : ("string" as const) },
    ]),
  );
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values;
  } catch (cause) {
    const [reason = ""] = (cause as Error).message.split(". ");
    throw refused(reason);
  }
}

function refuseTwice(wishes: readonly PortWish[]): void {
  const explicit = wishes.filter((wish) => wish.explicit);
  for (const [index, wish] of explicit.entries()) {
    const earlier = explicit.slice(0, index).find(({ port }) => port === wish.port);
    if (earlier)
      throw refused(`--${wish.flag} ${wish.port} is the port of ${earlier.part} already (--${earlier.flag})`);
  }
}

function refused(message: string): LocalnetFault {
  return new LocalnetFault("setting-refused", message, "npm start -- --help lists the settings");
}

export function usage(): string {
  const lines = Object.entries<Setting>(list).map(([name, { help, value, range, fallback }]) => {
    const notes = [range && `${range[0]} to ${range[1]}`, fallback && `default ${fallback}`].filter(Boolean).join("; ");
    return `  ${`--${name} ${value ?? ""}`.padEnd(22)} ${help}${notes && ` (${notes})`}`;
  });
  return [
    "npm start -- [settings]: chain, broker, coordinator, nodes and web page on this machine.",
    "",
    ...lines,
    "",
    "A port that is in use is an error when its flag was given; else the next free one is taken.",
    "For machines: npm start --silent -- --epochs 1 --json",
    "Exit codes: 0 stopped as asked, 1 a part is broken, 2 a setting or port was refused, 3 it runs already in this folder,",
    "130 stopped before the epochs asked for were settled.",
    "",
  ].join("\n");
}
