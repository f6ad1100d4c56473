import Type, { type Static, type TSchema } from "typebox";
import { Compile } from "typebox/compile";
import { accept, type Result, reject } from "./result.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** A count, an index or a time on the wire: what a double holds exactly, and so fits a 64-bit column of any database. */
export const Whole = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** A pattern of text that people will read: letters, marks, digits, punctuation, symbols and spaces; no control characters. */
export const printablePattern = "^[\\p{L}\\p{M}\\p{N}\\p{P}\\p{S} ]+$";

/**
 * Compiles a schema once; the returned function turns any value into a typed one or names the first place that does not fit. Finding
 * that place costs a hundred times the check: a value of more than `explained` members is refused without it.
 */
export function checker<S extends TSchema>(
  name: string,
  schema: S,
  explained = Number.POSITIVE_INFINITY,
): (value: unknown) => Result<Static<S>> {
  const compiled = Compile(schema);
  return (value) => {
    if (compiled.Check(value)) return accept(value as Static<S>);
    if (!hasAtMost(explained, value))
      return reject("schema-mismatch", `${name}: does not fit, and has too many members`);
    const first = compiled.Errors(value)[0];
    const where = first?.instancePath === "" ? "the whole" : (first?.instancePath ?? "?");
    const why = first?.keyword === "boolean" ? "is not a field of it" : (first?.message ?? "does not fit");
    return reject("schema-mismatch", `${name}: ${printable(where)} ${why}`.slice(0, 200));
  };
}

/** Whether a JSON value has at most `most` members on all its levels together; looks no further than that. */
function hasAtMost(most: number, value: unknown): boolean {
  const found = [value];
  for (const each of found) {
    if (typeof each !== "object" || each === null) continue;
    for (const key in each) {
      if (found.length > most) return false;
      found.push((each as Record<string, unknown>)[key]);
    }
  }
  return true;
}

/** A place in a value is spelled by its sender: what it may do to a terminal or a database ends here. */
function printable(text: string): string {
  return text.replace(/[^ -~]/g, "?");
}

/** Bytes to any JSON value: UTF-8 is checked, never replaced. */
export function parseJson(bytes: Uint8Array, what: string): Result<unknown> {
  try {
    return accept(JSON.parse(utf8.decode(bytes)));
  } catch {
    return reject("payload-malformed", `${what} is not complete JSON (${bytes.length} bytes)`);
  }
}
