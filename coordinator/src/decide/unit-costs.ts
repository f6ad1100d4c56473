/**
 * What one unit of work costs: data for `size.ts`, and the only place where its figures stand. Costs are CPU time of the process that does
 * the work, one thread, on an ordinary server core; a faster core changes all of them alike.
 */

export type UnitCost = {
  readonly value: number;
  readonly unit: string;
  /** How it is known: measured on which machine and when, counted from a format, or assumed. */
  readonly measured: string;
};

const xeon = "measured on two cores of an Intel Xeon, November 2026";
const epyc = "measured on two cores of an AMD EPYC, November 2026";
const assumed = "assumed, not measured";
const ours = "a setting of this version of Cairn";

export const unitCosts = {
  // What comes in.
  judgeBatch: {
    value: 128,
    unit: "us/batch",
    measured: `${xeon}, scale bench: 148 us for one of 50 readings; ES256, zstd, JSON, schema`,
  },
  judgeReading: { value: 0.4, unit: "us/reading", measured: `${xeon}: batches of 10 to 100 readings compared` },
  judgeEvidence: { value: 113, unit: "us/evidence", measured: `${xeon}, scale bench: ES256, JSON, schema` },
  toThread: { value: 10, unit: "us/message", measured: `${xeon}: to a judging thread and back, on the main thread` },
  storageReceipt: { value: 28.7, unit: "us/receipt", measured: `${xeon}, scale bench: ES256 signature and JSON` },
  slotReceipt: {
    value: 432,
    unit: "us/receipt",
    measured: `${xeon}, scale bench: EIP-712 and secp256k1 in JavaScript, 60 slots`,
  },
  answerRow: { value: 0.94, unit: "us/row", measured: `${xeon}: SQLite, answers of the running epoch read` },

  // The ledger. SQLite works inside the coordinator, PostgreSQL beside it.
  sqliteBatch: {
    value: 57,
    unit: "us/batch",
    measured: `${xeon}, scale bench: 144 us for one of 50 readings, groups of 256`,
  },
  sqliteReading: {
    value: 1.74,
    unit: "us/reading",
    measured: `${xeon}, scale bench: as above, shared out as when they were measured apart`,
  },
  sqliteEvidence: { value: 17, unit: "us/evidence", measured: `${xeon}: groups of 500` },
  postgresClientRow: {
    value: 0.82,
    unit: "us/row",
    measured: `${xeon}, scale bench: COPY, groups of 256, Node's side`,
  },
  postgresServerRow: {
    value: 2.83,
    unit: "us/row",
    measured: `${xeon}, scale bench: COPY, groups of 256, server's side`,
  },
  groupInputs: { value: 256, unit: "inputs/commit", measured: ours },
  sqliteReadingBytes: { value: 31.2, unit: "B/reading", measured: `${xeon}: growth of the file` },
  sqliteBatchBytes: { value: 70, unit: "B/batch", measured: `${xeon}: growth of the file` },
  sqliteEvidenceBytes: { value: 693, unit: "B/evidence", measured: `${xeon}: growth of the file, tokens of 610 B` },
  epochNodeBytes: {
    value: 279,
    unit: "B/node and epoch",
    measured: `${xeon}: growth of the file, 10 nodes an operator`,
  },
  nodeBytes: { value: 1_460, unit: "B/node", measured: `${xeon}: growth of the file, 10 series each` },
  postgresSpread: {
    value: 2.5,
    unit: "x SQLite's bytes",
    measured: "counted: 24 B tuple header, page and index entry",
  },
  walSpread: { value: 2, unit: "x row bytes", measured: `${assumed}: page images after each checkpoint` },

  // Brokers, by message and by connection.
  embeddedMessage: { value: 25.2, unit: "us/message", measured: `${epyc}: aedes, 2,000 connections, QoS 1` },
  mqttMessage: { value: 19.5, unit: "us/message", measured: `${epyc}: mosquitto with one subscriber, QoS 1` },
  natsMessage: {
    value: 62.7,
    unit: "us/message",
    measured: `${xeon}, scale bench: NATS MQTT to an own stream to a pull consumer, 1,000 connections`,
  },
  mqttClient: { value: 12.7, unit: "us/message", measured: `${xeon}, scale bench: a subscriber by mqtt.js` },
  natsClient: { value: 16.7, unit: "us/message", measured: `${xeon}, scale bench: a pull consumer, 13,000 messages/s` },
  delivery: { value: 11.4, unit: "us/message", measured: `${epyc}: one TCP segment through kernel and event loop` },
  embeddedConnection: {
    value: 12,
    unit: "kB/connection",
    measured: `${xeon}, scale bench: aedes at 15,000 connections, after a collection`,
  },
  mqttConnection: { value: 1.72, unit: "kB/connection", measured: `${epyc}: mosquitto at 10,000 connections` },
  natsConnection: { value: 23, unit: "kB/connection", measured: `${epyc}: NATS, 5,000, subscriptions at QoS 0` },
  tlsConnection: { value: 48, unit: "kB/connection", measured: `${epyc}: TLS 1.3 sockets of Node, 3,000` },
  embeddedConnect: {
    value: 848,
    unit: "us/connect",
    measured: `${xeon}, scale bench: aedes, credential verified, two subscriptions`,
  },
  mqttConnect: { value: 44, unit: "us/connect", measured: `${epyc}: mosquitto, with one subscription` },
  natsConnect: { value: 150, unit: "us/connect", measured: `${epyc}: NATS, without a subscription` },
  tlsConnect: { value: 630, unit: "us/connect", measured: `${epyc}: full TLS 1.3 handshake with client certificate` },
  embeddedMost: { value: 15_000, unit: "connections", measured: `${epyc}: as far as one process was taken` },
  mqttMost: { value: 50_000, unit: "connections", measured: assumed },
  natsMost: { value: 50_000, unit: "connections", measured: assumed },
  natsReplicas: { value: 3, unit: "copies", measured: "the default of --stream-replicas in a cluster" },

  // Bytes on the wire.
  batchBytes: { value: 540, unit: "B/batch", measured: "counted: batches of 10 to 500 readings, zstd" },
  readingBytes: { value: 3.6, unit: "B/reading", measured: "counted: batches of 10 to 500 readings, zstd" },
  evidenceBytes: { value: 610, unit: "B/evidence", measured: "counted" },
  beaconBytes: { value: 349, unit: "B/beacon", measured: "counted" },
  storageReceiptBytes: { value: 282, unit: "B/receipt", measured: "counted" },
  slotReceiptBytes: { value: 359, unit: "B/receipt", measured: "counted, epochs of 60 slots" },
  topicBytes: { value: 68, unit: "B/message", measured: "counted: cairn/1/NETWORK/node/NODEID/evidence" },
  segmentBytes: {
    value: 74,
    unit: "B/segment",
    measured: "counted: IPv4 and TCP with timestamps 52, TLS 1.3 record 22",
  },
  mqttHeaderBytes: { value: 7, unit: "B/message", measured: "counted: fixed header, topic length, packet id" },

  // Memory beside connections.
  processBytes: { value: 90_000, unit: "kB/process", measured: `${epyc}: a daemon with its libraries` },
  keyBytes: { value: 2.25, unit: "kB/key", measured: `${xeon}: a P-256 KeyObject, 50,000 of them` },
  judgeThreads: { value: 4, unit: "threads/process", measured: ours },

  // Time and duties.
  keepAliveSeconds: { value: 15, unit: "s", measured: ours },
  answerShare: { value: 0.2, unit: "of the slot", measured: ours },
  answerMostSeconds: { value: 60, unit: "s", measured: ours },
  reconnectSeconds: { value: 10, unit: "s", measured: `${ours}: ceiling of a node's back-off` },
  leaseSeconds: { value: 6, unit: "s", measured: "the default of --duty-seconds" },
  fleetRow: { value: 16.2, unit: "us/node", measured: `${xeon}: SQLite, one reading of the whole fleet` },
  fleetPatienceSeconds: { value: 1, unit: "s", measured: "what a page may wait" },

  rosterMost: { value: 100_000, unit: "nodes", measured: `${ours}: entries of one roster` },

  // Epochs and the chain.
  closeNode: {
    value: 44.8,
    unit: "us/node",
    measured: `${xeon}, scale bench: rewards, leaves and both trees of 60 slots`,
  },
  writeOutcome: { value: 8.2, unit: "us/node", measured: `${xeon}: SQLite, one transaction` },
  rootGas: { value: 143_506, unit: "gas", measured: "forge snapshot: postRoot, 1 of 1, later" },
  claimGas: { value: 71_283, unit: "gas", measured: "forge snapshot: claim, proof of 20, repeat" },
  claimSeconds: {
    value: 2,
    unit: "s/claim",
    measured: `${assumed}: one block of a layer 2; claims go one after another`,
  },
  placeNode: { value: 0.46, unit: "us/placement", measured: `${epyc}: bucket-indexed best fit, 10,000 x 100,000` },
} as const satisfies Record<string, UnitCost>;

export type UnitCostName = keyof typeof unitCosts;
export type UnitCosts = Readonly<Record<UnitCostName, UnitCost>>;
