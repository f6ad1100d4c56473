/**
 * A program that writes groups of batches into a ledger and says on standard output up to which sequence they were admitted, so that a
 * test can end it in the middle of its work. Arguments: the ledger's file or its postgres:// address, NodeId, boot id.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { BootId, NodeId } from "@cairn/protocol";
import { orderRules } from "../src/decide/order.ts";
import { isPostgres, openLedger } from "../src/store/ledger.ts";
import { founding } from "./founding.ts";
import { batchInput, column } from "./inputs.ts";

/** Batches in one group, and readings in one batch. */
const perGroup = 4;
export const perBatch = 60;

/** Runs the writer until it has reported so many groups, kills it, and returns the last number that it reported. */
export async function writeUntilKilled(args: readonly string[], reports: number): Promise<number> {
  const program = fileURLToPath(import.meta.url);
  const writer = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(writer, "close");
  const lines: string[] = [];
  for await (const line of createInterface({ input: writer.stdout })) {
    lines.push(line);
    if (lines.length === reports) writer.kill("SIGKILL");
  }
  await ended;
  assert.equal(writer.signalCode, "SIGKILL");
  return Number(lines.at(-1));
}

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
