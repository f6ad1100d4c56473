/** The founding terms as a ledger keeps them: one line of JSON. While a ledger is copied into a store, they are not terms to serve on. */
import { isDeepStrictEqual } from "node:util";
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
  if (isDeepStrictEqual(decodeFounding(known), wanted)) return;
  throw new CoordinatorFault(
    "ledger-foreign",
    `the ledger belongs to a network founded as ${known}, not as ${encodeFounding(wanted)}: start over in an empty data folder, or with the old settings`,
  );
}
