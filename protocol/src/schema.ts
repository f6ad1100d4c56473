import type { Static, TSchema } from "typebox";
import { Compile } from "typebox/compile";
import { accept, type Result, reject } from "./result.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Compiles a schema once; the returned function turns any value into a typed one or names the first place that does not fit. */
export function checker<S extends TSchema>(name: string, schema: S): (value: unknown) => Result<Static<S>> {
  const compiled = Compile(schema);
  return (value) => {
    if (compiled.Check(value)) return accept(value as Static<S>);
    const first = compiled.Errors(value)[0];
    const where = first?.instancePath === "" ? "the whole" : (first?.instancePath ?? "?");
    return reject("schema-mismatch", `${name}: ${where} ${first?.message ?? "does not fit"}`.slice(0, 200));
  };
}

/** Bytes to any JSON value: UTF-8 is checked, never replaced. */
export function parseJson(bytes: Uint8Array, what: string): Result<unknown> {
  try {
    return accept(JSON.parse(utf8.decode(bytes)));
  } catch {
    return reject("payload-malformed", `${what} is not complete JSON (${bytes.length} bytes)`);
  }
}
