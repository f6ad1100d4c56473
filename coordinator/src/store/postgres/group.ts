/**
 * Judging a group of inputs in memory: in their order, each seeing what those before it did, from what one transaction has loaded. What
 * comes out is every row that the group writes.
 */
import type { BatchPayload, BootId, NodeId, Rejection, RejectionCode } from "@cairn/protocol";
import type { BootState, Input, OrderRules, RefusedInput, Verdict } from "../../model.ts";
import { readAhead } from "../records.ts";
import { dayOf } from "./partitions.ts";

/** Series of one node, over all its time. */
const channelsPerNode = 1_024;

type BatchInput = Extract<Input, { kind: "batch" }>;
type EvidenceInput = Extract<Input, { kind: "evidence" }>;

export type NodeRow = {
  readonly id: number;
  readonly node_id: string;
  readonly died_boot: string | null;
  /** Only of nodes whose last will came. */
  readonly birth: string | null;
};
export type BootRow = {
  readonly node: number;
  readonly boot: string;
  readonly boot_count: number;
  readonly stored_up_to: number;
  readonly ahead: string;
  readonly in_evidence: number;
};
export type ChannelRow = { readonly node: number; readonly series: string; readonly unit: string };

/** What the ledger holds of what the inputs speak of. */
export type Known = {
  readonly nodes: ReadonlyMap<string, NodeRow>;
  readonly boots: readonly BootRow[];
  /** Whether a channel is stored, by `channelKey`. */
  readonly hasChannel: (key: string) => boolean;
  /** Stored channels of nodes that name one which this process has not seen yet. */
  readonly channelCounts: ReadonlyMap<number, number>;
  /** Slots with evidence, by `answerKey`. */
  readonly answered: ReadonlySet<string>;
};

export type BatchRow = {
  readonly node: number;
  readonly boot: string;
  readonly sequence: number;
  readonly readings: number;
  readonly bytes: number;
  readonly received_at: number;
};
export type NewBatch = { readonly row: BatchRow; readonly day: number; readonly series: BatchPayload["series"] };
type DroppedRow = {
  readonly node: number;
  readonly boot: string;
  readonly first_sequence: number;
  readonly last_sequence: number;
  readonly readings: number;
  readonly reason: string;
  readonly stated_at: number;
};
/** null: stays as it is, except `died_boot`. */
type NodeChange = {
  readonly id: number;
  last_heard_at: number | null;
  last_heard_by: string | null;
  died_boot: string | null;
  birth: string | null;
  boot: string | null;
  boot_count: number | null;
  uptime_seconds: number | null;
  software: string | null;
  readings: number;
  rejections: number;
};
type RejectionRow = {
  readonly node_id: string;
  readonly topic: string;
  readonly code: RejectionCode;
  readonly detail: string;
  readonly first_at: number;
  bytes: number;
  /** In hexadecimal. */
  sample: string;
  at: number;
  count: number;
};

/** What is to be written. Rows that others may write too are in one order for all, so that no two can wait for each other. */
export type Effects = {
  readonly batches: readonly NewBatch[];
  readonly boots: readonly BootRow[];
  readonly channels: readonly ChannelRow[];
  readonly dropped: readonly DroppedRow[];
  readonly work: readonly { slot: number; node: number; readings: number }[];
  readonly evidence: readonly { slot: number; node: number; received_at: number; token: string }[];
  readonly nodes: readonly NodeChange[];
  readonly rejections: readonly RejectionRow[];
  readonly rejectionCounts: readonly { code: RejectionCode; count: number }[];
  /** One row, or none when no batch was taken. */
  readonly totals: readonly { readings: number; batches: number }[];
};
export type Judged = { readonly verdicts: readonly Verdict[]; readonly effects: Effects };

export function channelKey(node: number, series: string, unit: string): string {
  return `${node} ${series} ${unit}`;
}

export function answerKey(slot: number, node: number): string {
  return `${slot} ${node}`;
}

/** Throws RangeError for a node that is not enrolled and for what is no time, and what the rules throw. */
export function judgeGroup(inputs: readonly Input[], rules: OrderRules, known: Known): Judged {
  const boots = openBoots(known.boots);
  const batches: NewBatch[] = [];
  const channels = new Map<string, ChannelRow>();
  const channelCounts = new Map(known.channelCounts);
  const dropped = new Map<string, DroppedRow>();
  const work = new Map<string, { slot: number; node: number; readings: number }>();
  const evidence = new Map<string, { slot: number; node: number; received_at: number; token: string }>();
  const changes = new Map<number, NodeChange>();
  const rejections = new Map<string, RejectionRow>();

  function nodeOf(nodeId: NodeId): NodeRow {
    const node = known.nodes.get(nodeId);
    if (node === undefined) throw new RangeError(`no enrolled node ${nodeId}`);
    return node;
  }

  function changeOf({ id, died_boot }: NodeRow): NodeChange {
    const change = changes.get(id) ?? {
      id,
      last_heard_at: null,
      last_heard_by: null,
      died_boot,
      birth: null,
      boot: null,
      boot_count: null,
      uptime_seconds: null,
      software: null,
      readings: 0,
      rejections: 0,
    };
    changes.set(id, change);
    return change;
  }

  function hear(node: NodeRow, at: number, by: string): NodeChange {
    return Object.assign(changeOf(node), { last_heard_at: at, last_heard_by: by, died_boot: null });
  }

  /** A node that invents names without end is refused before it fills the table. */
  function takeChannels(node: number, { series }: BatchPayload): Rejection | null {
    const unknown = series.filter(({ s, u }) => {
      const key = channelKey(node, s, u);
      return !known.hasChannel(key) && !channels.has(key);
    });
    if (unknown.length === 0) return null;
    const count = channelCounts.get(node) ?? 0;
    if (count + unknown.length > channelsPerNode)
      return { code: "schema-mismatch", detail: `batch: more than ${channelsPerNode} series of one node` };
    const before = channels.size;
    for (const { s, u } of unknown) channels.set(channelKey(node, s, u), { node, series: s, unit: u });
    channelCounts.set(node, count + channels.size - before);
    return null;
  }

  function admitBatch(input: BatchInput): Verdict {
    const { payload, receivedAt, readings, slot } = input;
    const { boot, n, seq } = payload;
    const node = nodeOf(input.nodeId);
    const state = boots.stateOf(node.id, boot, n);
    const { rejection, storedUpTo, ahead, stated } = rules.batch(state, payload);
    const excess = rejection ? null : takeChannels(node.id, payload);
    if (excess) return { rejection: excess, storedUpTo: state.storedUpTo };
    if (!rejection || ahead !== state.ahead)
      boots.put(node.id, boot, { boot_count: n, stored_up_to: storedUpTo, ahead: JSON.stringify(ahead) });
    for (const { first, last, readings: lost, reason } of stated)
      dropped.set(`${node.id} ${boot} ${first}`, {
        node: node.id,
        boot,
        first_sequence: first,
        last_sequence: last,
        readings: lost,
        reason,
        stated_at: receivedAt,
      });
    if (rejection) return { rejection, storedUpTo };
    batches.push({
      row: { node: node.id, boot, sequence: seq, readings, bytes: input.bytes, received_at: receivedAt },
      day: dayOf(receivedAt),
      series: payload.series,
    });
    if (readings > 0) {
      const key = answerKey(slot, node.id);
      work.set(key, { slot, node: node.id, readings: readings + (work.get(key)?.readings ?? 0) });
    }
    hear(node, receivedAt, "a batch of readings").readings += readings;
    return { rejection: null, storedUpTo };
  }

  function admitEvidence(input: EvidenceInput): Verdict {
    const { boot, bootCount, slot } = input;
    const node = nodeOf(input.nodeId);
    const rejection = rules.evidence(boots.stateOf(node.id, boot, bootCount), boot, bootCount);
    if (rejection) return { rejection };
    const key = answerKey(slot, node.id);
    if (known.answered.has(key) || evidence.has(key))
      return { rejection: { code: "evidence-duplicate", detail: `slot ${slot}` } };
    evidence.set(key, { slot, node: node.id, received_at: input.receivedAt, token: input.token });
    boots.put(node.id, boot, { boot_count: bootCount, in_evidence: 1 });
    Object.assign(hear(node, input.receivedAt, "evidence"), {
      boot,
      boot_count: bootCount,
      uptime_seconds: input.uptimeSeconds,
      software: input.software,
    });
    return { rejection: null };
  }

  /** A last will of an older session is ignored. */
  function noteDeath(node: NodeRow, boot: BootId): void {
    const birth = changes.get(node.id)?.birth ?? node.birth;
    if (birth === null || JSON.parse(birth).boot === boot) changeOf(node).died_boot = boot;
  }

  function refuse({ nodeId, topic, receivedAt, bytes, rejection, sample }: Omit<RefusedInput, "kind">): void {
    const row = {
      node_id: nodeId ?? "",
      topic: storable(topic.slice(0, 200)),
      code: rejection.code,
      detail: storable(rejection.detail.slice(0, 200)),
    };
    const key = `${row.node_id}\0${row.topic}\0${row.code}\0${row.detail}`;
    const entry = rejections.get(key) ?? { ...row, first_at: receivedAt, bytes, sample: "", at: receivedAt, count: 0 };
    entry.bytes = bytes;
    entry.sample = Buffer.from(sample).toString("hex");
    entry.at = receivedAt;
    entry.count += 1;
    rejections.set(key, entry);
    const node = nodeId === null ? undefined : known.nodes.get(nodeId);
    if (node) changeOf(node).rejections += 1;
  }

  function admit(input: Input): Verdict {
    switch (input.kind) {
      case "batch":
        return admitBatch(input);
      case "evidence":
        return admitEvidence(input);
      case "birth":
        hear(nodeOf(input.nodeId), input.receivedAt, "its birth message").birth = JSON.stringify(input.birth);
        return { rejection: null };
      case "death":
        noteDeath(nodeOf(input.nodeId), input.boot);
        return { rejection: null };
      case "refused": {
        refuse(input);
        const { nodeId, batch, rejection } = input;
        if (nodeId === null || !batch) return { rejection };
        const node = known.nodes.get(nodeId);
        return { rejection, storedUpTo: node ? boots.storedUpTo(node.id, batch.boot) : 0 };
      }
    }
  }

  const verdicts = inputs.map((input) => {
    const verdict = admit(input);
    if (verdict.rejection && input.kind !== "refused") refuse(refusedOrder(input, verdict.rejection));
    return verdict;
  });
  const readings = batches.reduce((sum, { row }) => sum + row.readings, 0);
  const counts = new Map<RejectionCode, number>();
  for (const { code, count } of rejections.values()) counts.set(code, count + (counts.get(code) ?? 0));
  return {
    verdicts,
    effects: {
      batches,
      boots: boots.changed(),
      channels: [...channels.values()],
      dropped: [...dropped.values()],
      work: [...work.values()],
      evidence: [...evidence.values()],
      nodes: [...changes.values()],
      rejections: byKey(rejections).map(([, row]) => row),
      rejectionCounts: byKey(counts).map(([code, count]) => ({ code, count })),
      totals: batches.length === 0 ? [] : [{ readings, batches: batches.length }],
    },
  };
}

/** The boots of the group's nodes, as they are loaded and as they become. */
function openBoots(loaded: readonly BootRow[]) {
  const byId = new Map<string, BootRow>();
  const idByCount = new Map<string, string>();
  const highest = new Map<number, number>();
  const changed = new Set<string>();

  function keep(row: BootRow): void {
    byId.set(`${row.node} ${row.boot}`, row);
    idByCount.set(`${row.node} ${row.boot_count}`, row.boot);
    if (row.in_evidence === 1) highest.set(row.node, Math.max(row.boot_count, highest.get(row.node) ?? 0));
  }
  for (const row of loaded) keep(row);

  const storedUpTo = (node: number, boot: string) => byId.get(`${node} ${boot}`)?.stored_up_to ?? 0;
  return {
    storedUpTo,
    stateOf(node: number, boot: string, count: number): BootState {
      const known = byId.get(`${node} ${boot}`);
      return {
        knownCount: known?.boot_count ?? null,
        countUsedBy: known ? null : ((idByCount.get(`${node} ${count}`) as BootId | undefined) ?? null),
        highestCount: highest.get(node) ?? 0,
        storedUpTo: known?.stored_up_to ?? 0,
        ahead: readAhead(known?.ahead),
      };
    },
    put(node: number, boot: string, fields: Partial<BootRow> & Pick<BootRow, "boot_count">): void {
      const key = `${node} ${boot}`;
      const known = byId.get(key);
      // A boot keeps the counter that it was first known by.
      keep({
        stored_up_to: 0,
        ahead: "[]",
        in_evidence: 0,
        ...known,
        ...fields,
        boot_count: known?.boot_count ?? fields.boot_count,
        node,
        boot,
      });
      changed.add(key);
    },
    changed: () => [...changed].flatMap((key) => byId.get(key) ?? []),
  };
}

function byKey<K extends string, V>(entries: ReadonlyMap<K, V>): [K, V][] {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** A refused input is kept whatever it says: PostgreSQL's text holds neither a null character nor half a pair of surrogates. */
function storable(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\ufffd");
}

/** An input of the right form that came out of order: what is kept of it. */
function refusedOrder(input: Exclude<Input, RefusedInput>, rejection: RefusedInput["rejection"]): RefusedInput {
  const { nodeId, topic, receivedAt } = input;
  const bytes = input.kind === "batch" ? input.bytes : input.kind === "evidence" ? input.token.length : 0;
  return { kind: "refused", nodeId, topic, receivedAt, bytes, rejection, sample: new Uint8Array() };
}
