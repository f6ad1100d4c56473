/**
 * Verdicts as a person tells them: one line for a run of slots with the same verdict. Slots that were answered differ only in how
 * soon, so a run of them tells the span; slots that were not stand together as long as their reason is the same.
 */
import type { SlotVerdictView } from "@cairn/protocol";

export type Run = {
  readonly state: SlotVerdictView["state"];
  readonly reason: string;
  readonly epoch: number;
  /** Oldest and newest slot of the run. */
  readonly first: SlotVerdictView;
  readonly last: SlotVerdictView;
  readonly count: number;
  /** How long after their begin the slots were answered, ms; null when they were not. */
  readonly answeredAfter: { readonly least: number; readonly most: number } | null;
};

/** Newest first; slots ahead are left out; a run ends where its epoch ends. */
export function runsOf(verdicts: readonly SlotVerdictView[]): readonly Run[] {
  const runs: Run[] = [];
  for (const verdict of [...verdicts].sort((one, other) => other.slot - one.slot)) {
    if (verdict.state === "ahead") continue;
    const answeredAfter = afterOf(verdict);
    const run = runs.at(-1);
    if (run === undefined || !continues(run, verdict)) {
      const { state, reason, epoch } = verdict;
      runs.push({ state, reason, epoch, first: verdict, last: verdict, count: 1, answeredAfter });
      continue;
    }
    runs[runs.length - 1] = {
      ...run,
      first: verdict,
      count: run.count + 1,
      answeredAfter: answeredAfter &&
        run.answeredAfter && {
          least: Math.min(run.answeredAfter.least, answeredAfter.least),
          most: Math.max(run.answeredAfter.most, answeredAfter.most),
        },
    };
  }
  return runs;
}

function afterOf({ answeredAt, opensAt }: SlotVerdictView): Run["answeredAfter"] {
  return answeredAt === null ? null : { least: answeredAt - opensAt, most: answeredAt - opensAt };
}

function continues(run: Run, verdict: SlotVerdictView): boolean {
  const neighbours = run.epoch === verdict.epoch && run.first.slot === verdict.slot + 1;
  const bothAnswered = run.answeredAfter !== null && verdict.answeredAt !== null;
  return neighbours && run.state === verdict.state && (bothAnswered || run.reason === verdict.reason);
}
