/** Every setting of cairn-node, in one list: unit, range, default. A bad value stops the program and is named. */
import { parseArgs } from "node:util";
import { limits } from "@cairn/protocol";
import { NodeFault } from "./fault.ts";

/** How one setting is read. `read` gives the value, or says in words why not. */
type Setting<T> = {
  readonly text: string;
  /** What stands for the value in the help; none for a switch. */
  readonly value?: string;
  readonly range?: string;
  readonly fallback?: T;
  readonly required?: boolean;
  read(text: string): { ok: T } | { refused: string };
};

type Values<S extends Record<string, Setting<unknown>>> = {
  readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never;
};

function text(
  about: string,
  value: string,
  more: { required: true; pattern?: RegExp; range?: string },
): Setting<string>;
function text(
  about: string,
  value: string,
  more: { fallback: string; pattern?: RegExp; range?: string },
): Setting<string>;
function text(about: string, value: string, more?: { pattern?: RegExp; range?: string }): Setting<string | undefined>;
function text(
  about: string,
  value: string,
  more: { required?: true; fallback?: string; pattern?: RegExp; range?: string } = {},
): Setting<string | undefined> {
  const { pattern, ...rest } = more;
  return {
    text: about,
    value,
    ...rest,
    read: (given) =>
      given !== "" && (!pattern || pattern.test(given))
        ? { ok: given }
        : { refused: `must be ${more.range ?? "not empty"}` },
  };
}

type Numbers = { unit: string; min: number; max: number; fallback: number; whole?: boolean };

function number(about: string, { unit, min, max, fallback, whole = true }: Numbers): Setting<number> {
  const range = `${min} to ${max} ${unit}`;
  return {
    text: about,
    value: "N",
    range,
    fallback,
    read: (given) => {
      const value = given.trim() === "" ? Number.NaN : Number(given);
      const fits = value >= min && value <= max && (!whole || Number.isInteger(value));
      return fits ? { ok: value } : { refused: `must be ${whole ? "a whole number" : "a number"}, ${range}` };
    },
  };
}

function toggle(about: string): Setting<boolean> {
  return { text: about, fallback: false, read: () => ({ ok: true }) };
}

const data = text("folder of the device key and the edge store", "DIR", { required: true });

const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

const brokerUrls: Setting<readonly string[]> = {
  text: "the network's MQTT broker; of several, separated by commas, the next is tried after a failed attempt",
  value: "URL,...",
  range: "mqtt://HOST:PORT or mqtts://HOST:PORT",
  required: true,
  read: (given) => {
    const urls = given.split(",").map((url) => url.trim());
    for (const each of urls) {
      const url = URL.canParse(each) ? new URL(each) : undefined;
      if (!url || !["mqtt:", "mqtts:"].includes(url.protocol) || url.hostname === "")
        return { refused: "must be mqtt://HOST:PORT or mqtts://HOST:PORT" };
      if (url.username !== "" || url.password !== "")
        return { refused: "must hold no user or password: see --broker-credentials" };
    }
    return { ok: urls };
  },
};

const logLevel: Setting<LogLevel> = {
  text: "least level that is logged",
  value: "LEVEL",
  range: logLevels.join(", "),
  fallback: "info",
  read: (given) => {
    const level = logLevels.find((name) => name === given);
    return level ? { ok: level } : { refused: `must be one of ${logLevels.join(", ")}` };
  },
};

export const commands = {
  key: {
    text: "creates the device key if there is none; prints node id and public key as one JSON line",
    settings: { data },
  },
  run: {
    text: "measures, stores, sends, answers beacons, until SIGTERM",
    settings: {
      data,
      network: text("the network's descriptor; waited for while it does not exist", "FILE", { required: true }),
      broker: brokerUrls,
      "broker-credentials": text(
        "what to sign in with at a broker that is not Cairn's own: JSON with password and perhaps username, mode 0600; the device key otherwise",
        "FILE",
      ),
      ca: text("certificate authority to trust with mqtts://, PEM; the system's otherwise", "FILE"),
      serial: text("GNSS receiver: a serial port, or replay:FILE for a recording", "PATH"),
      baud: number("bit rate of the serial port", { unit: "bit/s", min: 300, max: 4_000_000, fallback: 9_600 }),
      "host-seconds": number("interval of readings about the host", { unit: "s", min: 1, max: 3_600, fallback: 5 }),
      "batch-seconds": number("longest time a reading waits for its batch", {
        unit: "s",
        min: 0.1,
        max: 3_600,
        fallback: 2,
        whole: false,
      }),
      "batch-readings": number("most readings in one batch", {
        unit: "readings",
        min: 1,
        max: limits.batchReadings,
        fallback: 200,
      }),
      "store-mb": number("cap of the outbox; the lowest class and the oldest go first", {
        unit: "MB",
        min: 1,
        max: 65_536,
        fallback: 256,
      }),
      profile: text("device profile told to the network", "NAME", {
        fallback: "generic",
        pattern: /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/,
        range: "1 to 64 letters, digits, '.', '_' or '-'",
      }),
      "log-level": logLevel,
      "exit-with-parent": toggle(
        "stop when standard input closes, so that a launcher that dies leaves no daemon behind",
      ),
    },
  },
  status: {
    text: "says what the edge store holds, in words",
    settings: { data, json: toggle("print JSON for machines") },
  },
} as const satisfies Record<string, { text: string; settings: Record<string, Setting<unknown>> }>;

export type Command = keyof typeof commands;
export type SettingsOf<C extends Command> = Values<(typeof commands)[C]["settings"]>;

export type Invocation =
  | { readonly command: "help" | "version" }
  | { readonly [C in Command]: { readonly command: C; readonly settings: SettingsOf<C> } }[Command];

/** Reads the command line (without node and script). Throws NodeFault "usage-wrong" or "setting-refused", naming the setting. */
export function readInvocation(args: readonly string[]): Invocation {
  const [command, ...rest] = args;
  if (command === undefined || args.includes("--help") || command === "help") return { command: "help" };
  if (command === "--version") return { command: "version" };
  switch (command) {
    case "key":
      return { command, settings: readSettings(commands.key.settings, rest) };
    case "run":
      return { command, settings: readSettings(commands.run.settings, rest) };
    case "status":
      return { command, settings: readSettings(commands.status.settings, rest) };
    default:
      throw new NodeFault("usage-wrong", `there is no command ${command}`, "See cairn-node --help.");
  }
}

function readSettings<S extends Record<string, Setting<unknown>>>(settings: S, args: string[]): Values<S> {
  const given = parseFlags(settings, args);
  const values: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(settings)) {
    const raw = given[name];
    if (raw === undefined) {
      if (setting.required)
        throw new NodeFault(
          "setting-refused",
          `--${name} is missing`,
          `Give --${name} ${setting.value ?? ""}: ${setting.text}.`,
        );
      values[name] = setting.fallback;
      continue;
    }
    const outcome = setting.read(String(raw));
    if ("refused" in outcome)
      throw new NodeFault("setting-refused", `--${name} ${raw}: ${outcome.refused}`, `${name}: ${setting.text}.`);
    values[name] = outcome.ok;
  }
  return values as Values<S>;
}

function parseFlags(settings: Record<string, Setting<unknown>>, args: string[]) {
  const options = Object.fromEntries(
    Object.entries(settings).map(([name, { value }]) => [
      name,
      { type: value ? ("string" as const) : ("boolean" as const) },
    ]),
  );
  try {
    return parseArgs({ args, options, strict: true, allowPositionals: false }).values;
  } catch (cause) {
    const message = cause instanceof Error ? (cause.message.split(". ")[0] ?? cause.message) : String(cause);
    throw new NodeFault("usage-wrong", message, "See cairn-node --help.", cause);
  }
}

export function helpText(): string {
  const lines = ["cairn-node: the daemon of a Cairn edge node", ""];
  for (const [name, { text: about, settings }] of Object.entries(commands)) {
    lines.push(`  cairn-node ${name}  ${about}`);
    for (const [flag, setting] of Object.entries<Setting<unknown>>(settings)) {
      const left = `    --${flag}${setting.value ? ` ${setting.value}` : ""}`;
      const notes = [
        setting.range,
        setting.required ? "required" : undefined,
        setting.value && setting.fallback !== undefined ? `default ${setting.fallback}` : undefined,
      ].filter((note) => note !== undefined);
      lines.push(`${left.padEnd(26)}${setting.text}${notes.length > 0 ? ` (${notes.join("; ")})` : ""}`);
    }
    lines.push("");
  }
  lines.push(
    "Exit codes: 0 stopped as asked, 1 fault of the program, 2 command line, 3 device key, 4 edge store, 5 network descriptor.",
  );
  return lines.join("\n");
}
