/** Writing slots, epochs and their way to the chain. Nothing here is a transaction by itself: whoever calls makes it one. */
import type { Address, Hex } from "@cairn/protocol";
import type { EpochOutcome, Intent, SlotRow } from "../../model.ts";
import type { Sqlite } from "./database.ts";

export function prepareEpochs(database: Sqlite) {
  const putSlot = database.prepare(
    `insert into slot (slot, epoch, nonce, opens_at, closes_at, ready_at) values (?, ?, ?, ?, ?, ?)
     on conflict (slot) do update set ready_at = excluded.ready_at`,
  );
  const endSlot = database.prepare(
    "update slot set closed_at = ?, void_reason = ? where slot = ? and closed_at is null",
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

  function earn(whose: string, amount: bigint): void {
    if (amount > 0n) putEarned.run(whose, (BigInt(earnedBy.get(whose) ?? "0") + amount).toString());
  }

  return {
    openSlot(row: SlotRow) {
      putSlot.run(row.slot, row.epoch, row.nonce, row.opensAt, row.closesAt, row.readyAt);
    },
    closeSlot(slot: number, closedAt: number, voidReason: string | null) {
      endSlot.run(closedAt, voidReason, slot);
    },
    closeEpoch(outcome: EpochOutcome, closedAt: number) {
      const { epoch, firstSlot, slotCount, slotsVoid, total, root, evidence } = outcome;
      const state = root === null ? "void" : "closed";
      const put = putEpoch.run(
        epoch,
        firstSlot,
        slotCount,
        slotsVoid,
        total.toString(),
        root,
        evidence,
        closedAt,
        state,
      );
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
    },
    recordIntent(intent: Intent, at: number) {
      putIntent.run(intent.kind, intent.epoch, intent.operator, intent.transaction, intent.raw, at);
    },
    resolveIntent(intent: Intent, outcome: "confirmed" | "failed", transaction: Hex | null, at: number) {
      endIntent.run(outcome, at, intent.kind, intent.epoch, intent.operator, intent.transaction);
      if (outcome === "failed") return;
      if (intent.kind === "post-root") markPosted.run(transaction, intent.epoch);
      else markPaid.run(transaction, intent.epoch, intent.operator);
      settleWhenPaid.run(intent.epoch);
    },
    reopen(epoch: number, lost: { posted: boolean; unpaid: readonly Address[] }) {
      for (const operator of lost.unpaid) markUnpaid.run(epoch, operator);
      markLost.run(lost.posted ? "posted" : "closed", lost.posted ? 1 : 0, epoch);
    },
  };
}
