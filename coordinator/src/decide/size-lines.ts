/** The lines of a size report, section by section: each a value and what it takes for granted. Pure. */
import {
  brokerCores,
  type CostOf,
  connectionCost,
  day,
  type FleetLoad,
  ingestCores,
  ingestProcesses,
  type Rates,
  rowsPerSecond,
  us,
  verifierUsPerNode,
} from "./size-load.ts";

export const sections = [
  "messages",
  "network",
  "cores",
  "memory",
  "brokers",
  "storage",
  "database",
  "reconnect storm",
  "epochs and chain",
] as const;
export type Section = (typeof sections)[number];

export type SizeLine = {
  readonly section: Section;
  /** Stable, for programs. */
  readonly name: string;
  readonly label: string;
  readonly value: number;
  readonly unit: string;
  /** What the line takes for granted. */
  readonly assumption: string;
};

type Line = readonly [name: string, label: string, value: number, unit: string, assumption: string];

/** A broker wants cores near each other more than many of them. */
const brokerCoresEach = 4;

export function sizeLines(load: FleetLoad, rates: Rates, cost: CostOf): readonly SizeLine[] {
  const bySection: Readonly<Record<Section, readonly Line[]>> = {
    messages: messageLines(rates),
    network: networkLines(load, rates, cost),
    cores: coreLines(load, rates, cost),
    memory: memoryLines(load, rates, cost),
    brokers: brokerLines(load, rates, cost),
    storage: storageLines(load, rates, cost),
    database: databaseLines(load, rates, cost),
    "reconnect storm": stormLines(load, cost),
    "epochs and chain": chainLines(load, cost),
  };
  return sections.flatMap((section) =>
    bySection[section].map(([name, label, value, unit, assumption]) => ({
      section,
      name,
      label,
      value,
      unit,
      assumption,
    })),
  );
}

function messageLines(rates: Rates): Line[] {
  return [
    ["batches", "batches in", rates.batches, "/s", "every node sends one batch per interval"],
    ["readings", "readings in", rates.readings, "/s", "every batch holds the same number of readings"],
    ["evidence", "evidence in", rates.evidence, "/s", "every node answers every slot, on average over the slot"],
    [
      "evidence-peak",
      "evidence in, at its height",
      rates.evidencePeak,
      "/s",
      "nodes answer in the first fifth of the slot, at most a minute",
    ],
    [
      "keep-alives",
      "keep-alives in",
      rates.keepAlives,
      "/s",
      "a node pings when it sent nothing for 15 s: the broker answers, no coordinator hears of it",
    ],
    [
      "receipts",
      "receipts and beacons out",
      rates.down,
      "/s",
      "one storage receipt per batch, one slot receipt and one beacon per slot",
    ],
  ];
}

function networkLines(load: FleetLoad, rates: Rates, cost: CostOf): Line[] {
  const message = cost("topicBytes") + cost("mqttHeaderBytes") + cost("segmentBytes");
  const up =
    rates.batches * (rates.payloadBytes + message) +
    rates.evidence * (cost("evidenceBytes") + message) +
    (rates.keepAlives + rates.down) * cost("segmentBytes");
  const down =
    rates.batches * (cost("storageReceiptBytes") + message) +
    rates.evidence * (cost("slotReceiptBytes") + cost("beaconBytes") + 2 * message) +
    (rates.keepAlives + rates.up) * cost("segmentBytes");
  const copied = rates.batches * rates.payloadBytes + rates.evidence * cost("evidenceBytes");
  const lines: Line[] = [
    [
      "payload",
      "one batch",
      rates.payloadBytes,
      "B",
      load.payloadBytes === undefined ? "ten series, compressed" : "as given",
    ],
    ["network-in", "from nodes", up, "B/s", "TLS, one segment a message, an answer to each"],
    ["network-out", "to nodes", down, "B/s", "TLS, one segment a message, an answer to each"],
  ];
  if (load.broker !== "embedded")
    lines.push([
      "network-inside",
      "broker to coordinators",
      copied,
      "B/s",
      "each message goes to one coordinator, once",
    ]);
  if (load.broker === "nats")
    lines.push([
      "network-replicas",
      "between brokers",
      // Once in the stream that MQTT keeps for QoS 1, once in our own.
      2 * copied * (cost("natsReplicas") - 1),
      "B/s",
      "three copies of each message in two streams: MQTT's own and ours",
    ]);
  return lines;
}

function coreLines(load: FleetLoad, rates: Rates, cost: CostOf): Line[] {
  const ingest = ingestCores(load, rates, cost);
  const all = ingest.front + ingest.judging + ingest.ledger + ingest.receipts;
  const verifier = rates.evidence * verifierUsPerNode(load, cost) * us;
  const epochSeconds = load.slotSeconds * load.slotsPerEpoch;
  const settler = (load.nodes * (cost("closeNode") + cost("writeOutcome")) * us) / epochSeconds;
  const placer = (load.nodes * cost("placeNode") * us) / load.slotSeconds;
  const api = (load.nodes * cost("fleetRow") * us) / load.slotSeconds;
  const broker = brokerCores(load, rates, cost);
  const lines: Line[] = [
    ["ingest-front", "ingest: messages", ingest.front, "cores", "one segment a message; nothing coalesced"],
    [
      "ingest-judging",
      "ingest: signatures, parsing",
      ingest.judging,
      "cores",
      "one signature a batch, one an evidence",
    ],
    [
      "ingest-ledger",
      "ingest: ledger",
      ingest.ledger,
      "cores",
      load.ledger === "sqlite" ? "full groups" : "full groups, the coordinator's side",
    ],
    ["ingest-receipts", "ingest: storage receipts", ingest.receipts, "cores", "a receipt per batch: none covers two"],
    [
      "ingest-processes",
      "ingest: processes",
      ingestProcesses(load, rates, cost),
      "processes",
      `head room ${load.headRoom}; one main thread each, four judging threads`,
    ],
    [
      "verifier",
      "verifier",
      verifier,
      "cores",
      "signs one receipt per node and slot, reads all answers of the epoch each time; one process holds the duty",
    ],
    ["settler", "settler", settler, "cores", "on average; all of it comes at once at an epoch's end"],
    ["placer", "placer", placer, "cores", "every node placed anew once a slot"],
    ["api", "api", api, "cores", "the whole fleet read once a slot; pages are extra"],
  ];
  if (load.broker !== "embedded")
    lines.push(["broker", `${load.broker} brokers`, broker, "cores", "messages in, deliveries out, keep-alives"]);
  if (load.ledger === "postgres")
    lines.push([
      "postgres",
      "PostgreSQL",
      rowsPerSecond(load, rates) * cost("postgresServerRow") * us,
      "cores",
      "one table with one index; vacuum is extra",
    ]);
  const outside =
    (load.broker === "embedded" ? 0 : broker) +
    (load.ledger === "postgres" ? rowsPerSecond(load, rates) * cost("postgresServerRow") * us : 0);
  lines.push([
    "cores",
    "all, with head room",
    (all + verifier + settler + placer + api + outside) * load.headRoom,
    "cores",
    `the lines above, times ${load.headRoom}`,
  ]);
  return lines;
}

function memoryLines(load: FleetLoad, rates: Rates, cost: CostOf): Line[] {
  const kb = 1_000;
  const perConnection = connectionCost(load.broker);
  const processes = ingestProcesses(load, rates, cost);
  // A process and each of its judging threads hold the keys of all nodes: any message may come to any of them.
  const keys = load.nodes * cost("keyBytes") * kb * (1 + cost("judgeThreads"));
  const connections = load.nodes * cost(perConnection) * kb;
  const tls = load.nodes * cost("tlsConnection") * kb;
  const bases = (processes + (load.broker === "embedded" ? 0 : 3)) * cost("processBytes") * kb;
  return [
    [
      "memory-connections",
      "connections",
      connections,
      "B",
      load.broker === "nats"
        ? "subscriptions at QoS 0: each at QoS 1 would cost a consumer, 67 to 73 kB"
        : "one connection and its subscriptions per node",
    ],
    [
      "memory-tls",
      "TLS of the connections",
      tls,
      "B",
      "where it ends in the broker, as expensive as Node's; mosquitto's and NATS's were not measured",
    ],
    [
      "memory-keys",
      "keys, per ingest process",
      keys,
      "B",
      "every process and each of its judging threads knows every node",
    ],
    [
      "memory-all",
      "all",
      connections + tls + keys * processes + bases,
      "B",
      "connections, TLS, keys and processes; without PostgreSQL's buffers and what the queues hold",
    ],
  ];
}

function brokerLines(load: FleetLoad, rates: Rates, cost: CostOf): Line[] {
  const most = ({ embedded: "embeddedMost", mqtt: "mqttMost", nats: "natsMost" } as const)[load.broker];
  const byConnections = Math.ceil((load.nodes * load.headRoom) / cost(most));
  const lines: Line[] = [["connections", "connections", load.nodes, "", "every node holds one"]];
  if (load.broker === "embedded")
    return [
      ...lines,
      [
        "brokers",
        "embedded brokers",
        1,
        "processes",
        `one process was taken to ${cost(most)} connections; it cannot be made more of`,
      ],
    ];
  const byCores = Math.ceil((brokerCores(load, rates, cost) * load.headRoom) / brokerCoresEach);
  const servers = Math.max(load.broker === "nats" ? cost("natsReplicas") : 1, byConnections, byCores);
  const assumption =
    load.broker === "nats"
      ? `at least ${cost("natsReplicas")}; ${cost(most)} connections or ${brokerCoresEach} cores each, head room ${load.headRoom}`
      : `${cost(most)} connections or ${brokerCoresEach} cores each, head room ${load.headRoom}; mosquitto is no cluster: each is a shard with its own nodes`;
  lines.push(["brokers", `${load.broker} brokers`, servers, "servers", assumption]);
  if (load.broker === "nats")
    lines.push([
      "jetstream",
      "stream writes, with their copies",
      2 * rates.up * cost("natsReplicas"),
      "messages/s",
      "each message in MQTT's stream and in ours, on every copy's disk",
    ]);
  return lines;
}

function ledgerBytes(load: FleetLoad, cost: CostOf): number {
  return load.ledger === "sqlite" ? 1 : cost("postgresSpread");
}

function storageLines(load: FleetLoad, rates: Rates, cost: CostOf): Line[] {
  const spread = ledgerBytes(load, cost);
  const readingsPerDay =
    rates.batches * day * (cost("sqliteBatchBytes") + load.readings * cost("sqliteReadingBytes")) * spread;
  const evidencePerDay = rates.evidence * day * cost("sqliteEvidenceBytes") * spread;
  const epochsPerDay = (load.nodes * day * cost("epochNodeBytes") * spread) / (load.slotSeconds * load.slotsPerEpoch);
  const nodes = load.nodes * cost("nodeBytes") * spread;
  const kept = readingsPerDay * load.keepReadingsDays + evidencePerDay * load.keepEvidenceDays + nodes;
  const cap = `stays for ${load.keepReadingsDays} days`;
  return [
    ["storage-readings", "readings, a day", readingsPerDay, "B/day", cap],
    ["storage-evidence", "evidence, a day", evidencePerDay, "B/day", `stays for ${load.keepEvidenceDays} days`],
    [
      "storage-epochs",
      "outcomes of epochs, a day",
      epochsPerDay,
      "B/day",
      "never removed: operators may claim at any time",
    ],
    ["storage-kept", "kept, without outcomes", kept, "B", "full retention, no aggregates, enrolled nodes included"],
    ["storage-year", "outcomes of one year", epochsPerDay * 365, "B", "one row per node and epoch"],
  ];
}

function databaseLines(load: FleetLoad, rates: Rates, cost: CostOf): Line[] {
  const spread = ledgerBytes(load, cost);
  const rows = rowsPerSecond(load, rates);
  const bytes =
    (rates.batches * (cost("sqliteBatchBytes") + load.readings * cost("sqliteReadingBytes")) +
      rates.evidence * cost("sqliteEvidenceBytes")) *
    spread;
  return [
    ["rows", "rows written", rows, "/s", "a batch writes 4 rows beside its readings, evidence 3"],
    [
      "commits",
      "commits, at least",
      rates.up / cost("groupInputs"),
      "/s",
      "full groups; a quiet ledger commits smaller ones more often",
    ],
    ["database-write", "data written", bytes, "B/s", "rows and indexes, once"],
    [
      "database-log",
      `${load.ledger === "sqlite" ? "SQLite" : "PostgreSQL"} log written`,
      bytes * cost("walSpread"),
      "B/s",
      "the log carries the rows and page images; a standby and an archive receive it too",
    ],
  ];
}

function stormLines(load: FleetLoad, cost: CostOf): Line[] {
  const connect = ({ embedded: "embeddedConnect", mqtt: "mqttConnect", nats: "natsConnect" } as const)[load.broker];
  const seconds = load.nodes * (cost(connect) + cost("tlsConnect")) * us;
  return [
    [
      "storm",
      "whole fleet reconnects",
      seconds,
      "core-seconds",
      "full TLS handshake with client certificate, no session resumed",
    ],
    [
      "storm-now",
      "as nodes do it by themselves",
      seconds / cost("reconnectSeconds"),
      "cores",
      `all within ${cost("reconnectSeconds")} s, the ceiling of their back-off`,
    ],
    [
      "storm-spread",
      "spread on purpose",
      seconds / load.reconnectSeconds,
      "cores",
      `evenly over ${load.reconnectSeconds} s`,
    ],
  ];
}

function chainLines(load: FleetLoad, cost: CostOf): Line[] {
  const epochSeconds = load.slotSeconds * load.slotsPerEpoch;
  const operators = Math.ceil(load.nodes / load.nodesPerOperator);
  const claimSeconds = operators * cost("claimSeconds");
  return [
    ["epochs", "epochs", day / epochSeconds, "/day", "slots x length of a slot"],
    [
      "close",
      "closing an epoch",
      load.nodes * (cost("closeNode") + cost("writeOutcome")) * us,
      "core-seconds",
      "60 slots; one thread, in one piece",
    ],
    [
      "claims",
      "claims, an epoch",
      operators,
      "transactions",
      `${load.nodesPerOperator} nodes an operator; the coordinator claims for every operator`,
    ],
    [
      "gas",
      "gas, an epoch",
      cost("rootGas") + operators * cost("claimGas"),
      "gas",
      "one root, repeated claims with proofs of 20",
    ],
    ["claim-time", "time to send the claims", claimSeconds, "s", "one after another, each waits for its block"],
    [
      "claim-share",
      "of the epoch's own length",
      claimSeconds / epochSeconds,
      "x",
      "above 1, claims fall behind for ever: leave them to the operators",
    ],
  ];
}
