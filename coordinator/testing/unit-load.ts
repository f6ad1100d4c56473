/**
 * A program that does one thing of the coordinator after the other for a while, on one thread, and says what each costs. Prints a line of
 * UnitLoad for each and {"done":true} at the end.
 */
import { generateKeyPairSync, randomBytes, sign, verify } from "node:crypto";
import {
  type BootId,
  encodeSlotReceipt,
  encodeStorageReceipt,
  type Hex,
  hexOf,
  type NodeId,
  type Reading,
  signerOf,
  topicsOf,
} from "@cairn/protocol";
import { closeEpoch } from "../src/decide/epoch-close.ts";
import type { Arrival, EpochFacts } from "../src/model.ts";
import { judgeArrival } from "../src/validate/admission.ts";
import { bootId, makeDevice } from "./devices.ts";
import { domain, founding, operatorAddress, slotTime, verifier } from "./founding.ts";
import { slotRow } from "./inputs.ts";

/** `entry`: of src/decide/unit-costs.ts; "" for a measure of the machine, named by `name` alone. */
export type UnitLoad = { readonly entry: string; readonly name: string; readonly us: number; readonly unit: string };

const measureUs = 700_000;
const warmUpUs = 200_000;
const seriesOfBatch = 5;
const epochNodes = 2_000;
const nodesPerOperator = 10;

const topics = topicsOf(founding.network);
const device = makeDevice();
const boot = bootId();
const nonce: Hex = hexOf(randomBytes(32));
const beacon = { epoch: 1, slot: 0, nonce, opensAt: slotTime(0), closesAt: slotTime(1) };
const facts = {
  time: founding.time,
  keyOf: () => device.enrolment.publicKey,
  beaconOf: (asked: Hex) => (asked === nonce ? beacon : undefined),
};

/** us of this thread's processor for one run of `body`. */
function costOf(body: () => void): number {
  let spent = 0;
  let runs = 0;
  const from = { us: 0, runs: 0 };
  const start = process.cpuUsage();
  while (spent < warmUpUs + measureUs) {
    for (let index = 0; index < 5; index++) body();
    runs += 5;
    const { user, system } = process.cpuUsage(start);
    spent = user + system;
    if (from.runs === 0 && spent >= warmUpUs) Object.assign(from, { us: spent, runs });
  }
  return (spent - from.us) / (runs - from.runs);
}

function batchArrival(readings: number): Arrival {
  const list = Array.from({ length: readings }, (_, index): Reading => {
    const series = `load.${index % seriesOfBatch}`;
    const value = Math.round(Math.sin(index) * 10_000) / 100;
    return {
      series,
      unit: "count",
      at: slotTime(0) + Math.floor(index / seriesOfBatch) * 1_000,
      value,
      quality: "good",
    };
  });
  return arrival("batch", device.batch({ boot, readings: list }));
}

function arrival(channel: "batch" | "evidence", payload: Buffer): Arrival {
  const sender = device.nodeId;
  return { sender, channel, topic: topics.node(sender, channel), payload, receivedAt: slotTime(0) + 1_000 };
}

function judgingOf(given: Arrival): number {
  return costOf(() => {
    const { kind } = judgeArrival(given, facts);
    if (kind !== given.channel) throw new Error(`a ${given.channel} was judged ${kind}`);
  });
}

/** An epoch in which all nodes answered and worked in all slots but the last. */
function fullEpoch(slots: readonly number[]): EpochFacts {
  const seen = slots.slice(0, -1);
  return {
    epoch: 1,
    firstSlot: 0,
    slotCount: slots.length,
    slots: slots.map((slot) => slotRow(slot, { closedAt: slotTime(slot + 1) })),
    nodes: Array.from({ length: epochNodes }, (_, index) => ({
      nodeId: randomBytes(20).toString("hex") as NodeId,
      operator: operatorAddress(1 + Math.floor(index / nodesPerOperator)),
      evidenceLevel: "software" as const,
      answered: seen,
      worked: seen,
    })),
    earnedBefore: new Map(),
  };
}

function bareVerification(): number {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const message = Buffer.alloc(900, 7);
  const signature = sign("sha256", message, privateKey);
  return costOf(() => {
    if (!verify("sha256", message, publicKey, signature)) throw new Error("not valid");
  });
}

if (import.meta.main) {
  const say = (message: UnitLoad | { done: true }) => process.stdout.write(`${JSON.stringify(message)}\n`);
  const us = (entry: string, name: string, cost: number, unit = "us") => say({ entry, name, us: cost, unit });

  us("", "verify_us", bareVerification());
  const [few, many] = [judgingOf(batchArrival(10)), judgingOf(batchArrival(50))];
  const reading = (many - few) / 40;
  us("judgeReading", "batches of 10 and of 50 readings compared", reading, "us/reading");
  us("judgeBatch", "what a batch costs beside its readings", many - 50 * reading, "us/batch");
  us("judgeBatch + 50 judgeReading", "a batch of 50 readings", many, "us/batch");
  us("judgeEvidence", "evidence", judgingOf(arrival("evidence", device.evidence({ ...beacon }))), "us/evidence");

  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signer = signerOf(privateKey);
  const stored = { nodeId: device.nodeId, boot: boot as BootId, upTo: 1_000 };
  us(
    "storageReceipt",
    "signed and encoded",
    costOf(() => void encodeStorageReceipt(stored, signer)),
    "us/receipt",
  );
  const bits: Hex = hexOf(Buffer.alloc(8, 0xff));
  const slots = { nodeId: device.nodeId, epoch: 1, firstSlot: 0, slotCount: 60, credited: bits, void: bits };
  us(
    "slotReceipt",
    "of 60 slots",
    costOf(() => void encodeSlotReceipt(slots, domain, verifier)),
    "us/receipt",
  );

  const epoch = fullEpoch(Array.from({ length: 60 }, (_, slot) => slot));
  const parameters = founding.parameters;
  const closing = costOf(() => void closeEpoch(epoch, parameters)) / epochNodes;
  us("closeNode", `${epochNodes} nodes, 60 slots, ${nodesPerOperator} nodes an operator`, closing, "us/node");
  say({ done: true });
}
