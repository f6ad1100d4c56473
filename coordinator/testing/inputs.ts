/** Inputs as the admission hands them to the ledger, made by hand: what stands in them is what a test is about, the rest is filled in. */
import { randomBytes } from "node:crypto";
import { type BootId, hexOf, type NodeId, type RejectionCode, type SignedBatch, topicsOf } from "@cairn/protocol";
import type { Input, SlotRow } from "../src/model.ts";
import { founding, slotTime } from "./founding.ts";

type Kind<K extends Input["kind"]> = Extract<Input, { kind: K }>;

const topics = topicsOf(founding.network);

/** One column of readings. */
export function column(s: string, times: readonly number[], values: readonly number[], q?: readonly number[]) {
  const t = Math.min(...times);
  const d = times.map((at) => at - t);
  return { s, u: "/" as const, t, d, v: [...values], ...(q ? { q: [...q] } : {}) };
}

export function batchInput(
  nodeId: NodeId,
  boot: BootId,
  fields: Partial<SignedBatch> & { slot?: number; receivedAt?: number } = {},
): Kind<"batch"> {
  const { slot = 0, receivedAt = slotTime(slot) + 1_000, ...rest } = fields;
  const payload: SignedBatch = { boot, n: 1, seq: 1, series: [column("host.load", [receivedAt], [0.5])], ...rest };
  const readings = payload.series.reduce((sum, { v }) => sum + v.length, 0);
  return {
    kind: "batch",
    nodeId,
    topic: topics.node(nodeId, "batch"),
    receivedAt,
    slot,
    bytes: 300,
    payload,
    readings,
  };
}

export function evidenceInput(nodeId: NodeId, boot: BootId, fields: Partial<Kind<"evidence">> = {}): Kind<"evidence"> {
  const slot = fields.slot ?? 0;
  return {
    kind: "evidence",
    nodeId,
    topic: topics.node(nodeId, "evidence"),
    receivedAt: slotTime(slot) + 2_000,
    slot,
    boot,
    bootCount: 1,
    uptimeSeconds: 60,
    software: "cairn-node 0.1.0",
    token: "head.body.tail",
    ...fields,
  };
}

export function birthInput(nodeId: NodeId, boot: BootId, bootCount = 1, receivedAt = slotTime(0)): Kind<"birth"> {
  const birth = {
    boot,
    bootCount,
    software: "cairn-node 0.1.0",
    profile: "trial-board",
    capabilities: ["sensor.host"],
    desiredVersion: 0,
  };
  return { kind: "birth", nodeId, topic: topics.node(nodeId, "birth"), receivedAt, birth };
}

export function deathInput(nodeId: NodeId, boot: BootId, receivedAt = slotTime(0)): Kind<"death"> {
  return { kind: "death", nodeId, topic: topics.node(nodeId, "death"), receivedAt, boot };
}

export function refusedInput(
  nodeId: NodeId | null,
  code: RejectionCode = "schema-mismatch",
  fields: Partial<Kind<"refused">> & { detail?: string } = {},
): Kind<"refused"> {
  const { detail = "batch: /seq must be integer", ...rest } = fields;
  return {
    kind: "refused",
    nodeId,
    topic: nodeId ? topics.node(nodeId, "batch") : "",
    receivedAt: slotTime(0),
    bytes: 42,
    rejection: { code, detail },
    sample: Buffer.from("{"),
    ...rest,
  };
}

/** A slot as the verifier opens it. */
export function slotRow(slot: number, fields: Partial<SlotRow> = {}): SlotRow {
  const opensAt = slotTime(slot);
  return {
    slot,
    epoch: Math.floor(slot / founding.time.slotsPerEpoch) + 1,
    nonce: hexOf(randomBytes(32)),
    opensAt,
    closesAt: opensAt + founding.time.slotMs,
    readyAt: opensAt,
    closedAt: null,
    voidReason: null,
    ...fields,
  };
}
