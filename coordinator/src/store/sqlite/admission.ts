/** Writing inputs: the order of each is judged and its marker and effect are written in one transaction for the whole group. */
import type { BatchPayload, BootId, NodeId, Rejection } from "@cairn/protocol";
import { CoordinatorFault } from "../../fault.ts";
import type { BootState, Input, OrderRules, RefusedInput, Verdict } from "../../model.ts";
import { readAhead } from "../records.ts";
import type { Sqlite } from "./database.ts";

const rowsPerInsert = 50;
/** Series of one node, over all its time. */
const channelsPerNode = 1_024;
const readingColumns = 5;
/** Ids of a batch's readings: more than a batch may hold. */
export const idsPerBatch = 512;

export type Admission = (inputs: readonly Input[], rules: OrderRules) => readonly Verdict[];

type BootRow = { node: number; boot: string; boot_count: number; stored_up_to: number; ahead: string };

/** What one transaction has seen and still has to write. Forgotten when the transaction fails. */
type Group = {
  readonly boots: Map<string, BootRow>;
  /** Ids of channels first named in this transaction. */
  readonly channels: Map<string, number>;
  readonly work: Map<string, { slot: number; node: number; readings: number }>;
  readonly heard: Map<number, { at: number; by: string; readings: number }>;
  readings: number;
  batches: number;
};

function emptyGroup(): Group {
  return { boots: new Map(), channels: new Map(), work: new Map(), heard: new Map(), readings: 0, batches: 0 };
}

export function prepareAdmission(database: Sqlite): Admission {
  const nodeRow = database.prepare<[string], { id: number }>("select id from node where node_id = ?");
  const bootRow = database.prepare<[number, string], BootRow>("select * from boot where node = ? and boot = ?");
  const bootByCount = database.prepare<[number, number], { boot: string }>(
    "select boot from boot where node = ? and boot_count = ?",
  );
  const highestCount = database
    .prepare<[number], number>("select coalesce(max(boot_count), 0) from boot where node = ? and in_evidence = 1")
    .pluck();
  const putBoot = database.prepare(
    `insert into boot (node, boot, boot_count, stored_up_to, ahead) values (?, ?, ?, ?, ?)
     on conflict (node, boot) do update set stored_up_to = excluded.stored_up_to, ahead = excluded.ahead`,
  );
  const putBootInEvidence = database.prepare(
    `insert into boot (node, boot, boot_count, in_evidence) values (?, ?, ?, 1)
     on conflict (node, boot) do update set in_evidence = 1`,
  );
  const channelRow = database
    .prepare<[number, string, string], number>("select id from channel where node = ? and series = ? and unit = ?")
    .pluck();
  const channelsOf = database.prepare<[number], number>("select count(*) from channel where node = ?").pluck();
  const putChannel = database.prepare("insert into channel (node, series, unit) values (?, ?, ?)");
  const putBatch = database.prepare(
    "insert into batch (node, boot, sequence, readings, bytes, received_at) values (?, ?, ?, ?, ?, ?)",
  );
  const insertReadings = (rows: number) =>
    database.prepare(
      `insert into reading (channel, at, id, value, quality) values ${Array(rows).fill("(?, ?, ?, ?, ?)").join(", ")}`,
    );
  const putReadings = insertReadings(rowsPerInsert);
  const putReading = insertReadings(1);
  const putDropped = database.prepare(
    `insert into dropped (node, boot, first_sequence, last_sequence, readings, reason, stated_at)
     values (?, ?, ?, ?, ?, ?, ?) on conflict do nothing`,
  );
  const putWork = database.prepare(
    "insert into work (slot, node, readings) values (?, ?, ?) on conflict (slot, node) do update set readings = readings + excluded.readings",
  );
  const addTotals = database.prepare("update total set readings = readings + ?, batches = batches + ?");
  const noteHeard = database.prepare(
    "update node set last_heard_at = ?, last_heard_by = ?, readings = readings + ?, died_boot = null where id = ?",
  );
  const putEvidence = database.prepare(
    "insert into evidence (slot, node, received_at, token) values (?, ?, ?, ?) on conflict do nothing",
  );
  const noteEvidence = database.prepare(
    "update node set boot = ?, boot_count = ?, uptime_seconds = ?, software = ? where id = ?",
  );
  const noteBirth = database.prepare("update node set birth = ? where id = ?");
  const noteDeath = database.prepare(
    "update node set died_boot = ? where id = ? and (birth is null or birth ->> '$.boot' = ?)",
  );
  const putRejection = database.prepare(
    `insert into rejection (node_id, topic, code, detail, bytes, sample, first_at, at, count)
     values (@nodeId, @topic, @code, @detail, @bytes, @sample, @at, @at, 1)
     on conflict (node_id, topic, code, detail) do update set
       at = excluded.at, bytes = excluded.bytes, sample = excluded.sample, count = count + 1`,
  );
  const countRejection = database.prepare(
    "insert into rejection_count (code, count) values (?, 1) on conflict (code) do update set count = count + 1",
  );
  const noteRejection = database.prepare("update node set rejections = rejections + 1 where node_id = ?");

  const nodes = new Map<string, number>();
  const channels = new Map<string, number>();
  let group = emptyGroup();

  function idOf(nodeId: NodeId): number {
    const known = nodes.get(nodeId) ?? nodeRow.get(nodeId)?.id;
    if (known === undefined) throw new RangeError(`no enrolled node ${nodeId}`);
    nodes.set(nodeId, known);
    return known;
  }

  function rowOf(node: number, boot: string): BootRow | undefined {
    return group.boots.get(`${node} ${boot}`) ?? bootRow.get(node, boot);
  }

  function stateOf(node: number, boot: string, count: number): BootState {
    const known = rowOf(node, boot);
    return {
      knownCount: known?.boot_count ?? null,
      countUsedBy: known ? null : ((bootByCount.get(node, count)?.boot as BootId | undefined) ?? null),
      get highestCount() {
        return highestCount.get(node) ?? 0;
      },
      storedUpTo: known?.stored_up_to ?? 0,
      ahead: readAhead(known?.ahead),
    };
  }

  /** A node that invents names without end is refused before it fills the table. */
  function tooManySeries(node: number, { series }: BatchPayload): Rejection | null {
    const isNew = ({ s, u }: BatchPayload["series"][number]) => !channels.has(`${node} ${s} ${u}`);
    if (!series.some(isNew)) return null;
    const unknown = series.filter((column) => isNew(column) && channelRow.get(node, column.s, column.u) === undefined);
    return (channelsOf.get(node) ?? 0) + unknown.length > channelsPerNode
      ? { code: "schema-mismatch", detail: `batch: more than ${channelsPerNode} series of one node` }
      : null;
  }

  function channelOf(node: number, series: string, unit: string): number {
    const key = `${node} ${series} ${unit}`;
    const known = channels.get(key) ?? group.channels.get(key);
    if (known !== undefined) return known;
    const id = channelRow.get(node, series, unit) ?? Number(putChannel.run(node, series, unit).lastInsertRowid);
    group.channels.set(key, id);
    return id;
  }

  function writeReadings(node: number, batch: number, { series }: BatchPayload): void {
    let row: number[] = [];
    let id = batch * idsPerBatch;
    for (const { s, u, t, d, v, q } of series) {
      const channel = channelOf(node, s, u);
      for (const [index, value] of v.entries()) {
        row.push(channel, t + (d[index] ?? 0), id++, value, q?.[index] ?? 0);
        if (row.length < readingColumns * rowsPerInsert) continue;
        putReadings.run(row);
        row = [];
      }
    }
    for (let at = 0; at < row.length; at += readingColumns) putReading.run(row.slice(at, at + readingColumns));
  }

  function admitBatch(input: Input & { kind: "batch" }, rules: OrderRules): Verdict {
    const { payload, receivedAt, readings } = input;
    const { boot, n, seq } = payload;
    const node = idOf(input.nodeId);
    const state = stateOf(node, boot, n);
    const { rejection, storedUpTo, ahead, stated } = rules.batch(state, payload);
    const excess = rejection ? null : tooManySeries(node, payload);
    if (excess) return { rejection: excess, storedUpTo: state.storedUpTo };
    if (!rejection || ahead !== state.ahead) {
      const row = { node, boot, boot_count: n, stored_up_to: storedUpTo, ahead: JSON.stringify(ahead) };
      if (state.knownCount === null) putBoot.run(node, boot, n, storedUpTo, row.ahead);
      group.boots.set(`${node} ${boot}`, row);
    }
    for (const gap of stated) putDropped.run(node, boot, gap.first, gap.last, gap.readings, gap.reason, receivedAt);
    if (rejection) return { rejection, storedUpTo };
    const { lastInsertRowid } = putBatch.run(node, boot, seq, readings, input.bytes, receivedAt);
    writeReadings(node, Number(lastInsertRowid), payload);
    const worked = `${input.slot} ${node}`;
    const work = group.work.get(worked)?.readings ?? 0;
    if (readings > 0) group.work.set(worked, { slot: input.slot, node, readings: work + readings });
    group.readings += readings;
    group.batches += 1;
    hear(node, receivedAt, "a batch of readings", readings);
    return { rejection: null, storedUpTo };
  }

  function hear(node: number, at: number, by: string, readings: number): void {
    group.heard.set(node, { at, by, readings: readings + (group.heard.get(node)?.readings ?? 0) });
  }

  function writeHeard(node: number): void {
    const heard = group.heard.get(node);
    if (heard) noteHeard.run(heard.at, heard.by, heard.readings, node);
    group.heard.delete(node);
  }

  /** The rows that many inputs of a group touch are written once, at its end. */
  function writeGroup(): void {
    for (const { node, boot, boot_count, stored_up_to, ahead } of group.boots.values())
      putBoot.run(node, boot, boot_count, stored_up_to, ahead);
    for (const { slot, node, readings } of group.work.values()) putWork.run(slot, node, readings);
    for (const node of [...group.heard.keys()]) writeHeard(node);
    if (group.batches > 0) addTotals.run(group.readings, group.batches);
  }

  function admitEvidence(input: Input & { kind: "evidence" }, rules: OrderRules): Verdict {
    const node = idOf(input.nodeId);
    const rejection = rules.evidence(stateOf(node, input.boot, input.bootCount), input.boot, input.bootCount);
    if (rejection) return { rejection };
    if (putEvidence.run(input.slot, node, input.receivedAt, input.token).changes === 0)
      return { rejection: { code: "evidence-duplicate", detail: `slot ${input.slot}` } };
    putBootInEvidence.run(node, input.boot, input.bootCount);
    noteEvidence.run(input.boot, input.bootCount, input.uptimeSeconds, input.software, node);
    hear(node, input.receivedAt, "evidence", 0);
    return { rejection: null };
  }

  function refuse({ nodeId, topic, receivedAt, bytes, rejection, sample }: Omit<RefusedInput, "kind">): void {
    const detail = rejection.detail.slice(0, 200);
    const { code } = rejection;
    const row = { nodeId: nodeId ?? "", topic: topic.slice(0, 200), code, detail, bytes, at: receivedAt };
    putRejection.run({ ...row, sample });
    countRejection.run(code);
    if (nodeId) noteRejection.run(nodeId);
  }

  function watermarkOf({ nodeId, batch }: RefusedInput): Pick<Verdict, "storedUpTo"> {
    return nodeId && batch ? { storedUpTo: rowOf(idOf(nodeId), batch.boot)?.stored_up_to ?? 0 } : {};
  }

  function admitOne(input: Input, rules: OrderRules): Verdict {
    switch (input.kind) {
      case "batch":
        return admitBatch(input, rules);
      case "evidence":
        return admitEvidence(input, rules);
      case "birth": {
        const node = idOf(input.nodeId);
        noteBirth.run(JSON.stringify(input.birth), node);
        hear(node, input.receivedAt, "its birth message", 0);
        return { rejection: null };
      }
      case "death":
        writeHeard(idOf(input.nodeId));
        noteDeath.run(input.boot, idOf(input.nodeId), input.boot);
        return { rejection: null };
      case "refused":
        refuse(input);
        return { rejection: input.rejection, ...watermarkOf(input) };
    }
  }

  const admitAll = database.transaction((inputs: readonly Input[], rules: OrderRules) => {
    const verdicts = inputs.map((input) => {
      const verdict = admitOne(input, rules);
      if (verdict.rejection && input.kind !== "refused") refuse(refusedOrder(input, verdict.rejection));
      return verdict;
    });
    writeGroup();
    return verdicts;
  });

  return (inputs, rules) => {
    group = emptyGroup();
    try {
      const verdicts = admitAll.immediate(inputs, rules);
      for (const [key, id] of group.channels) channels.set(key, id);
      return verdicts;
    } catch (cause) {
      if (!isInputsFault(cause)) throw cause;
      throw new CoordinatorFault("input-unstorable", `an input cannot be stored: ${(cause as Error).message}`, {
        cause,
      });
    }
  };
}

/** Whether SQLite (or the binding) refused a value, and not the disk, the lock or the file: those are the ledger's own trouble. */
function isInputsFault(cause: unknown): boolean {
  if (cause instanceof RangeError || cause instanceof TypeError) return true;
  const { code = "" } = cause as { code?: string };
  return /^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG|RANGE)/.test(code);
}

/** An input of the right form that came out of order: what is kept of it. */
function refusedOrder(input: Exclude<Input, RefusedInput>, rejection: RefusedInput["rejection"]): RefusedInput {
  const { nodeId, topic, receivedAt } = input;
  const bytes = input.kind === "batch" ? input.bytes : input.kind === "evidence" ? input.token.length : 0;
  return { kind: "refused", nodeId, topic, receivedAt, bytes, rejection, sample: new Uint8Array() };
}
