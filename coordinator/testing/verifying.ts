/** A verifier over the SQLite ledger, on a clock that moves when a test says so, with everything that it gives out kept for inspection. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { type Beacon, type NodeId, parseBeacon, parseReceipt, type Receipt } from "@cairn/protocol";
import { startVerifier, type Verifier, type VerifierActions } from "../src/act/verifier.ts";
import { closeEpoch } from "../src/decide/epoch-close.ts";
import { slotSteps } from "../src/decide/slots.ts";
import type { Ledger } from "../src/model.ts";
import { makeDevice } from "./devices.ts";
import { domain, founding, slotTime, verifier } from "./founding.ts";
import { openTemporaryLedger } from "./temporary-ledger.ts";

export type VerifierHouse = {
  readonly ledger: Ledger;
  /** What happened, in order: "beacon 3", "beacons 0,1,2,3", "receipt", "epoch 1", "fault ...", and ledger calls. */
  readonly log: string[];
  readonly beacons: readonly Beacon[];
  /** Slot receipts that a node was sent, their signatures checked. */
  receiptsOf(nodeId: NodeId): readonly Extract<Receipt, { kind: "slots" }>["receipt"][];
  /** Starts a verifier and waits for its first round. */
  start(): Promise<void>;
  /** Another replica, which received all the time, takes over. */
  takeOver(): Promise<void>;
  /** Ends the process: stops the verifier and opens the ledger again. */
  restart(): Promise<void>;
  /** Moves the clock to a moment, round by round, as the verifier wakes. */
  until(at: number): Promise<void>;
  /** Moves the clock while no verifier runs. */
  sleepUntil(at: number): void;
  /** Since when the broker delivers; null while it does not. */
  receivingSince: number | null;
  /** What the verifier waits for before it closes a slot. */
  hold: Promise<void> | undefined;
  /** What it waits for before it closes an epoch. */
  holdEpoch: ((epoch: number) => Promise<void> | undefined) | undefined;
  /** Why what it waited for is known to be incomplete. */
  missing: string | null;
  /** What the ledger waits for before it opens a slot. */
  holdOpening: Promise<void> | undefined;
  /** Thrown by the ledger's next call of this name. */
  breakOnce: keyof VerifierActions["ledger"] | undefined;
};

export async function onVerifierHouse(t: TestContext, body: (house: VerifierHouse) => Promise<void>): Promise<void> {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: slotTime(0) });
  const store = await openTemporaryLedger();
  let { ledger } = store;
  const log: string[] = [];
  const beacons: Beacon[] = [];
  const receipts: { nodeId: NodeId; payload: Buffer }[] = [];
  let running: Verifier | undefined;

  const house: VerifierHouse = {
    get ledger() {
      return ledger;
    },
    log,
    beacons,
    receiptsOf: (nodeId) => receipts.filter((receipt) => receipt.nodeId === nodeId).map(readSlotReceipt),
    receivingSince: 0,
    hold: undefined,
    holdOpening: undefined,
    holdEpoch: undefined,
    missing: null,
    breakOnce: undefined,
    async start() {
      house.receivingSince = Date.now();
      running = await startVerifier(actions());
      await rest();
    },
    async takeOver() {
      await running?.stop();
      running = await startVerifier(actions());
      await rest();
    },
    async restart() {
      await running?.stop();
      running = undefined;
      ledger = await store.reopen();
    },
    async until(at) {
      while (Date.now() < at) {
        const wake = Math.min(at, slotTime(Math.floor((Date.now() - slotTime(0)) / founding.time.slotMs) + 1));
        t.mock.timers.tick(wake - Date.now());
        await rest();
      }
    },
    sleepUntil: (at) => t.mock.timers.tick(at - Date.now()),
  };

  /** Until the verifier does no more by itself. What is held, or failed and waits, is for the test to see. */
  async function rest(): Promise<void> {
    for (let quiet = 0, seen = log.length; quiet < 20; quiet = log.length === seen ? quiet + 1 : 0) {
      seen = log.length;
      await turn();
    }
  }

  function actions(): VerifierActions {
    return {
      ledger: watched(),
      time: founding.time,
      domain,
      verifier,
      now: Date.now,
      steps: slotSteps,
      outcomeOf: (facts) => closeEpoch(facts, founding.parameters),
      receivingSince: () => house.receivingSince,
      async committed(at, patienceMs) {
        const { genesisAt, slotMs, slotsPerEpoch } = founding.time;
        if (patienceMs > slotMs) await house.holdEpoch?.((at - genesisAt) / (slotMs * slotsPerEpoch));
        await house.hold;
        return house.missing;
      },
      beaconsChanged: (all) => log.push(`beacons ${all.map(({ slot }) => slot).join()}`),
      publishBeacon(payload) {
        const beacon = parseBeacon(payload, domain, founding.verifiers);
        assert.ok(beacon.ok);
        beacons.push(beacon.value);
        log.push(`beacon ${beacon.value.slot}`);
      },
      publishReceipt(nodeId, payload) {
        receipts.push({ nodeId, payload });
        log.push("receipt");
      },
      epochClosed: (epoch) => log.push(`epoch ${epoch}`),
      fault(error) {
        log.push(`fault ${(error as Error).message}`);
      },
    };
  }

  /** The ledger, with its writing calls in the log. */
  function watched(): VerifierActions["ledger"] {
    const writing = new Set<string | symbol>(["openSlot", "closeSlot", "closeEpoch"]);
    return new Proxy<VerifierActions["ledger"]>(ledger, {
      get(target, name) {
        const method = Reflect.get(target, name);
        return async (...args: unknown[]) => {
          if (house.breakOnce === name) {
            house.breakOnce = undefined;
            throw new Error(`${String(name)} broke`);
          }
          if (name === "openSlot") await house.holdOpening;
          const answer = await method.apply(target, args);
          if (writing.has(name)) log.push(String(name));
          return answer;
        };
      },
    });
  }

  try {
    await body(house);
  } finally {
    house.hold = undefined;
    house.holdOpening = undefined;
    const stopped = running?.stop();
    t.mock.timers.tick(1);
    await stopped;
    t.mock.timers.reset();
    await store.remove();
  }
}

const coordinatorKey = makeDevice().enrolment.publicKey;

function readSlotReceipt({ nodeId, payload }: { nodeId: NodeId; payload: Buffer }) {
  const receipt = parseReceipt(payload, { nodeId, coordinatorKey, domain, verifiers: founding.verifiers });
  assert.ok(receipt.ok && receipt.value.kind === "slots");
  return receipt.value.receipt;
}

/** The numbers of the set bits, least significant bit of the first byte first. */
export function bitsOf(hex: string): number[] {
  const bytes = Buffer.from(hex.slice(2), "hex");
  return Array.from({ length: bytes.length * 8 }, (_, bit) => bit).filter(
    (bit) => ((bytes[bit >> 3] ?? 0) >> (bit & 7)) & 1,
  );
}
