/** What tells two networks of the same name apart on one broker: left there by the first coordinator, read by all others before they take anything in. */
import type { Address } from "@cairn/protocol";
import { CoordinatorFault } from "../fault.ts";

export type FoundingMark = { readonly chainId: number; readonly rewards: Address; readonly genesisAt: number };

export function encodeMark({ chainId, rewards, genesisAt }: FoundingMark): string {
  return JSON.stringify({ chainId, rewards, genesisAt });
}

/** Throws CoordinatorFault `broker-foreign` when the mark that lies on the broker is not ours. `where`: what holds it, for the message. */
export function checkMark(found: string, ours: FoundingMark, where: string): void {
  const expected = encodeMark(ours);
  if (found === expected) return;
  throw new CoordinatorFault(
    "broker-foreign",
    `${where} belongs to another network of this name: it says ${found.slice(0, 200)}, this ledger says ${expected}`,
  );
}
