/**
 * The verifier at work: opens a slot by publishing its signed nonce, closes it, gives every node that answered a signed slot receipt,
 * and closes an epoch once all its slots are closed. What is due is decided elsewhere; each step here may be done twice.
 */
import { randomBytes } from "node:crypto";
import {
  type Address,
  type Beacon,
  type Domain,
  encodeBeacon,
  encodeSlotReceipt,
  firstSlotOf,
  type Hex,
  hexOf,
  type NodeId,
  type SlotTime,
} from "@cairn/protocol";
import type { EpochFacts, EpochOutcome, Ledger, SlotClock, SlotRow, SlotStep } from "../model.ts";

export type VerifierActions = {
  readonly ledger: Pick<
    Ledger,
    "openSlot" | "closeSlot" | "slots" | "answers" | "unfinishedEpochs" | "epochFacts" | "closeEpoch"
  >;
  readonly time: SlotTime;
  readonly domain: Domain;
  readonly verifier: { readonly address: Address; readonly key: Uint8Array };
  now(): number;
  steps(clock: SlotClock): readonly SlotStep[];
  outcomeOf(facts: EpochFacts): EpochOutcome;
  /** Since when messages come in without a disturbance, unix ms; null while they do not. */
  receivingSince(): number | null;
  /**
   * Resolves when everything that reached the network before `at` is committed, or after `patienceMs`: slots are closed on complete data.
   * A reason comes back when some of it is certain to be missing.
   */
  committed(at: number, patienceMs: number): Promise<string | null>;
  /** The beacons of this epoch and the one before: what evidence may answer. */
  beaconsChanged(beacons: readonly Beacon[]): void;
  publishBeacon(payload: Buffer): void;
  publishReceipt(nodeId: NodeId, payload: Buffer): void;
  epochClosed(epoch: number): void;
  fault(error: unknown): void;
};

export type Verifier = { stop(): Promise<void> };

/** `asking`: whether the answer is on its way. */
type Ending = { committed: boolean; voidReason: string | null; asking: boolean };

const retryMs = 1_000;
/**
 * How long a slot's receipts wait for what a replica may still hold, and how long an epoch's outcome does. What is committed after its
 * slot was closed counts as long as the epoch is open.
 */
const patience = { slotMs: 5_000, epochMs: 600_000 };

export async function startVerifier(actions: VerifierActions): Promise<Verifier> {
  const { ledger, time, domain, verifier } = actions;
  const beacons = new Map<Hex, Beacon>();
  let announced: number | null = null;
  let stopped = false;
  let awake = false;
  let rouse = () => {};
  /** Slots and epochs that are over and wait for what came in time. */
  const endings = new Map<string, Ending>();

  function wake(): void {
    awake = true;
    rouse();
  }

  const oldestKept = () =>
    Math.max(0, Math.floor((actions.now() - time.genesisAt) / time.slotMs) - 2 * time.slotsPerEpoch);
  for (const row of await ledger.slots(oldestKept())) remember(row);

  function remember(beacon: Beacon): void {
    beacons.set(beacon.nonce, beacon);
    const oldest = oldestKept();
    for (const [nonce, { slot }] of beacons) if (slot < oldest) beacons.delete(nonce);
  }

  function announce(beacon: Beacon): void {
    const { epoch, slot, nonce, opensAt, closesAt } = beacon;
    remember(beacon);
    announced = slot;
    actions.beaconsChanged([...beacons.values()]);
    actions.publishBeacon(encodeBeacon({ epoch, slot, nonce, opensAt, closesAt }, domain, verifier));
  }

  async function open(step: Extract<SlotStep, { kind: "open" }>): Promise<void> {
    const { epoch, slot, opensAt, closesAt } = step;
    const nonce = hexOf(randomBytes(32));
    const row = { epoch, slot, nonce, opensAt, closesAt, closedAt: null, voidReason: null };
    await ledger.openSlot({ ...row, readyAt: closesAt });
    await announceStored({ ...row, readyAt: closesAt });
  }

  /** Only when its beacon is out, the row says so: whoever takes over in between announces it, and a slot that nobody heard of is void. */
  async function announceStored(row: SlotRow): Promise<void> {
    announce(row);
    if (row.readyAt >= row.closesAt) await ledger.openSlot({ ...row, readyAt: Math.max(row.opensAt, actions.now()) });
  }

  async function resume(row: SlotRow | undefined): Promise<void> {
    if (row) await announceStored(row);
  }

  async function close(step: Extract<SlotStep, { kind: "close" }>): Promise<void> {
    await ledger.closeSlot(step.slot, actions.now(), step.voidReason);
    if (step.voidReason === null) await sendSlotReceipts(step.slot);
  }

  /** Each receipt covers the epoch so far, so that the newest one says everything. */
  async function sendSlotReceipts(slot: number): Promise<void> {
    const epoch = Math.floor(slot / time.slotsPerEpoch) + 1;
    const firstSlot = firstSlotOf(time, epoch);
    const rows = (await ledger.slots(firstSlot)).filter((row) => row.slot <= slot && row.epoch === epoch);
    const counted = new Set(rows.filter(({ voidReason }) => voidReason === null).map((row) => row.slot));
    const slotCount = slot - firstSlot + 1;
    const voidBits = bitmap(slotCount, (index) => !counted.has(firstSlot + index));
    const answered = new Map<NodeId, Set<number>>();
    for (const answer of await ledger.answers(firstSlot, slot)) {
      const slots = answered.get(answer.nodeId) ?? new Set();
      answered.set(answer.nodeId, slots.add(answer.slot));
    }
    for (const [nodeId, slots] of answered) {
      if (!slots.has(slot)) continue;
      const credited = bitmap(slotCount, (index) => counted.has(firstSlot + index) && slots.has(firstSlot + index));
      const receipt = { nodeId, epoch, firstSlot, slotCount, credited, void: voidBits };
      actions.publishReceipt(nodeId, encodeSlotReceipt(receipt, domain, verifier));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async function closeEpoch(epoch: number): Promise<void> {
    const facts = await ledger.epochFacts(epoch, firstSlotOf(time, epoch), time.slotsPerEpoch);
    await ledger.closeEpoch(actions.outcomeOf(facts), actions.now());
    actions.epochClosed(epoch);
  }

  /** What is due is opened at once; what is over is closed when all that came in time is committed. */
  async function tick(): Promise<number> {
    const now = actions.now();
    const { unclosed, unfinishedEpochs } = await standing();
    const readySince = actions.receivingSince() ?? Number.MAX_SAFE_INTEGER;
    const rowOf = (slot: number) => unclosed.find((row) => row.slot === slot);
    let until = now + retryMs;
    let epochsWait = false;
    for (const step of actions.steps({ now, time, readySince, open: unclosed, announced, unfinishedEpochs })) {
      if (step.kind === "open") await open(step);
      else if (step.kind === "resume") await resume(rowOf(step.slot));
      else if (step.kind === "close") await closeWhenCommitted(step, rowOf(step.slot)?.closesAt ?? now);
      else if (step.kind === "close-epoch") epochsWait = epochsWait || !(await closedWhenCommitted(step.epoch));
      else until = step.until;
    }
    return until;
  }

  /** Whether everything before `at` is committed. Asks in the background, so that the next slot opens in time, and wakes the verifier. */
  function isCommitted(what: string, at: number, patienceMs: number, voidReason: string | null = null): Ending {
    const ending = endings.get(what) ?? { committed: false, voidReason, asking: false };
    endings.set(what, ending);
    if (ending.committed || ending.asking) return ending;
    ending.asking = true;
    actions
      .committed(at, patienceMs)
      .then(
        (missing) => {
          ending.voidReason ??= missing;
          ending.committed = true;
          wake();
        },
        // Who could not be asked is asked again.
        (error: unknown) => {
          actions.fault(error);
          setTimeout(wake, retryMs);
        },
      )
      .finally(() => {
        ending.asking = false;
      });
    return ending;
  }

  async function closeWhenCommitted(step: Extract<SlotStep, { kind: "close" }>, closesAt: number): Promise<void> {
    const what = `slot ${step.slot}`;
    // Whether it counts was decided when it ended: what is disturbed since then is no matter of this slot.
    const { committed, voidReason } = isCommitted(what, closesAt, patience.slotMs, step.voidReason);
    if (!committed) return;
    await close({ ...step, voidReason });
    endings.delete(what);
  }

  /** Epochs are closed in their order: the contract takes them in no other, and each needs what those before it came to. */
  async function closedWhenCommitted(epoch: number): Promise<boolean> {
    const what = `epoch ${epoch}`;
    const end = firstSlotOf(time, epoch + 1);
    for (let slot = firstSlotOf(time, epoch); slot < end; slot++) if (endings.has(`slot ${slot}`)) return false;
    if (!isCommitted(what, time.genesisAt + end * time.slotMs, patience.epochMs).committed) return false;
    await closeEpoch(epoch);
    endings.delete(what);
    return true;
  }

  /** However long an outage was: a slot that is still open belongs to an epoch without an outcome. */
  async function standing(): Promise<{ unclosed: readonly SlotRow[]; unfinishedEpochs: readonly number[] }> {
    const unfinishedEpochs = await ledger.unfinishedEpochs();
    const [oldest] = unfinishedEpochs;
    const rows = oldest === undefined ? [] : await ledger.slots(firstSlotOf(time, oldest));
    return { unclosed: rows.filter(({ closedAt }) => closedAt === null), unfinishedEpochs };
  }

  async function run(): Promise<void> {
    while (!stopped) {
      awake = false;
      const until = await tick().catch((error: unknown) => {
        actions.fault(error);
        return actions.now() + retryMs;
      });
      if (awake) continue;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(0, until - actions.now()));
        rouse = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  const running = run();
  return {
    async stop() {
      stopped = true;
      wake();
      await running;
    },
  };
}

/** `count` bits, least significant bit of the first byte first. */
function bitmap(count: number, isSet: (index: number) => boolean): Hex {
  const bytes = Buffer.alloc(Math.max(1, Math.ceil(count / 8)));
  for (let index = 0; index < count; index++)
    if (isSet(index)) bytes[index >> 3] = (bytes[index >> 3] ?? 0) | (1 << (index & 7));
  return hexOf(bytes);
}
