/** What a fleet asks of its coordinators per second: the quantities that the lines and the ceilings of `size.ts` share. Pure. */
import type { UnitCostName } from "./unit-costs.ts";

export const brokerKinds = ["embedded", "mqtt", "nats"] as const;
export type BrokerKind = (typeof brokerKinds)[number];
export const ledgerKinds = ["sqlite", "postgres"] as const;
export type LedgerKind = (typeof ledgerKinds)[number];

export type FleetLoad = {
  readonly nodes: number;
  /** Between two batches of one node. */
  readonly intervalSeconds: number;
  /** In one batch. */
  readonly readings: number;
  /** Of one batch; undefined: as measured for so many readings. */
  readonly payloadBytes: number | undefined;
  readonly slotSeconds: number;
  readonly slotsPerEpoch: number;
  readonly keepReadingsDays: number;
  readonly keepEvidenceDays: number;
  readonly nodesPerOperator: number;
  readonly broker: BrokerKind;
  readonly ledger: LedgerKind;
  /** Over which a whole fleet that lost its broker comes back, when reconnecting is spread on purpose. */
  readonly reconnectSeconds: number;
  readonly headRoom: number;
};

export const us = 1e-6;
export const day = 86_400;
/** Rows beside the readings of a batch: batch, boot, work, node. Of evidence: evidence, boot, node. */
const rowsOfBatch = 4;
const rowsOfEvidence = 3;

export type CostOf = (name: UnitCostName) => number;
export type Rates = ReturnType<typeof ratesOf>;

/** Per second, of the whole fleet. */
export function ratesOf(load: FleetLoad, cost: CostOf) {
  const batches = load.nodes / load.intervalSeconds;
  const evidence = load.nodes / load.slotSeconds;
  const window = Math.min(load.slotSeconds * cost("answerShare"), cost("answerMostSeconds"));
  return {
    batches,
    evidence,
    readings: batches * load.readings,
    evidencePeak: load.nodes / window,
    // A client pings only when it has sent nothing for so long.
    keepAlives: Math.max(0, load.nodes / cost("keepAliveSeconds") - batches - evidence),
    up: batches + evidence,
    // One storage receipt per batch, one slot receipt and one beacon per slot.
    down: batches + 2 * evidence,
    payloadBytes: load.payloadBytes ?? cost("batchBytes") + load.readings * cost("readingBytes"),
  };
}

/** Core-seconds per second of the ingest role: what stays on the main thread of each process, and what its judging threads do. */
export function ingestCores(load: FleetLoad, rates: Rates, cost: CostOf) {
  const front = { embedded: cost("embeddedMessage"), mqtt: cost("mqttClient"), nats: cost("natsClient") }[load.broker];
  // An embedded broker carries everything here; of one elsewhere only what this role itself publishes is felt.
  const out = load.broker === "embedded" ? (rates.down + rates.keepAlives) * cost("delivery") : rates.batches * front;
  const ledger =
    load.ledger === "sqlite"
      ? rates.batches * (cost("sqliteBatch") + load.readings * cost("sqliteReading")) +
        rates.evidence * cost("sqliteEvidence")
      : rowsPerSecond(load, rates) * cost("postgresClientRow");
  return {
    front: (rates.up * (front + cost("toThread")) + out) * us,
    judging:
      (rates.batches * (cost("judgeBatch") + load.readings * cost("judgeReading")) +
        rates.evidence * cost("judgeEvidence")) *
      us,
    ledger: ledger * us,
    receipts: rates.batches * cost("storageReceipt") * us,
  };
}

export function ingestProcesses(load: FleetLoad, rates: Rates, cost: CostOf): number {
  const { front, judging, ledger, receipts } = ingestCores(load, rates, cost);
  const mainThreads = (front + ledger + receipts) * load.headRoom;
  return Math.max(1, Math.ceil(mainThreads), Math.ceil((judging * load.headRoom) / cost("judgeThreads")));
}

/** Each slot's receipts cover the epoch so far: the answers of all its slots are read every time. */
export function verifierUsPerNode(load: FleetLoad, cost: CostOf): number {
  return cost("slotReceipt") + (cost("answerRow") * (load.slotsPerEpoch + 1)) / 2;
}

export function connectionCost(broker: BrokerKind): UnitCostName {
  return ({ embedded: "embeddedConnection", mqtt: "mqttConnection", nats: "natsConnection" } as const)[broker];
}

export function brokerCores(load: FleetLoad, rates: Rates, cost: CostOf): number {
  const message = { embedded: 0, mqtt: cost("mqttMessage"), nats: cost("natsMessage") }[load.broker];
  return (rates.up * message + (rates.down + rates.keepAlives) * cost("delivery")) * us;
}

export function rowsPerSecond(load: FleetLoad, rates: Rates): number {
  return rates.batches * (load.readings + rowsOfBatch) + rates.evidence * rowsOfEvidence;
}
