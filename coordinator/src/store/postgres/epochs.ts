/** Writing slots, epochs and their way to the chain. Each is to be called inside a transaction. */
import type { Address } from "@cairn/protocol";
import type { EpochOutcome, Intent, SlotRow } from "../../model.ts";
import type { Transaction } from "./database.ts";

export async function openSlot(tx: Transaction, row: SlotRow): Promise<void> {
  await tx.run(
    `insert into slot (slot, epoch, nonce, opens_at, closes_at, ready_at) values ($1, $2, $3, $4, $5, $6)
     on conflict (slot) do update set ready_at = excluded.ready_at`,
    [row.slot, row.epoch, row.nonce, row.opensAt, row.closesAt, row.readyAt],
  );
}

export async function closeSlot(
  tx: Transaction,
  slot: number,
  closedAt: number,
  voidReason: string | null,
): Promise<void> {
  await tx.run("update slot set closed_at = $2, void_reason = $3 where slot = $1 and closed_at is null", [
    slot,
    closedAt,
    voidReason,
  ]);
}

/** The row of the epoch is the marker: who comes second waits for it, finds it and does nothing. */
export async function closeEpoch(tx: Transaction, outcome: EpochOutcome, closedAt: number): Promise<void> {
  const { epoch, firstSlot, slotCount, slotsVoid, total, root, evidence, nodes, operators } = outcome;
  const written = await tx.run(
    `insert into epoch (epoch, first_slot, slot_count, slots_void, total, root, evidence, closed_at, state)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing`,
    [
      epoch,
      firstSlot,
      slotCount,
      slotsVoid,
      total.toString(),
      root,
      evidence,
      closedAt,
      root === null ? "void" : "closed",
    ],
  );
  if (written === 0) return;
  await tx.run(
    `insert into epoch_node
       (epoch, node_id, operator, evidence_level, slots_attested, slots_expected, slots_void, work_units, amount)
     select $1, node_id, operator, evidence_level, slots_attested, slots_expected, slots_void, work_units, amount
     from json_to_recordset($2) as outcome (
       node_id text, operator text, evidence_level text, slots_attested bigint, slots_expected bigint,
       slots_void bigint, work_units bigint, amount text
     )`,
    [
      epoch,
      JSON.stringify(
        nodes.map((node) => ({
          node_id: node.nodeId,
          operator: node.operator,
          evidence_level: node.evidenceLevel,
          slots_attested: node.slotsAttested,
          slots_expected: node.slotsExpected,
          slots_void: node.slotsVoid,
          work_units: node.workUnits,
          amount: node.amount.toString(),
        })),
      ),
    ],
  );
  await tx.run(
    `insert into epoch_operator (epoch, operator, amount, cumulative_amount, nodes_root, proof)
     select $1, operator, amount, cumulative_amount, nodes_root, proof
     from json_to_recordset($2) as outcome (
       operator text, amount text, cumulative_amount text, nodes_root text, proof text
     )`,
    [
      epoch,
      JSON.stringify(
        operators.map((operator) => ({
          operator: operator.operator,
          amount: operator.amount.toString(),
          cumulative_amount: operator.cumulativeAmount.toString(),
          nodes_root: operator.nodesRoot,
          proof: JSON.stringify(operator.proof),
        })),
      ),
    ],
  );
  await earn(tx, [
    ...nodes.map(({ nodeId, amount }) => ({ whose: nodeId, amount })),
    ...operators.map(({ operator, amount }) => ({ whose: operator, amount })),
  ]);
}

/** In the order of names, so that two closes at the same time cannot each wait for the other. */
async function earn(tx: Transaction, amounts: readonly { whose: string; amount: bigint }[]): Promise<void> {
  await tx.run(
    `insert into earned (whose, amount)
     select whose, sum(amount)::text from json_to_recordset($1) as outcome (whose text, amount numeric)
     where amount > 0 group by whose order by whose
     on conflict (whose) do update set amount = (earned.amount::numeric + excluded.amount::numeric)::text`,
    [JSON.stringify(amounts.map(({ whose, amount }) => ({ whose, amount: amount.toString() })))],
  );
}

/** After a chain lost its last blocks, signing the same thing anew gives the same transaction. */
export async function recordIntent(tx: Transaction, intent: Intent, at: number): Promise<void> {
  await tx.run(
    `insert into intent (kind, epoch, operator, tx_hash, raw, state, made_at) values ($1, $2, $3, $4, $5, 'open', $6)
     on conflict (kind, epoch, operator, tx_hash)
       do update set state = 'open', made_at = excluded.made_at, resolved_at = null`,
    [intent.kind, intent.epoch, intent.operator, intent.transaction, intent.raw, at],
  );
}

export async function resolveIntent(
  tx: Transaction,
  { kind, epoch, operator, transaction: hash }: Intent,
  outcome: "confirmed" | "failed",
  transaction: string | null,
  at: number,
): Promise<void> {
  await tx.run(
    `update intent set state = $1, resolved_at = $2
     where kind = $3 and epoch = $4 and operator = $5 and tx_hash = $6 and state = 'open'`,
    [outcome, at, kind, epoch, operator, hash],
  );
  if (outcome === "failed") return;
  // Claims of one epoch that are confirmed at the same time must see each other: the last of them settles it.
  await tx.run("select from epoch where epoch = $1 for no key update", [epoch]);
  if (kind === "post-root")
    await tx.run("update epoch set state = 'posted', posted_in = coalesce($2, posted_in) where epoch = $1", [
      epoch,
      transaction,
    ]);
  else
    await tx.run(
      "update epoch_operator set paid = 1, paid_in = coalesce($3, paid_in) where epoch = $1 and operator = $2",
      [epoch, operator, transaction],
    );
  await tx.run(
    `update epoch set state = 'settled' where epoch = $1 and state = 'posted' and not exists
       (select from epoch_operator where epoch_operator.epoch = epoch.epoch and amount <> '0' and paid = 0)`,
    [epoch],
  );
}

export async function reopen(
  tx: Transaction,
  epoch: number,
  lost: { posted: boolean; unpaid: readonly Address[] },
): Promise<void> {
  await tx.run("select from epoch where epoch = $1 for no key update", [epoch]);
  await tx.run("update epoch_operator set paid = 0, paid_in = null where epoch = $1 and operator = any ($2)", [
    epoch,
    [...lost.unpaid],
  ]);
  await tx.run(
    `update epoch set state = case when $2 then 'posted' else 'closed' end, posted_in = case when $2 then posted_in end
     where epoch = $1`,
    [epoch, lost.posted],
  );
}
