/** Types that several stages speak of. Nothing here exists at run time. */
import type { KeyObject } from "node:crypto";
import type {
  Address,
  Beacon,
  Birth,
  BootId,
  EvidenceLevel,
  Hex,
  NodeChannel,
  NodeId,
  Rejection,
  SignedBatch,
  SlotTime,
} from "@cairn/protocol";

/** A node as the admin enrolled it. */
export type Enrolment = {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly operator: Address;
  readonly publicKey: KeyObject;
  readonly evidenceLevel: EvidenceLevel;
};

/** What a network pays for, fixed when it is founded. Shares in basis points (1/10,000). */
export type RewardParameters = {
  /** Smallest token units per epoch. */
  readonly epochBudget: bigint;
  /** w: part of the budget paid for accepted work. */
  readonly workShareBps: number;
  /** Below this attested share of the non-void slots a node's uptime counts nothing. */
  readonly uptimeFloorBps: number;
  readonly evidenceWeightBps: Readonly<Record<EvidenceLevel, number>>;
};

/** The network that a ledger belongs to; a ledger refuses to open for another. */
export type Founding = {
  readonly network: string;
  readonly chainId: number;
  readonly rewards: Address;
  readonly token: { readonly address: Address; readonly symbol: string; readonly decimals: number };
  readonly verifiers: readonly Address[];
  readonly time: SlotTime;
  readonly parameters: RewardParameters;
};

/** A message as it came in. `sender` is who the connection belongs to, proved by its key. `receivedAt`: unix ms, verifier's clock. */
export type Arrival = {
  readonly sender: NodeId;
  readonly channel: NodeChannel;
  readonly topic: string;
  readonly payload: Buffer;
  readonly receivedAt: number;
};

/** An input that passed every check that needs no ledger, or why it did not. All of them are written in the order of arrival. */
export type Input =
  | {
      readonly kind: "batch";
      readonly nodeId: NodeId;
      readonly topic: string;
      readonly receivedAt: number;
      readonly slot: number;
      readonly bytes: number;
      readonly payload: SignedBatch;
      readonly readings: number;
    }
  | {
      readonly kind: "evidence";
      readonly nodeId: NodeId;
      readonly topic: string;
      readonly receivedAt: number;
      readonly slot: number;
      readonly boot: BootId;
      readonly bootCount: number;
      readonly uptimeSeconds: number;
      readonly software: string;
      /** The signed token itself, kept as evidence. */
      readonly token: string;
    }
  | {
      readonly kind: "birth";
      readonly nodeId: NodeId;
      readonly topic: string;
      readonly receivedAt: number;
      readonly birth: Birth;
    }
  | {
      readonly kind: "death";
      readonly nodeId: NodeId;
      readonly topic: string;
      readonly receivedAt: number;
      readonly boot: BootId;
    }
  | RefusedInput;

/** `nodeId` is null when nobody's key stands behind the input. */
export type RefusedInput = {
  readonly kind: "refused";
  readonly nodeId: NodeId | null;
  readonly topic: string;
  readonly receivedAt: number;
  readonly bytes: number;
  readonly rejection: Rejection;
  /** First bytes of the input, for whoever looks into it. */
  readonly sample: Uint8Array;
  /** The batch that it was, by a header whose signature holds: its sender is told. */
  readonly batch?: { readonly boot: BootId; readonly sequence: number };
};

/** What a judging thread is started with, and what it is told. Payloads of a group of arrivals lie one after the other in one buffer. */
export type JudgeSettings = { readonly time: SlotTime };
export type JudgeMessage =
  | { readonly kind: "keys"; readonly keys: readonly (readonly [NodeId, string])[] }
  | { readonly kind: "beacons"; readonly beacons: readonly Beacon[] }
  | {
      readonly kind: "arrivals";
      readonly arrivals: readonly (Omit<Arrival, "payload"> & { readonly length: number })[];
      readonly payloads: ArrayBuffer;
    };

/** What became of an input. For a batch, also a refused one that is named, `storedUpTo` is the boot's watermark after it. */
export type Verdict = { readonly rejection: Rejection | null; readonly storedUpTo?: number };

/** Sequences from the first to the last, both included. */
export type SequenceRange = readonly [first: number, last: number];

/** How far a boot's batches are accounted for: stored, or stated as dropped. */
export type Watermark = {
  /** Every sequence up to this one is accounted for; 0 for none. */
  readonly storedUpTo: number;
  /** What is accounted for beyond it, ahead of a sequence that is not: ascending, apart from each other and from `storedUpTo`. */
  readonly ahead: readonly SequenceRange[];
};

/** What the ledger knows of a boot before it judges a batch or evidence. */
export type BootState = Watermark & {
  /** Counter under which this boot id is known; null when it is new. */
  readonly knownCount: number | null;
  /** Boot id that already used this counter; null when none. */
  readonly countUsedBy: BootId | null;
  /** Highest counter in accepted evidence of this node. */
  readonly highestCount: number;
};

/** A batch without a rejection is to be stored. Watermark and statements are to be kept, also of a batch that is stored already. */
export type BatchOrder = Watermark & {
  readonly rejection: Rejection | null;
  /**
   * What it states as dropped that was neither stored nor stated before, each from the first such sequence on. Its readings are those of
   * the whole statement: too many where a part of it is stored, never too few.
   */
  readonly stated: readonly NonNullable<SignedBatch["dropped"]>[number][];
};

/** The rules of order, given to the ledger so that they are judged inside the same transaction that writes the effect. */
export type OrderRules = {
  batch(state: BootState, payload: SignedBatch): BatchOrder;
  evidence(state: BootState, boot: BootId, bootCount: number): Rejection | null;
};

/** One slot of the verifier's clock. `readyAt`: since when nodes could have its beacon, unix ms; its end while none was sent. */
export type SlotRow = Beacon & {
  readonly readyAt: number;
  readonly closedAt: number | null;
  /** Why the slot counts for nobody; null when it counts. Only set once closed. */
  readonly voidReason: string | null;
};

/** What is known of an epoch when all its slots are closed. Slots that were never opened are not listed: they are void. */
export type EpochFacts = {
  readonly epoch: number;
  readonly firstSlot: number;
  readonly slotCount: number;
  readonly slots: readonly SlotRow[];
  readonly nodes: readonly NodeFacts[];
  /** Smallest token units each operator earned in all earlier epochs. */
  readonly earnedBefore: ReadonlyMap<Address, bigint>;
};

export type NodeFacts = {
  readonly nodeId: NodeId;
  readonly operator: Address;
  readonly evidenceLevel: EvidenceLevel;
  /** Slots with accepted evidence, and slots in which readings were accepted; ascending. */
  readonly answered: readonly number[];
  readonly worked: readonly number[];
};

/** An epoch's outcome: everything that is posted, claimed and shown. */
export type EpochOutcome = {
  readonly epoch: number;
  readonly firstSlot: number;
  readonly slotCount: number;
  readonly slotsVoid: number;
  readonly nodes: readonly NodeOutcome[];
  readonly operators: readonly OperatorOutcome[];
  readonly total: bigint;
  /** null when nothing was earned: no root is posted. */
  readonly root: Hex | null;
  /** SHA-256 of the epoch's verdicts in canonical bytes. */
  readonly evidence: Hex;
};

export type NodeOutcome = {
  readonly nodeId: NodeId;
  readonly operator: Address;
  readonly evidenceLevel: EvidenceLevel;
  readonly slotsAttested: number;
  readonly slotsExpected: number;
  readonly slotsVoid: number;
  readonly workUnits: number;
  readonly amount: bigint;
};

export type OperatorOutcome = {
  readonly operator: Address;
  /** Earned in this epoch. */
  readonly amount: bigint;
  readonly cumulativeAmount: bigint;
  readonly nodesRoot: Hex;
  readonly proof: readonly Hex[];
};

/** A transaction that may have been sent: written before it is, resolved when the chain has shown what became of it. */
export type Intent = {
  readonly kind: "post-root" | "claim";
  readonly epoch: number;
  /** Whom a claim pays; empty for a root. */
  readonly operator: Address | "";
  readonly transaction: Hex;
  /** The signed transaction: sending it twice cannot do anything twice. */
  readonly raw: Hex;
};

/** An epoch on its way to the chain. */
export type Settlement = {
  readonly outcome: EpochOutcome;
  readonly posted: boolean;
  /** Operators whose claim of this epoch is known to be paid. */
  readonly paid: readonly Address[];
  readonly intents: readonly Intent[];
};

/** What is due by the verifier's clock. */
export type SlotStep =
  | { readonly kind: "close"; readonly slot: number; readonly voidReason: string | null }
  | {
      readonly kind: "open";
      readonly slot: number;
      readonly epoch: number;
      readonly opensAt: number;
      readonly closesAt: number;
    }
  /** The slot was opened by an earlier run, or by another replica, and still lasts: announce its beacon again. */
  | { readonly kind: "resume"; readonly slot: number }
  | { readonly kind: "close-epoch"; readonly epoch: number }
  | { readonly kind: "wait"; readonly until: number };

export type SlotClock = {
  readonly now: number;
  readonly time: SlotTime;
  /** Since when messages of nodes come in without a disturbance, unix ms. */
  readonly readySince: number;
  /** Slots not yet closed, ascending. */
  readonly open: readonly SlotRow[];
  /** The slot whose beacon this run published last. */
  readonly announced: number | null;
  readonly unfinishedEpochs: readonly number[];
};

/** What is due for an epoch on its way to the chain. */
export type SettlementStep =
  /** An earlier run may have sent this: find out before anything else. */
  | { readonly kind: "resolve"; readonly intent: Intent }
  | { readonly kind: "post-root" }
  | { readonly kind: "claim"; readonly operator: OperatorOutcome }
  | { readonly kind: "done" };

export type NodeStatus = {
  readonly state: "online" | "degraded" | "offline" | "unheard";
  readonly since: number | null;
  readonly reason: string;
};

/** What a node's state is judged from. */
export type Heard = {
  readonly now: number;
  readonly slotMs: number;
  readonly previous: NodeStatus;
  readonly lastHeardAt: number | null;
  /** Whether the newest session ended by its last will. */
  readonly died: boolean;
  /** Closed slots that count, newest first, as far back as the node was enrolled: did the node answer? */
  readonly recentSlots: readonly boolean[];
};

/** The latest that is known of a node, for the page. */
export type NodeRecord = Enrolment & {
  readonly enrolledAt: number;
  readonly status: NodeStatus;
  readonly lastHeardAt: number | null;
  readonly lastHeardBy: string | null;
  /** Boot id named by the last will that ended the newest session; null while that session lives. */
  readonly diedBoot: BootId | null;
  readonly birth: Birth | null;
  readonly boot: BootId | null;
  readonly bootCount: number | null;
  readonly uptimeSeconds: number | null;
  readonly software: string | null;
  readonly readingsStored: number;
  readonly rejections: number;
};

export type StoredSeries = {
  readonly series: string;
  readonly unit: string;
  readonly at: number;
  readonly value: number;
  readonly quality: number;
};

export type StoredReadings = {
  readonly series: string;
  readonly unit: string;
  readonly times: readonly number[];
  readonly values: readonly number[];
  readonly qualities: readonly number[];
};

export type StoredRejection = {
  readonly at: number;
  readonly nodeId: NodeId | null;
  readonly topic: string;
  readonly rejection: Rejection;
  readonly bytes: number;
  readonly count: number;
};

/** One epoch as stored, with what the chain made of it. */
export type EpochRecord = {
  readonly outcome: EpochOutcome;
  readonly closedAt: number;
  readonly state: "closed" | "posted" | "settled" | "void";
  readonly transaction: Hex | null;
  readonly claims: readonly { operator: Address; amount: bigint; transaction: Hex | null }[];
};

export type Counts = { readonly readings: number; readonly batches: number };

/** How long rows are kept. Ages in ms, the rest in rows. */
export type Retention = {
  readonly readingsMs: number;
  readonly evidenceMs: number;
  readonly rejections: number;
};

export type BrokerKind = BrokerAddress["kind"];
/** How the coordinator reaches its broker. `urls`: tried one after the other. */
export type BrokerAddress =
  | { readonly kind: "embedded" }
  | {
      readonly kind: "mqtt" | "nats";
      readonly urls: readonly string[];
      /** Addresses of the MQTT gateway of NATS. */
      readonly gateway: readonly string[];
      readonly credentials: string;
      readonly ca: string | undefined;
      readonly streamReplicas: number;
    };

/** What a replica does: take in what nodes send, keep the clock of slots and epochs, keep node states, settle on chain, answer HTTP. */
export type Role = "ingest" | "verifier" | "placer" | "settler" | "api";

/** What only one replica may do at a time. */
export type Duty = "verifier" | "settler" | "placer" | "retention";

/** A duty as it is held. `token` rises with every change of the holder; writes under an older one are refused. */
export type Fence = { readonly duty: Duty; readonly token: number };

/** Who holds a duty, or held it last. `until`: unix ms of the store's clock. */
export type HeldDuty = Fence & { readonly holder: string; readonly until: number };

/** A running coordinator, as it says of itself once a second. */
export type Replica = {
  readonly name: string;
  readonly roles: readonly Role[];
  readonly software: string;
  readonly broker: BrokerKind;
  /** Everything that reached this replica before is committed, unix ms of the store's clock; null when it takes nothing in. */
  readonly committedBefore: number | null;
};
export type SeenReplica = Replica & { readonly seenAt: number };

/** The writes of single-writer duties. */
export type DutyWrites = Pick<
  Ledger,
  "openSlot" | "closeSlot" | "closeEpoch" | "recordIntent" | "resolveIntent" | "reopen" | "setStatus" | "prune"
>;

/**
 * The coordinator's store of record. Every method is one transaction. SQLite or PostgreSQL; whatever implements it passes
 * `testing/ledger-behaviour.ts`. Methods throw CoordinatorFault when the store itself is broken; refusal is in the answers.
 */
export type Ledger = {
  /** The clock that all replicas on this store go by, unix ms. */
  clock(): Promise<number>;
  /** Takes a duty that nobody holds (any more), or holds it longer; null while another holds it. */
  takeDuty(duty: Duty, holder: string, forMs: number): Promise<Fence | null>;
  /** Gives a duty back before its time; nothing happens when it was lost already. */
  releaseDuty(fence: Fence): Promise<void>;
  duties(): Promise<readonly HeldDuty[]>;
  /**
   * The same writes, each checked in its own transaction: CoordinatorFault `duty-lost`, and nothing written, once another has taken the
   * duty. A holder that was paused past its time may go on only while nobody did.
   */
  under(fence: Fence): DutyWrites;
  /** Notes that this replica runs. */
  noteReplica(replica: Replica): Promise<void>;
  /** Replicas that were seen in the last `withinMs` by the store's clock, by name. */
  replicas(withinMs: number): Promise<readonly SeenReplica[]>;

  /** Adds or updates enrolled nodes; an enrolled NodeId keeps its history. */
  enrol(nodes: readonly Enrolment[], at: number): Promise<void>;
  nodes(): Promise<readonly NodeRecord[]>;
  setStatus(changes: readonly { nodeId: NodeId; status: NodeStatus }[]): Promise<void>;

  /**
   * Judges the order of inputs and writes their effects, in order, all in one transaction: marker and effect together. Throws
   * CoordinatorFault `input-unstorable` when the store is well, but cannot hold a value of one of the inputs.
   */
  admit(inputs: readonly Input[], rules: OrderRules): Promise<readonly Verdict[]>;

  openSlot(slot: SlotRow): Promise<void>;
  closeSlot(slot: number, closedAt: number, voidReason: string | null): Promise<void>;
  /** Slots from `firstSlot` on, ascending. */
  slots(firstSlot: number): Promise<readonly SlotRow[]>;
  /** Nodes with accepted evidence per slot, for slots first..last. */
  answers(first: number, last: number): Promise<readonly { nodeId: NodeId; slot: number; receivedAt: number }[]>;

  /** Epochs with a slot that was opened, but without an outcome; ascending. */
  unfinishedEpochs(): Promise<readonly number[]>;
  epochFacts(epoch: number, firstSlot: number, slotCount: number): Promise<EpochFacts>;
  /** Stores an outcome; an epoch that has one already keeps it. */
  closeEpoch(outcome: EpochOutcome, closedAt: number): Promise<void>;
  epochs(limit: number): Promise<readonly EpochRecord[]>;
  epoch(epoch: number): Promise<EpochRecord | undefined>;
  nodeRewards(nodeId: NodeId, limit: number): Promise<readonly (NodeOutcome & { epoch: number })[]>;
  nodeEarned(nodeId: NodeId): Promise<bigint>;

  /** Epochs with a root whose settlement is not finished, ascending. */
  unsettled(): Promise<readonly Settlement[]>;
  recordIntent(intent: Intent, at: number): Promise<void>;
  /** Ends an intent: `confirmed` stores its effect too. `transaction` null: the effect was already on chain by another's hand. */
  resolveIntent(intent: Intent, outcome: "confirmed" | "failed", transaction: Hex | null, at: number): Promise<void>;
  /** The chain does not show these effects (any more): they are to be made again. */
  reopen(epoch: number, lost: { posted: boolean; unpaid: readonly Address[] }): Promise<void>;

  latestReadings(nodeId: NodeId): Promise<readonly StoredSeries[]>;
  readings(nodeId: NodeId, series: string, from: number, to: number, limit: number): Promise<StoredReadings | null>;
  rejections(limit: number, nodeId?: NodeId): Promise<readonly StoredRejection[]>;
  rejectionCounts(): Promise<ReadonlyMap<string, number>>;
  counts(): Promise<Counts>;

  /**
   * Removes what is older than the retention allows, in steps that hold nobody up; returns rows removed. A reading is kept for its time
   * at least, counted from when it was received; SQLite keeps it until those of its series that were measured before it are gone.
   */
  prune(retention: Retention, now: number): Promise<number>;
  close(): Promise<void>;
};

/** Brokers that know clients by name and password; NATS knows them by signed tokens, see NatsServers. */
export type PasswordBroker = "mosquitto" | "emqx" | "hivemq" | "vernemq";

export type Place = { readonly host: string; readonly port: number };

/** A user name with its password: at least 32 random bytes in text, so that one round of any hash keeps it. */
export type Account = { readonly username: string; readonly password: string };

export type PasswordAccess = {
  readonly network: string;
  /** Where the files will lie, absolute: configurations name each other by it. */
  readonly folder: string;
  /** User name of a node is its NodeId. */
  readonly nodes: readonly (Account & { readonly username: NodeId })[];
  readonly coordinator: Account;
  /**
   * Name of the coordinators' shared subscriptions. A secret where a broker lets anybody subscribe and only filters what is delivered
   * (Mosquitto): a client that joins the group takes its share of the messages away, though it may not read them.
   */
  readonly shareGroup: string;
  /** Coordinators have a listener of their own, so that it need not be open to the world. */
  readonly listen: { readonly nodes: Place; readonly coordinators: Place };
  /** Certificate and key in PEM for the nodes' listener; without them it speaks plainly. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  /** System user that the broker runs as, where its configuration says so. */
  readonly user?: string;
  /** 12 random bytes, new for every call. */
  salt(): Buffer;
};

export type AccessFile = {
  /** Relative to the folder. */
  readonly path: string;
  readonly text: string;
  /** Holds passwords, hashes of them, or keys. */
  readonly secret: boolean;
};

/** What a NATS token allows, as subjects. */
export type NatsPermissions = {
  readonly pub: { readonly allow: string[] };
  readonly sub: { readonly allow: string[] };
};

export type NatsServer = { readonly name: string; readonly client: Place; readonly mqtt: Place; readonly route: Place };

export type NatsServers = {
  readonly network: string;
  /** One, or a cluster. */
  readonly servers: readonly NatsServer[];
  /** Copies of what the MQTT gateway keeps: 3 in a cluster, or it is born on the server that dies. */
  readonly replicas: 1 | 3;
  /** Where each server keeps its streams: a folder of its own is made below it. */
  readonly folder: string;
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  readonly operatorToken: string;
  readonly accounts: readonly { readonly id: string; readonly token: string }[];
  readonly systemAccount: string;
};
