/** One simulated node: it connects, announces itself, answers beacons and sends its batches, or whatever its plan says instead. */
import {
  type BootId,
  type Dropped,
  encodeBatch,
  encodeCredential,
  encodeEvidence,
  evidenceProfile,
  limits,
  nonceToClaim,
  parseCoordinatorState,
  type Signer,
  type Topics,
} from "@cairn/protocol";
import type { Agenda, Appointment } from "./agenda.ts";
import { type BrokerAddress, type Connection, openConnection } from "./connection.ts";
import {
  connectPacket,
  disconnectPacket,
  packetType,
  parsePublish,
  pingPacket,
  pubackPacket,
  publishPacket,
  subscribePacket,
} from "./frames.ts";
import type { Journal, JournalEntry } from "./journal.ts";
import type { SimulatedKey } from "./keys.ts";
import { type FleetShape, firstReading, type Misdeed, type NodePlan, readingsOf, sealedAt } from "./plan.ts";
import { bytesFor, type Chance } from "./random.ts";
import { type Latencies, type Misdeeds, note, type Totals } from "./tally.ts";
import type { CheckedBeacon, Trust } from "./trust.ts";
import { Uplink, type UplinkRules } from "./uplink.ts";

export type Login = { readonly username: string; readonly password: string };

/** What all nodes of a fleet have in common. */
export type World = {
  readonly shape: FleetShape;
  readonly network: string;
  readonly topics: Topics;
  readonly brokers: readonly BrokerAddress[];
  readonly ca: Buffer | undefined;
  /** What an external broker wants to see; undefined where the token does. */
  login(nodeId: string): Login | undefined;
  readonly bootCount: number;
  readonly keepaliveSeconds: number;
  readonly rules: UplinkRules;
  readonly trust: Trust;
  readonly agenda: Agenda;
  /** Ms since the fleet's start, by a clock that nobody sets; and the unix ms of that start. */
  elapsed(): number;
  readonly startedAt: number;
  /** For what reacts to the network; what is planned has chances of its own. */
  readonly chance: Chance;
  /** Signs with a key that no node has. */
  readonly forger: Signer;
  readonly latencies: readonly Latencies[];
  readonly misdeeds: Misdeeds;
  readonly journal: Pick<Journal, "write"> | undefined;
  foreignTopic(index: number): string;
  /** False once no more batches are to be made. */
  isMeasuring(): boolean;
};

type Phase = "away" | "waiting" | "connecting" | "subscribing" | "greeting" | "up";

/** The broker has let the node in. */
const signedIn: ReadonlySet<Phase> = new Set(["subscribing", "greeting", "up"]);
const connectWithinMs = 10_000;
/** A connection that held this long starts the backoff anew. */
const stableMs = 5_000;
const connectBackoff = { floorMs: 600, ceilingMs: 10_000 };
/** Answers to a beacon are spread over this share of its slot, at most over a minute. */
const answerSpread = 0.2;
const longestAnswerMs = 60_000;
const beaconsRemembered = 16;
/** Twenty refused messages within ten seconds end a connection. */
const floodMessages = 50;
const software = { name: "cairn-fleet", version: "0.1.0" };
const oversize = Buffer.alloc(limits.messageBytes + 4_096);

/** Doubles from `floorMs` to `ceilingMs`; `chance` takes off up to half. */
export function backoffMs(attempt: number, floorMs: number, ceilingMs: number, chance: number): number {
  return Math.round(Math.min(ceilingMs, floorMs * 2 ** Math.min(attempt, 30)) * (1 - chance / 2));
}

export class SimulatedNode {
  readonly plan: NodePlan;
  readonly key: SimulatedKey;
  readonly boot: BootId;
  readonly #world: World;
  readonly #totals: Totals;
  readonly #uplink: Uplink;
  #phase: Phase = "waiting";
  #connection: Connection | undefined;
  /** The next attempt to connect, or the latest moment for the one under way. */
  #due: Appointment | undefined;
  #broker: number;
  #attempts = 0;
  #upAtMs = 0;
  #packetId = 0;
  #greetingId = 0;
  #lastSentAtMs = 0;
  #pingUnanswered = false;
  /** When the uplink wants to be asked again, as far as that stands in the agenda. */
  #workAtMs = Number.POSITIVE_INFINITY;
  #answered: CheckedBeacon[] = [];
  /** Answers of this connection; `packetId` 0 once the broker has acknowledged one. */
  #answers: { packetId: number; readonly beacon: CheckedBeacon }[] = [];
  #ticks = 0;
  #lastBatch: Buffer | undefined;

  constructor(plan: NodePlan, key: SimulatedKey, world: World, totals: Totals) {
    this.plan = plan;
    this.key = key;
    this.#world = world;
    this.#totals = totals;
    this.#broker = plan.index % world.brokers.length;
    this.boot = bytesFor(world.shape.seed, "boot", plan.index, world.bootCount).toString("hex", 0, 16) as BootId;
    const backlog = this.#sendsBatches() ? plan.backlog : 0;
    this.#uplink = new Uplink(world.rules, backlog, {
      send: (sequence, dropped, again) => this.#sendBatch(sequence, dropped, again),
      receipted: (sequence, afterMs) => this.#receipted(sequence, afterMs),
      setAside: () => {
        totals.readingsSetAside += world.shape.readingsPerBatch;
      },
      takenBack: (batches) => {
        totals.readingsTakenBack += batches * world.shape.readingsPerBatch;
      },
    });
    for (let sequence = 1; sequence <= backlog; sequence++) this.#created(sequence);
  }

  get isUp(): boolean {
    return this.#phase === "up";
  }

  /** Batches without a receipt. */
  get waiting(): number {
    return this.#uplink.waiting;
  }

  /** Joins the network and begins to measure as planned. */
  start(): void {
    const { agenda, elapsed } = this.#world;
    this.#connectIn(Math.max(0, this.plan.joinAtMs - elapsed()));
    agenda.at(this.#nextTickAt(), () => this.#tick());
  }

  /** The uplink is gone: the connection dies without a word, and no other is tried. */
  leave(): void {
    this.#abandon();
    this.#phase = "away";
  }

  /** The uplink is back. */
  comeBack(delayMs: number): void {
    if (this.#phase === "away") this.#connectIn(delayMs);
  }

  /** Loses its connection and tries again after the delay; false when it had none. */
  drop(delayMs: number): boolean {
    if (this.#phase !== "up") return false;
    this.#abandon();
    this.#connectIn(delayMs);
    return true;
  }

  /** Says goodbye as a node that is stopped; resolves when its connection is gone. `leave` ends what hangs. */
  async stop(): Promise<void> {
    const connection = this.#connection;
    if (!connection || this.#phase !== "up") return;
    this.#phase = "away";
    const death = publishPacket(this.#world.topics.node(this.key.nodeId, "death"), this.#nextId(), this.#will());
    connection.write(Buffer.concat([death, disconnectPacket]));
    await connection.end();
  }

  #will(): string {
    return JSON.stringify({ boot: this.boot });
  }

  // The connection

  #connectIn(delayMs: number): void {
    const { agenda, elapsed } = this.#world;
    this.#phase = "waiting";
    agenda.cancel(this.#due);
    this.#due = agenda.at(elapsed() + delayMs, () => this.#connect());
  }

  #connect(): void {
    const world = this.#world;
    const broker = world.brokers[this.#broker % world.brokers.length];
    if (!broker) return;
    this.#phase = "connecting";
    const connection = openConnection(broker, world.ca, {
      open: () => this.#introduce(),
      packet: (first, body) => this.#packet(first, body),
      closed: () => this.#lost(),
    });
    this.#connection = connection;
    this.#due = world.agenda.at(world.elapsed() + connectWithinMs, () => this.#giveUp());
  }

  #introduce(): void {
    const { world, key } = this.#parts();
    let login: Login | undefined;
    try {
      login = world.login(key.nodeId);
    } catch {
      this.#turnedAway("login-unreadable");
      return;
    }
    const username = login?.username ?? key.nodeId;
    const password = login?.password ?? encodeCredential(world.network, key.nodeId, this.#clock(), key.sign);
    const will = { topic: world.topics.node(key.nodeId, "death"), payload: this.#will() };
    this.#write(connectPacket(key.nodeId, username, password, world.keepaliveSeconds, will));
  }

  /** What this end takes for lost. */
  #giveUp(): void {
    this.#connection?.drop();
    this.#lost();
  }

  #lost(): void {
    const wasUp = this.#phase === "up";
    if (wasUp) this.#totals.cuts += 1;
    else this.#totals.connectsFailed += 1;
    if (wasUp && this.#world.elapsed() - this.#upAtMs >= stableMs) this.#attempts = 0;
    this.#abandon();
    if (!wasUp) this.#broker += 1;
    const { floorMs, ceilingMs } = connectBackoff;
    this.#connectIn(backoffMs(this.#attempts, floorMs, ceilingMs, this.#world.chance()));
    this.#attempts += 1;
  }

  #abandon(): void {
    this.#world.agenda.cancel(this.#due);
    this.#connection?.drop();
    this.#connection = undefined;
    this.#uplink.down();
    // Answered again when they come again: what was not acknowledged, and what a broker may have acknowledged and lost.
    const nowMs = this.#clock();
    const lost = this.#answers.filter(({ packetId, beacon }) => packetId > 0 || beacon.closesAt > nowMs);
    this.#answered = this.#answered.filter((each) => !lost.some(({ beacon }) => beacon === each));
    this.#answers = [];
  }

  #packet(first: number, body: Buffer): void {
    this.#pingUnanswered = false;
    switch (first >> 4) {
      case packetType.connack:
        if (this.#phase !== "connecting") return;
        if (body[1] !== 0) this.#turnedAway(`connack-${body[1] ?? "none"}`);
        else this.#subscribe();
        return;
      case packetType.suback:
        if (this.#phase !== "subscribing") return;
        if (body.subarray(2).includes(0x80)) this.#turnedAway("suback-128");
        else this.#greet();
        return;
      case packetType.puback:
        if (body.length >= 2) this.#acknowledged(body.readUInt16BE(0));
        return;
      case packetType.publish:
        this.#published(first, body);
        return;
    }
  }

  #turnedAway(code: string): void {
    note(this.#totals.refusals, code);
    this.#giveUp();
  }

  #subscribe(): void {
    const { world, key } = this.#parts();
    const { topics } = world;
    this.#phase = "subscribing";
    const filters = [topics.receipt(key.nodeId), topics.desired(key.nodeId), topics.anyBeacon, topics.coordinatorState];
    this.#write(subscribePacket(this.#nextId(), filters));
  }

  #greet(): void {
    const { world, key } = this.#parts();
    this.#phase = "greeting";
    const birth = {
      boot: this.boot,
      bootCount: world.bootCount,
      software: `${software.name}/${software.version}`,
      profile: "simulated",
      capabilities: ["sensor.simulated"],
      desiredVersion: 0,
    };
    this.#greetingId = this.#nextId();
    const topic = world.topics.node(key.nodeId, "birth");
    this.#write(publishPacket(topic, this.#greetingId, JSON.stringify(birth), true));
  }

  #acknowledged(packetId: number): void {
    if (this.#phase === "greeting" && packetId === this.#greetingId) {
      this.#arrived();
      return;
    }
    const answer = this.#answers.find((each) => each.packetId === packetId);
    if (!answer) return;
    answer.packetId = 0;
    this.#totals.evidenceAcknowledged += 1;
  }

  #arrived(): void {
    const { agenda, elapsed, keepaliveSeconds } = this.#world;
    agenda.cancel(this.#due);
    this.#phase = "up";
    this.#upAtMs = elapsed();
    this.#totals.connects += 1;
    const connection = this.#connection;
    agenda.at(elapsed() + keepaliveSeconds * 1_000, () => this.#beat(connection));
    this.#uplink.up(elapsed());
    this.#work();
  }

  /** Keeps the connection alive when nothing else does, and notices when nobody is there any more. */
  #beat(connection: Connection | undefined): void {
    if (connection === undefined || this.#connection !== connection) return;
    const { agenda, elapsed, keepaliveSeconds } = this.#world;
    const intervalMs = keepaliveSeconds * 1_000;
    if (elapsed() - this.#lastSentAtMs >= intervalMs) {
      if (this.#pingUnanswered) {
        this.#giveUp();
        return;
      }
      this.#write(pingPacket);
      this.#pingUnanswered = true;
    }
    agenda.at(this.#lastSentAtMs + intervalMs, () => this.#beat(connection));
  }

  #write(bytes: Buffer): void {
    this.#lastSentAtMs = this.#world.elapsed();
    this.#connection?.write(bytes);
  }

  #nextId(): number {
    this.#packetId = (this.#packetId % 65_535) + 1;
    return this.#packetId;
  }

  #parts() {
    return { world: this.#world, key: this.key, plan: this.plan };
  }

  /** Unix ms by this node's own clock. */
  #clock(): number {
    return Math.round(this.#world.startedAt + this.#world.elapsed() + this.plan.skewMs);
  }

  // What comes in

  #published(first: number, body: Buffer): void {
    const publish = parsePublish(first, body);
    if (!publish) return;
    const { topics, elapsed, chance } = this.#world;
    const { topic, payload, retain } = publish;
    if (publish.qos === 1) this.#write(pubackPacket(publish.packetId));
    if (topics.isBeacon(topic)) this.#beacon(payload, retain);
    else if (topics.isCoordinatorState(topic)) {
      const state = parseCoordinatorState(payload);
      if (state.ok) this.#uplink.coordinatorIs(state.value.online ? "online" : "offline", elapsed(), chance());
      this.#work();
    } else if (topic === topics.receipt(this.key.nodeId)) this.#receipt(payload);
  }

  #beacon(payload: Buffer, retained: boolean): void {
    const { world } = this.#parts();
    const checked = world.trust.beacon(payload);
    if (!checked.ok) {
      this.#totals.messagesDistrusted += 1;
      return;
    }
    const beacon = checked.value;
    if (this.#answered.includes(beacon)) return;
    const slotMs = beacon.closesAt - beacon.opensAt;
    const leftMs = beacon.closesAt - this.#clock();
    if (slotMs <= 0 || (retained && leftMs <= 0)) return;
    this.#answered = [...this.#answered.slice(1 - beaconsRemembered), beacon];
    const within = Math.min(longestAnswerMs, (retained ? Math.min(slotMs, leftMs) : slotMs) * answerSpread);
    world.agenda.at(world.elapsed() + within * world.chance(), () => this.#answer(beacon));
  }

  #answer(beacon: CheckedBeacon): void {
    // A retained beacon comes with the subscription, and may be due before the birth is acknowledged.
    if (!signedIn.has(this.#phase)) {
      this.#answered = this.#answered.filter((each) => each !== beacon);
      return;
    }
    const { world, key } = this.#parts();
    const claims = {
      eat_profile: evidenceProfile,
      eat_nonce: nonceToClaim(beacon.nonce),
      ueid: key.ueid,
      iat: Math.max(0, Math.floor(this.#clock() / 1_000)),
      uptime: Math.floor(world.elapsed() / 1_000),
      bootcount: world.bootCount,
      bootseed: Buffer.from(this.boot, "hex").toString("base64url"),
      swname: software.name,
      swversion: [software.version] as [string],
      cairn: { slot: beacon.slot, storedUpTo: this.#uplink.stored },
    } as const;
    const packetId = this.#nextId();
    this.#answers = [...this.#answers.slice(1 - beaconsRemembered), { packetId, beacon }];
    this.#totals.evidenceSent += 1;
    const topic = world.topics.node(key.nodeId, "evidence");
    this.#write(publishPacket(topic, packetId, encodeEvidence(claims, key.nodeId, key.sign)));
  }

  #receipt(payload: Buffer): void {
    const { world, key } = this.#parts();
    const receipt = world.trust.receipt(key.nodeId, payload);
    if (!receipt.ok) this.#totals.messagesDistrusted += 1;
    else if (receipt.value.kind === "slots") this.#totals.slotReceipts += 1;
    else {
      const { boot, refused } = receipt.value.receipt;
      if (refused) note(this.#totals.refusals, refused.code);
      if (boot !== this.boot) return;
      this.#uplink.receipt(receipt.value.receipt, world.elapsed());
      this.#work();
    }
  }

  // What goes out

  #sendsBatches(): boolean {
    return this.plan.misdeed === undefined || this.plan.misdeed === "replay";
  }

  #nextTickAt(): number {
    const next = this.#sendsBatches() ? this.#uplink.sealed + 1 : this.#ticks + 1 + this.plan.backlog;
    return sealedAt(this.#world.shape, this.plan, next);
  }

  #tick(): void {
    if (!this.#world.isMeasuring()) return;
    this.#ticks += 1;
    if (this.#sendsBatches()) this.#created(this.#uplink.seal());
    this.#work();
    if (this.plan.misdeed !== undefined && this.#phase === "up") this.#misbehave(this.plan.misdeed);
    this.#world.agenda.at(this.#nextTickAt(), () => this.#tick());
  }

  #work(): void {
    const { agenda, elapsed } = this.#world;
    const again = this.#uplink.work(elapsed());
    if (again === undefined || again >= this.#workAtMs) return;
    this.#workAtMs = again;
    agenda.at(again, () => {
      if (this.#workAtMs !== again) return;
      this.#workAtMs = Number.POSITIVE_INFINITY;
      this.#work();
    });
  }

  #batch(sequence: number, dropped: readonly Dropped[], signer: Signer): Buffer {
    const { world, plan, key } = this.#parts();
    const readings = readingsOf(world.shape, plan.index, sequence, this.#sealedAt(sequence));
    return encodeBatch(
      { boot: this.boot, bootCount: world.bootCount, sequence, dropped, readings },
      key.nodeId,
      signer,
    );
  }

  /** Unix ms by this node's own clock. */
  #sealedAt(sequence: number): number {
    const { shape, startedAt } = this.#world;
    return Math.round(startedAt + sealedAt(shape, this.plan, sequence) + this.plan.skewMs);
  }

  #sendBatch(sequence: number, dropped: readonly Dropped[], again: boolean): void {
    const payload = this.#batch(sequence, dropped, this.key.sign);
    if (this.plan.misdeed === "replay") this.#lastBatch = payload;
    this.#totals.batchesSent += 1;
    if (again) this.#totals.batchesResent += 1;
    this.#publish(payload);
  }

  #publish(payload: Uint8Array, topic = this.#world.topics.node(this.key.nodeId, "batch")): void {
    this.#write(publishPacket(topic, this.#nextId(), payload));
  }

  #created(sequence: number): void {
    this.#totals.batchesCreated += 1;
    this.#totals.readingsCreated += this.#world.shape.readingsPerBatch;
    this.#record("created", sequence);
  }

  #receipted(sequence: number, afterMs: number): void {
    this.#totals.batchesReceipted += 1;
    this.#totals.readingsReceipted += this.#world.shape.readingsPerBatch;
    if (this.plan.misdeed === undefined) for (const latencies of this.#world.latencies) latencies.add(afterMs);
    this.#record("receipted", sequence);
  }

  #record(event: JournalEntry["event"], sequence: number): void {
    const { shape, startedAt, elapsed, journal } = this.#world;
    if (!journal) return;
    const first = firstReading(shape, sequence, this.#sealedAt(sequence));
    journal.write({
      event,
      at: Math.round(startedAt + elapsed()),
      node: this.key.nodeId,
      boot: this.boot,
      sequence,
      readings: shape.readingsPerBatch,
      first: first.value,
      firstAt: first.at,
    });
  }

  #misbehave(misdeed: Misdeed): void {
    const { misdeeds } = this.#world;
    for (const { payload, topic } of this.#offences(misdeed)) {
      misdeeds[misdeed] = (misdeeds[misdeed] ?? 0) + 1;
      this.#publish(payload, topic);
    }
  }

  #offences(misdeed: Misdeed): readonly { payload: Uint8Array; topic?: string }[] {
    const { world, plan, key } = this.#parts();
    const noise = (message: number) => bytesFor(world.shape.seed, "noise", plan.index, this.#ticks, message);
    switch (misdeed) {
      case "malformed":
        return [{ payload: noise(0) }];
      case "foreign-topic":
        return [{ payload: this.#batch(this.#ticks, [], key.sign), topic: world.foreignTopic(plan.index) }];
      case "oversize":
        return [{ payload: oversize }];
      case "forged":
        return [{ payload: this.#batch(this.#ticks, [], world.forger) }];
      case "flood":
        return Array.from({ length: floodMessages }, (_, message) => ({ payload: noise(message) }));
      case "replay":
        return this.#lastBatch && this.#uplink.stored > 0 ? [{ payload: this.#lastBatch }] : [];
    }
  }
}
