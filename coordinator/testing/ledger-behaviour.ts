/**
 * What every ledger must do, whatever it is built on. An implementation's own test calls `describeLedger` with a way to open an empty
 * store; nothing here knows more of it than the interface `Ledger`.
 */
import { describe } from "node:test";
import { admissionBehaviour } from "./ledger/admission.ts";
import { aheadBehaviour } from "./ledger/ahead.ts";
import { dutyBehaviour } from "./ledger/duties.ts";
import { epochBehaviour } from "./ledger/epochs.ts";
import { lifeBehaviour } from "./ledger/life.ts";
import type { OpenStore } from "./ledger/opened-store.ts";
import { readingBehaviour } from "./ledger/readings.ts";
import { replayBehaviour } from "./ledger/replays.ts";
import { sessionBehaviour } from "./ledger/sessions.ts";
import { settlementBehaviour } from "./ledger/settlement.ts";

export type { OpenedStore, OpenStore } from "./ledger/opened-store.ts";

const parts: Readonly<Record<string, (open: OpenStore) => void>> = {
  "enrolment and admission": admissionBehaviour,
  "replays and regroupings": replayBehaviour,
  "batches ahead of the watermark": aheadBehaviour,
  "sessions and refusals": sessionBehaviour,
  "readings and retention": readingBehaviour,
  "slots and epochs": epochBehaviour,
  settlement: settlementBehaviour,
  "duties and replicas": dutyBehaviour,
  "life of the store": lifeBehaviour,
};

export function describeLedger(name: string, open: OpenStore): void {
  for (const [part, behaviour] of Object.entries(parts)) describe(`${name}, ${part}`, () => behaviour(open));
}
