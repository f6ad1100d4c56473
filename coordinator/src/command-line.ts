/** Reading the arguments of a command: a typed list of options, refused by name. */
import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { CoordinatorFault } from "./fault.ts";

/** `value`: what stands for the value in the help; none for a switch. `fallback` "" makes an option optional. */
export type Option = { readonly help: string; readonly value?: string; readonly fallback?: string };
export type Given<Name extends string> = {
  text(name: Name): string;
  number(name: Name, least: number, most: number): number;
  has(name: Name): boolean;
};

/** undefined when help is asked for. Throws CoordinatorFault `setting-refused`. */
export function readOptions<Name extends string>(
  command: string,
  options: Readonly<Record<Name, Option>>,
  args: readonly string[],
): Given<Name> | undefined {
  const entries = Object.entries<Option>(options);
  let values: Record<string, string | boolean | undefined>;
  try {
    const types: ParseArgsOptionsConfig = { help: { type: "boolean" } };
    for (const [name, { value }] of entries) types[name] = { type: value ? "string" : "boolean" };
    values = parseArgs({ args: [...args], options: types }).values as typeof values;
  } catch (cause) {
    throw refused(`${(cause as Error).message}; cairn-coordinator ${command} --help lists the options`);
  }
  if (values.help) return undefined;
  const text = (name: Name): string => {
    const { fallback, help }: Option = options[name];
    const value = values[name] ?? fallback;
    if (typeof value !== "string" || (value === "" && fallback !== "")) throw refused(`--${name} is missing: ${help}`);
    return value;
  };
  return {
    text,
    has: (name) => values[name] === true,
    number(name, least, most) {
      const digits = text(name);
      const value = /^[0-9]{1,15}$/.test(digits) ? Number(digits) : Number.NaN;
      if (value >= least && value <= most) return value;
      throw refused(`--${name} is "${digits}": a whole number from ${least} to ${most} is needed`);
    },
  };
}

export function usageOf(command: string, what: string, options: Readonly<Record<string, Option>>): string {
  const line = ([name, { help, value, fallback }]: [string, Option]) =>
    `  --${(value ? `${name} ${value}` : name).padEnd(26)} ${help}${fallback ? ` (default ${fallback})` : ""}`;
  return `cairn-coordinator ${command}: ${what}\n\n${Object.entries(options).map(line).join("\n")}\n`;
}

export function refused(message: string): CoordinatorFault {
  return new CoordinatorFault("setting-refused", message);
}
