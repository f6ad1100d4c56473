/**
 * A network whose ledger is worth copying: something in every table, an epoch that was closed on its facts, and texts and numbers that
 * are easily lost on the way. Run as a program it copies a ledger, and is killed in the middle of its work by a test, or by its own hand
 * once it has reported its progress so often. Arguments: the source's file, the target's URL, number of reports.
 */
import type { BootId } from "@cairn/protocol";
import { closeEpoch } from "../src/decide/epoch-close.ts";
import type { Ledger } from "../src/model.ts";
import { copyLedger } from "../src/store/copy.ts";
import type { Device } from "./devices.ts";
import { bootId } from "./devices.ts";
import { founding, operatorAddress, slotsOf, slotTime } from "./founding.ts";
import { batchInput, birthInput, column, deathInput, evidenceInput, refusedInput, slotRow } from "./inputs.ts";
import { enrolled, send } from "./ledger/admission.ts";
import { intent } from "./ledger/settlement.ts";

export const outcomeOf = closeEpoch;

/** Nodes of a network, each in its first boot, and how far their batches have come. */
export type LivingNetwork = {
  /** Opens the slots of the next epoch, has nodes answer and work in them, and closes it. */
  liveOneEpoch(readingsPerBatch?: number): Promise<void>;
  /** One more node, which takes part from now on. */
  join(name: string): Promise<void>;
  /** The next batch of the first node on another ledger. */
  batchOn(ledger: Ledger): Promise<string[]>;
};

export async function foundNetwork(ledger: Ledger): Promise<LivingNetwork> {
  const nodes: { device: Device; boot: BootId; seq: number }[] = [];
  let epoch = 0;
  const join = async (name: string) => {
    const device = await enrolled(ledger, name, operatorAddress(nodes.length + 1));
    nodes.push({ device, boot: bootId(), seq: 0 });
  };
  for (const name of ["one", "two\ttabbed", "three \\N \\\\ 'quoted' \u00e4\u{1f300}"]) await join(name);

  const awkward = [0.1 + 0.2, -1e-300, Number.MAX_VALUE, Number.MIN_VALUE, 2 ** 53 - 1, -0];
  const valueAt = (index: number) => awkward[index % 97] ?? index / 7;

  async function answer(slot: number, readings: number): Promise<void> {
    for (const [index, node] of nodes.entries()) {
      const { nodeId } = node.device;
      node.seq += 1;
      const times = Array.from({ length: readings }, (_, at) => slotTime(slot) + at);
      const values = times.map((_, at) => valueAt(at + index));
      const series = [column("host.load", times, values), column(`air.s${slot % 5}`, [slotTime(slot)], [slot])];
      const batch = batchInput(nodeId, node.boot, { seq: node.seq, slot, series });
      await send(ledger, (slot + index) % 3 === 2 ? [batch] : [batch, evidenceInput(nodeId, node.boot, { slot })]);
    }
  }

  return {
    join,
    async liveOneEpoch(readingsPerBatch = 20) {
      epoch += 1;
      const slots = slotsOf(epoch);
      for (const slot of slots) {
        await ledger.openSlot(slotRow(slot));
        await answer(slot, readingsPerBatch);
        await ledger.closeSlot(slot, slotTime(slot + 1), slot % 6 === 4 ? "the verifier slept" : null);
      }
      const [one, two] = nodes.map(({ device }) => device.nodeId);
      const [first = 0] = slots;
      await send(ledger, [
        refusedInput(one ?? null, "schema-mismatch", { detail: `batch ${epoch}: "\\\n\t\r\0 \u{1f300}" is no \\N` }),
        refusedInput(null, "topic-forbidden", { sample: Buffer.from([0, 1, 92, 255]), receivedAt: slotTime(first) }),
        ...(one && two ? [birthInput(one, bootId(), epoch + 1), deathInput(two, bootId())] : []),
      ]);
      if (one) {
        const dropped = [{ first: 1, last: 2, readings: 9, reason: "store-full" as const }];
        await send(ledger, [batchInput(one, bootId(), { n: 1_000 + epoch, seq: 3, slot: first, dropped })]);
      }
      const outcome = closeEpoch(await ledger.epochFacts(epoch, first, slots.length), founding.parameters);
      await ledger.closeEpoch(outcome, slotTime(first + slots.length));
      const root = intent("post-root", epoch);
      await ledger.recordIntent(root, slotTime(first));
      if (epoch % 2 === 1) await ledger.resolveIntent(root, "confirmed", root.transaction, slotTime(first));
    },
    async batchOn(other) {
      const [node] = nodes;
      if (!node) return [];
      return send(other, [batchInput(node.device.nodeId, node.boot, { seq: node.seq + 1 })]);
    },
  };
}

if (import.meta.main) {
  const [from = "", to = "", most = ""] = process.argv.slice(2);
  let reports = 0;
  const progress = () => {
    reports += 1;
    if (reports === 1) process.stdout.write("copying\n");
    if (reports === Number(most)) process.kill(process.pid, "SIGKILL");
  };
  const report = await copyLedger({ from, to, outcomeOf, progress });
  process.stdout.write(`complete ${JSON.stringify(report)}\n`);
}
