/**
 * A program that writes groups of batches into a ledger and says on standard output up to which sequence they were admitted, so that a
 * test can end it in the middle of its work. Arguments: the ledger's file or its postgres:// address, NodeId, boot id.
 */
import type { BootId, NodeId } from "@cairn/protocol";
import { orderRules } from "../src/decide/order.ts";
import { isPostgres, openLedger } from "../src/store/ledger.ts";
import { founding } from "./founding.ts";
import { batchInput, column } from "./inputs.ts";

/** Batches in one group, and readings in one batch. */
const perGroup = 4;
export const perBatch = 60;

if (import.meta.main) {
  const [target = "", nodeId = "", boot = ""] = process.argv.slice(2);
  const ledger = await openLedger({ url: isPostgres(target) ? target : `sqlite:${target}` }, founding);
  const times = Array.from({ length: perBatch }, (_, index) => index);
  const batch = (seq: number) =>
    batchInput(nodeId as NodeId, boot as BootId, { seq, series: [column("a.b", times, times)] });
  const [probe] = await ledger.admit([batch(2 ** 40)], orderRules);
  for (let seq = (probe?.storedUpTo ?? 0) + 1; ; seq += perGroup) {
    const group = Array.from({ length: perGroup }, (_, index) => batch(seq + index));
    const verdicts = await ledger.admit(group, orderRules);
    process.stdout.write(`${verdicts.at(-1)?.storedUpTo}\n`);
  }
}
