/** The verifier's clock: which slot is to be opened or closed now, and until when there is nothing to do. Pure. */
import { epochOfSlot, firstSlotOf, type SlotTime, slotAt, slotOpensAt } from "@cairn/protocol";
import type { SlotClock, SlotRow, SlotStep } from "../model.ts";

/** A slot counts only when nodes had at least this part of it to answer in. */
export const leastWindow = 0.5;

/** Everything to be done at `now`, in order: nodes wait for a beacon, so that is first. Ends with the step of waiting. */
export function slotSteps(clock: SlotClock): SlotStep[] {
  const { now, time, readySince } = clock;
  const current = slotAt(time, now);
  const steps: SlotStep[] = [];
  const running = clock.open.find(({ slot }) => slot === current);
  if (running && clock.announced !== current) steps.push({ kind: "resume", slot: current });
  if (!running && current >= 0) {
    const opensAt = slotOpensAt(time, current);
    steps.push({
      kind: "open",
      slot: current,
      epoch: epochOfSlot(time, current),
      opensAt,
      closesAt: opensAt + time.slotMs,
    });
  }
  for (const row of clock.open)
    if (row.slot < current)
      steps.push({ kind: "close", slot: row.slot, voidReason: voidReasonOf(row, readySince, time) });
  for (const epoch of clock.unfinishedEpochs)
    if (firstSlotOf(time, epoch + 1) <= current) steps.push({ kind: "close-epoch", epoch });
  steps.push({ kind: "wait", until: slotOpensAt(time, Math.max(current, -1) + 1) });
  return steps;
}

/**
 * An outage of the verifier is nobody's downtime: a slot during whose end it did not run, or of which it left nodes less than half
 * to answer in, counts for nobody.
 */
function voidReasonOf(row: SlotRow, readySince: number, time: SlotTime): string | null {
  if (readySince >= row.closesAt) return "the verifier was not running, or not receiving, at the slot's end";
  if (row.closesAt - Math.max(row.readyAt, readySince) < leastWindow * time.slotMs)
    return "the verifier was ready for less than half of the slot";
  return null;
}
