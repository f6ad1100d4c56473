/** Slots, epochs and their way to the chain. */
import type { Address, EvidenceLevel, Hex, NodeId } from "@cairn/protocol";
import type {
  EpochFacts,
  EpochOutcome,
  EpochRecord,
  Intent,
  Ledger,
  NodeOutcome,
  OperatorOutcome,
  Settlement,
  SlotRow,
} from "../../model.ts";
import type { Sqlite } from "./database.ts";

type SlotColumns = {
  slot: number;
  epoch: number;
  nonce: string;
  opens_at: number;
  closes_at: number;
  ready_at: number;
  closed_at: number | null;
  void_reason: string | null;
};
type EpochColumns = {
  epoch: number;
  first_slot: number;
  slot_count: number;
  slots_void: number;
  total: string;
  root: string | null;
  evidence: string;
  closed_at: number;
  state: EpochRecord["state"];
  posted_in: string | null;
};
type NodeColumns = {
  epoch: number;
  node_id: string;
  operator: string;
  evidence_level: string;
  slots_attested: number;
  slots_expected: number;
  slots_void: number;
  work_units: number;
  amount: string;
};
type OperatorColumns = {
  epoch: number;
  operator: string;
  amount: string;
  cumulative_amount: string;
  nodes_root: string;
  proof: string;
  paid: number;
  paid_in: string | null;
};
type IntentColumns = { kind: Intent["kind"]; epoch: number; operator: string; tx_hash: string; raw: string };

export type EpochStore = Pick<
  Ledger,
  | "openSlot"
  | "closeSlot"
  | "slots"
  | "answers"
  | "unfinishedEpochs"
  | "epochFacts"
  | "closeEpoch"
  | "epochs"
  | "epoch"
  | "nodeRewards"
  | "nodeEarned"
  | "unsettled"
  | "recordIntent"
  | "resolveIntent"
  | "reopen"
>;

export function prepareEpochs(database: Sqlite): EpochStore {
  const putSlot = database.prepare(
    `insert into slot (slot, epoch, nonce, opens_at, closes_at, ready_at) values (?, ?, ?, ?, ?, ?)
     on conflict (slot) do update set ready_at = excluded.ready_at`,
  );
  const endSlot = database.prepare(
    "update slot set closed_at = ?, void_reason = ? where slot = ? and closed_at is null",
  );
  const slotsFrom = database.prepare<[number], SlotColumns>("select * from slot where slot >= ? order by slot");
  const slotsOfEpoch = database.prepare<[number], SlotColumns>("select * from slot where epoch = ? order by slot");
  const answersIn = database.prepare<[number, number], { node_id: string; slot: number; received_at: number }>(
    `select node.node_id, evidence.slot, evidence.received_at from evidence join node on node.id = evidence.node
     where evidence.slot between ? and ?`,
  );
  const workIn = database.prepare<[number, number], { node_id: string; slot: number }>(
    "select node.node_id, work.slot from work join node on node.id = work.node where work.slot between ? and ?",
  );
  const unfinished = database
    .prepare<[], number>(
      "select distinct epoch from slot where epoch > (select coalesce(max(epoch), 0) from epoch) order by epoch",
    )
    .pluck();
  const enrolled = database.prepare<[], { node_id: string; operator: string; evidence_level: string }>(
    "select node_id, operator, evidence_level from node order by node_id",
  );
  const allEarned = database.prepare<[], { whose: string; amount: string }>(
    "select whose, amount from earned where whose like '0x%'",
  );
  const earnedBy = database.prepare<[string], string>("select amount from earned where whose = ?").pluck();
  const putEarned = database.prepare(
    "insert into earned (whose, amount) values (?, ?) on conflict (whose) do update set amount = excluded.amount",
  );
  const putEpoch = database.prepare(
    `insert into epoch (epoch, first_slot, slot_count, slots_void, total, root, evidence, closed_at, state)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing`,
  );
  const putNode = database.prepare("insert into epoch_node values (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const putOperator = database.prepare(
    `insert into epoch_operator (epoch, operator, amount, cumulative_amount, nodes_root, proof) values (?, ?, ?, ?, ?, ?)`,
  );
  const latestEpochs = database.prepare<[number], EpochColumns>("select * from epoch order by epoch desc limit ?");
  const oneEpoch = database.prepare<[number], EpochColumns>("select * from epoch where epoch = ?");
  const onTheirWay = database.prepare<[], EpochColumns>(
    "select * from epoch where state in ('closed', 'posted') order by epoch",
  );
  const nodesOf = database.prepare<[number], NodeColumns>("select * from epoch_node where epoch = ? order by node_id");
  const operatorsOf = database.prepare<[number], OperatorColumns>(
    "select * from epoch_operator where epoch = ? order by operator",
  );
  const rewardsOf = database.prepare<[string, number], NodeColumns>(
    "select * from epoch_node where node_id = ? order by epoch desc limit ?",
  );
  const openIntents = database.prepare<[number], IntentColumns>(
    "select kind, epoch, operator, tx_hash, raw from intent where epoch = ? and state = 'open' order by made_at",
  );
  // After a chain lost its last blocks, signing the same thing anew gives the same transaction.
  const putIntent = database.prepare(
    `insert into intent (kind, epoch, operator, tx_hash, raw, state, made_at) values (?, ?, ?, ?, ?, 'open', ?)
     on conflict (kind, epoch, operator, tx_hash) do update set state = 'open', made_at = excluded.made_at, resolved_at = null`,
  );
  const endIntent = database.prepare(
    "update intent set state = ?, resolved_at = ? where kind = ? and epoch = ? and operator = ? and tx_hash = ? and state = 'open'",
  );
  const markPosted = database.prepare(
    "update epoch set state = 'posted', posted_in = coalesce(?, posted_in) where epoch = ?",
  );
  const markPaid = database.prepare(
    "update epoch_operator set paid = 1, paid_in = coalesce(?, paid_in) where epoch = ? and operator = ?",
  );
  const settleWhenPaid = database.prepare(
    `update epoch set state = 'settled' where epoch = ? and state = 'posted' and not exists
       (select 1 from epoch_operator where epoch_operator.epoch = epoch.epoch and amount <> '0' and paid = 0)`,
  );
  const markLost = database.prepare("update epoch set state = ?, posted_in = iif(?, posted_in, null) where epoch = ?");
  const markUnpaid = database.prepare(
    "update epoch_operator set paid = 0, paid_in = null where epoch = ? and operator = ?",
  );

  function outcomeOf(row: EpochColumns): EpochOutcome {
    return {
      epoch: row.epoch,
      firstSlot: row.first_slot,
      slotCount: row.slot_count,
      slotsVoid: row.slots_void,
      nodes: nodesOf.all(row.epoch).map(nodeOutcome),
      operators: operatorsOf.all(row.epoch).map(operatorOutcome),
      total: BigInt(row.total),
      root: row.root as Hex | null,
      evidence: row.evidence as Hex,
    };
  }

  function recordOf(row: EpochColumns): EpochRecord {
    const claims = operatorsOf.all(row.epoch).filter(({ amount }) => amount !== "0");
    return {
      outcome: outcomeOf(row),
      closedAt: row.closed_at,
      state: row.state,
      transaction: row.posted_in as Hex | null,
      claims: claims.map((claim) => ({
        operator: claim.operator as Address,
        amount: BigInt(claim.amount),
        transaction: claim.paid_in as Hex | null,
      })),
    };
  }

  function settlementOf(row: EpochColumns): Settlement {
    return {
      outcome: outcomeOf(row),
      posted: row.state === "posted",
      paid: operatorsOf
        .all(row.epoch)
        .filter(({ paid }) => paid === 1)
        .map(({ operator }) => operator as Address),
      intents: openIntents.all(row.epoch).map((intent) => ({
        kind: intent.kind,
        epoch: intent.epoch,
        operator: intent.operator as Address | "",
        transaction: intent.tx_hash as Hex,
        raw: intent.raw as Hex,
      })),
    };
  }

  function earn(whose: string, amount: bigint): void {
    if (amount > 0n) putEarned.run(whose, (BigInt(earnedBy.get(whose) ?? "0") + amount).toString());
  }

  const closeEpoch = database.transaction((outcome: EpochOutcome, closedAt: number) => {
    const { epoch, firstSlot, slotCount, slotsVoid, total, root, evidence } = outcome;
    const state = root === null ? "void" : "closed";
    const put = putEpoch.run(epoch, firstSlot, slotCount, slotsVoid, total.toString(), root, evidence, closedAt, state);
    if (put.changes === 0) return;
    for (const node of outcome.nodes) {
      const { slotsAttested, slotsExpected, workUnits, amount } = node;
      putNode.run(
        epoch,
        node.nodeId,
        node.operator,
        node.evidenceLevel,
        slotsAttested,
        slotsExpected,
        node.slotsVoid,
        workUnits,
        amount.toString(),
      );
      earn(node.nodeId, amount);
    }
    for (const { operator, amount, cumulativeAmount, nodesRoot, proof } of outcome.operators) {
      putOperator.run(
        epoch,
        operator,
        amount.toString(),
        cumulativeAmount.toString(),
        nodesRoot,
        JSON.stringify(proof),
      );
      earn(operator, amount);
    }
  });

  const resolveIntent = database.transaction(
    (intent: Intent, outcome: "confirmed" | "failed", transaction: Hex | null, at: number) => {
      endIntent.run(outcome, at, intent.kind, intent.epoch, intent.operator, intent.transaction);
      if (outcome === "failed") return;
      if (intent.kind === "post-root") markPosted.run(transaction, intent.epoch);
      else markPaid.run(transaction, intent.epoch, intent.operator);
      settleWhenPaid.run(intent.epoch);
    },
  );

  const reopen = database.transaction((epoch: number, lost: { posted: boolean; unpaid: readonly Address[] }) => {
    for (const operator of lost.unpaid) markUnpaid.run(epoch, operator);
    markLost.run(lost.posted ? "posted" : "closed", lost.posted ? 1 : 0, epoch);
  });

  return {
    async openSlot(row) {
      putSlot.run(row.slot, row.epoch, row.nonce, row.opensAt, row.closesAt, row.readyAt);
    },
    async closeSlot(slot, closedAt, voidReason) {
      endSlot.run(closedAt, voidReason, slot);
    },
    async slots(firstSlot) {
      return slotsFrom.all(firstSlot).map(slotRow);
    },
    async answers(first, last) {
      return answersIn
        .all(first, last)
        .map((row) => ({ nodeId: row.node_id as NodeId, slot: row.slot, receivedAt: row.received_at }));
    },
    async unfinishedEpochs() {
      return unfinished.all();
    },
    async epochFacts(epoch, firstSlot, slotCount) {
      const lastSlot = firstSlot + slotCount - 1;
      const answered = slotsByNode(answersIn.all(firstSlot, lastSlot));
      const worked = slotsByNode(workIn.all(firstSlot, lastSlot));
      const nodes = enrolled.all().map((row) => ({
        nodeId: row.node_id as NodeId,
        operator: row.operator as Address,
        evidenceLevel: row.evidence_level as EvidenceLevel,
        answered: answered.get(row.node_id) ?? [],
        worked: worked.get(row.node_id) ?? [],
      }));
      const earnedBefore = new Map(allEarned.all().map(({ whose, amount }) => [whose as Address, BigInt(amount)]));
      const slots = slotsOfEpoch.all(epoch).map(slotRow);
      return { epoch, firstSlot, slotCount, slots, nodes, earnedBefore } satisfies EpochFacts;
    },
    async closeEpoch(outcome, closedAt) {
      closeEpoch.immediate(outcome, closedAt);
    },
    async epochs(limit) {
      return latestEpochs.all(limit).map(recordOf);
    },
    async epoch(epoch) {
      const row = oneEpoch.get(epoch);
      return row && recordOf(row);
    },
    async nodeRewards(nodeId, limit) {
      return rewardsOf.all(nodeId, limit).map((row) => ({ ...nodeOutcome(row), epoch: row.epoch }));
    },
    async nodeEarned(nodeId) {
      return BigInt(earnedBy.get(nodeId) ?? "0");
    },
    async unsettled() {
      return onTheirWay.all().map(settlementOf);
    },
    async recordIntent(intent, at) {
      putIntent.run(intent.kind, intent.epoch, intent.operator, intent.transaction, intent.raw, at);
    },
    async resolveIntent(intent, outcome, transaction, at) {
      resolveIntent.immediate(intent, outcome, transaction, at);
    },
    async reopen(epoch, lost) {
      reopen.immediate(epoch, lost);
    },
  };
}

function slotRow(row: SlotColumns): SlotRow {
  return {
    slot: row.slot,
    epoch: row.epoch,
    nonce: row.nonce as Hex,
    opensAt: row.opens_at,
    closesAt: row.closes_at,
    readyAt: row.ready_at,
    closedAt: row.closed_at,
    voidReason: row.void_reason,
  };
}

function nodeOutcome(row: NodeColumns): NodeOutcome {
  return {
    nodeId: row.node_id as NodeId,
    operator: row.operator as Address,
    evidenceLevel: row.evidence_level as EvidenceLevel,
    slotsAttested: row.slots_attested,
    slotsExpected: row.slots_expected,
    slotsVoid: row.slots_void,
    workUnits: row.work_units,
    amount: BigInt(row.amount),
  };
}

function operatorOutcome(row: OperatorColumns): OperatorOutcome {
  return {
    operator: row.operator as Address,
    amount: BigInt(row.amount),
    cumulativeAmount: BigInt(row.cumulative_amount),
    nodesRoot: row.nodes_root as Hex,
    proof: JSON.parse(row.proof),
  };
}

function slotsByNode(rows: readonly { node_id: string; slot: number }[]): Map<string, number[]> {
  const slots = new Map<string, number[]>();
  for (const { node_id, slot } of rows) {
    const own = slots.get(node_id);
    if (own) own.push(slot);
    else slots.set(node_id, [slot]);
  }
  for (const own of slots.values()) own.sort((a, b) => a - b);
  return slots;
}
