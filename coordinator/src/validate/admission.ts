/**
 * The checks that need no ledger: who signed, is it whole, is it of the right shape. Pure.
 * Order of a batch's checks: key known, signature over the exact bytes, then size, JSON, schema. Nothing unsigned is unpacked; what is
 * refused behind a signature that holds carries the batch's name, so that its sender can be told.
 */
import type { KeyObject } from "node:crypto";
import {
  type Beacon,
  type BootId,
  claimToNonce,
  type Hex,
  type NodeId,
  parseBatchEnvelope,
  parseBatchPayload,
  parseBirth,
  parseCredential,
  parseDeath,
  parseEvidenceClaims,
  parseEvidenceEnvelope,
  type Rejection,
  type Result,
  reject,
  type Signed,
  type SlotTime,
  slotAt,
  ueidOf,
  verifyEs256,
} from "@cairn/protocol";
import type { Arrival, Input, RefusedInput } from "../model.ts";

/** Bytes of a refused input that are kept. */
const sampleBytes = 256;

/** What judging needs to know; looked up by the caller, so that judging stays pure. */
export type AdmissionFacts = {
  readonly time: SlotTime;
  keyOf(nodeId: NodeId): KeyObject | undefined;
  beaconOf(nonce: Hex): Beacon | undefined;
};

/** Turns one arrival into an input for the ledger; a refusal is an input too. Never throws on any bytes. */
export function judgeArrival(arrival: Arrival, facts: AdmissionFacts): Input {
  const judged = judge(arrival, facts);
  return judged.ok ? judged.value : refusedInput(arrival, judged.rejection);
}

/** Who connects: null when the token proves the NodeId that it names. */
export function judgeConnect(
  connect: { clientId: string; username: string; password: string },
  network: string,
  now: number,
  keyOf: AdmissionFacts["keyOf"],
): Rejection | null {
  const credential = parseCredential(connect, network, now);
  if (!credential.ok) return credential.rejection;
  const { nodeId, signingInput, signature } = credential.value;
  const key = keyOf(nodeId);
  if (!key) return { code: "key-unknown", detail: nodeId };
  return verifyEs256(key, signingInput, signature)
    ? null
    : { code: "signature-invalid", detail: `the connection token of ${nodeId}` };
}

/** A refusal of bytes that came under `sender`'s name, or nobody's. */
export function refusedInput(
  arrival: Pick<Arrival, "topic" | "payload" | "receivedAt"> & { sender: NodeId | null },
  rejection: Rejection,
): RefusedInput {
  const { sender, topic, payload, receivedAt } = arrival;
  const sample = Uint8Array.from(payload.subarray(0, sampleBytes));
  return { kind: "refused", nodeId: sender, topic, receivedAt, bytes: payload.length, rejection, sample };
}

/** The refusal of an input that passed every check, but that the ledger cannot hold. */
export function unstorableInput(input: Input, cause: unknown): Input {
  const { nodeId, topic, receivedAt } = input;
  const reason = String(cause)
    .replace(/[^ -~]/g, "?")
    .slice(0, 120);
  const rejection: Rejection = {
    code: "schema-mismatch",
    detail: `${input.kind}: the ledger cannot hold it: ${reason}`,
  };
  const batch = input.kind === "batch" ? { boot: input.payload.boot, sequence: input.payload.seq } : undefined;
  const bytes = input.kind === "batch" || input.kind === "refused" ? input.bytes : 0;
  const sample = new Uint8Array();
  return { kind: "refused", nodeId, topic, receivedAt, bytes, rejection, sample, ...(batch ? { batch } : {}) };
}

function judge(arrival: Arrival, facts: AdmissionFacts): Result<Input> {
  switch (arrival.channel) {
    case "batch":
      return judgeBatch(arrival, facts);
    case "evidence":
      return judgeEvidence(arrival, facts);
    case "birth":
      return judgePresence(arrival, parseBirth, (birth) => ({ kind: "birth", birth }));
    case "death":
      return judgePresence(arrival, parseDeath, ({ boot }) => ({ kind: "death", boot: boot as BootId }));
    case "reported":
      return reject("topic-unknown", "this network takes no reported state yet");
  }
}

function judgeBatch(arrival: Arrival, facts: AdmissionFacts): Result<Input> {
  const envelope = parseBatchEnvelope(arrival.payload);
  if (!envelope.ok) return envelope;
  const forged = judgeSignature(arrival.sender, envelope.value, facts);
  if (forged) return { ok: false, rejection: forged };
  const payload = parseBatchPayload(envelope.value);
  if (!payload.ok) {
    const { boot, sequence } = envelope.value;
    return { ok: true, value: { ...refusedInput(arrival, payload.rejection), batch: { boot, sequence } } };
  }
  const { sender, topic, receivedAt } = arrival;
  return {
    ok: true,
    value: {
      kind: "batch",
      nodeId: sender,
      topic,
      receivedAt,
      slot: slotAt(facts.time, receivedAt),
      bytes: arrival.payload.length,
      payload: payload.value,
      readings: payload.value.series.reduce((sum, { v }) => sum + v.length, 0),
    },
  };
}

function judgeEvidence(arrival: Arrival, facts: AdmissionFacts): Result<Input> {
  const envelope = parseEvidenceEnvelope(arrival.payload);
  if (!envelope.ok) return envelope;
  const forged = judgeSignature(arrival.sender, envelope.value, facts);
  if (forged) return { ok: false, rejection: forged };
  const claims = parseEvidenceClaims(envelope.value);
  if (!claims.ok) return claims;
  const { eat_nonce, ueid, bootseed, bootcount, uptime, swname, swversion, cairn } = claims.value;
  const key = facts.keyOf(arrival.sender);
  if (!key || ueidOf(key).toString("base64url") !== ueid)
    return reject("identity-mismatch", "ueid is not that of the key that signed");
  const beacon = facts.beaconOf(claimToNonce(eat_nonce));
  if (!beacon) return reject("nonce-unknown", `slot ${cairn.slot}`);
  if (beacon.slot !== cairn.slot)
    return reject("nonce-unknown", `the nonce is that of slot ${beacon.slot}, the evidence says ${cairn.slot}`);
  const { sender, topic, receivedAt, payload } = arrival;
  if (receivedAt >= beacon.closesAt)
    return reject("evidence-late", `slot ${beacon.slot} closed ${receivedAt - beacon.closesAt} ms before`);
  return {
    ok: true,
    value: {
      kind: "evidence",
      nodeId: sender,
      topic,
      receivedAt,
      slot: beacon.slot,
      boot: Buffer.from(bootseed, "base64url").toString("hex") as BootId,
      bootCount: bootcount,
      uptimeSeconds: uptime,
      software: `${swname} ${swversion[0]}`,
      token: payload.toString("latin1"),
    },
  };
}

function judgeSignature(
  sender: NodeId,
  envelope: Signed & { nodeId: NodeId },
  facts: AdmissionFacts,
): Rejection | null {
  if (envelope.nodeId !== sender) return { code: "key-mismatch", detail: `signed in the name of ${envelope.nodeId}` };
  const key = facts.keyOf(sender);
  if (!key) return { code: "key-unknown", detail: sender };
  return verifyEs256(key, envelope.signingInput, envelope.signature)
    ? null
    : { code: "signature-invalid", detail: "ES256 over the received bytes" };
}

type PresenceFields =
  | { kind: "birth"; birth: Extract<Input, { kind: "birth" }>["birth"] }
  | { kind: "death"; boot: BootId };

function judgePresence<T>(
  { sender, topic, payload, receivedAt }: Arrival,
  parse: (bytes: Uint8Array) => Result<T>,
  fields: (value: T) => PresenceFields,
): Result<Input> {
  const parsed = parse(payload);
  return parsed.ok ? { ok: true, value: { ...fields(parsed.value), nodeId: sender, topic, receivedAt } } : parsed;
}
