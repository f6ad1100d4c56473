/** The founding terms as a ledger keeps them: one line of JSON. While a ledger is copied into a store, they are not terms to serve on. */
import { CoordinatorFault } from "../fault.ts";
import type { Founding } from "../model.ts";

export function encodeFounding(founding: Founding): string {
  const { epochBudget, ...parameters } = founding.parameters;
  return JSON.stringify({ ...founding, parameters: { ...parameters, epochBudget: epochBudget.toString() } });
}

/** Throws CoordinatorFault `ledger-damaged` when the ledger is half copied. */
export function decodeFounding(text: string): Founding {
  const founding = JSON.parse(text);
  if ("copying" in founding)
    throw new CoordinatorFault(
      "ledger-damaged",
      "the ledger is half copied and not to be served: run the same ledger copy again until it says that it is complete, or restore the backup into a new database",
    );
  return { ...founding, parameters: { ...founding.parameters, epochBudget: BigInt(founding.parameters.epochBudget) } };
}

/** What stands in the place of the terms while they are copied: no program serves a ledger with it. */
export function encodeHalfCopied(terms: string): string {
  return JSON.stringify({ copying: terms });
}

/** The terms that stand in a ledger, also in one that is half copied. */
export function termsIn(text: string): { readonly terms: string; readonly halfCopied: boolean } {
  const { copying } = JSON.parse(text);
  return typeof copying === "string" ? { terms: copying, halfCopied: true } : { terms: text, halfCopied: false };
}

/** Throws CoordinatorFault `ledger-foreign` when the terms in a ledger are not those that are wanted, and what `decodeFounding` throws. */
export function checkFounding(known: string, wanted: Founding): void {
  const different = differingTerms(decodeFounding(known), wanted);
  if (different === "") return;
  throw new CoordinatorFault(
    "ledger-foreign",
    `the ledger belongs to a network founded on other terms: ${different}: start over in an empty data folder, or with the old settings`,
  );
}

/** Each term that differs, as `time.slotMs: the ledger has 10000, 30000 was asked`; empty when none does. */
export function differingTerms(known: Founding, wanted: Founding, holder = "the ledger"): string {
  const has = new Map(leavesOf(known));
  const asked = new Map(leavesOf(wanted));
  return [...new Set([...has.keys(), ...asked.keys()])]
    .filter((key) => has.get(key) !== asked.get(key))
    .map((key) => `${key}: ${holder} has ${has.get(key) ?? "nothing"}, ${asked.get(key) ?? "nothing"} was asked`)
    .join("; ");
}

function leavesOf(branch: object, path = ""): [key: string, value: unknown][] {
  return Object.entries(branch).flatMap(([name, value]): [string, unknown][] =>
    typeof value === "object" && value !== null ? leavesOf(value, `${path}${name}.`) : [[`${path}${name}`, value]],
  );
}
