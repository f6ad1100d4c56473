/** A strip of slots, ready to draw: one bar per slot, or per run of slots where an epoch has more than fit. */
import type { SlotState } from "@cairn/protocol";
import { countSlots } from "./earning.ts";

export type Bar = {
  readonly state: SlotState;
  readonly slots: readonly SlotState[];
  /** Index of its first slot in the strip. */
  readonly first: number;
};

export const mostBars = 60;

/** What a bar of several slots shows: what needs attention goes before what is well. */
const byUrgency: readonly SlotState[] = ["missed", "void", "open", "answered", "credited", "ahead"];

export function barsOf(slots: readonly SlotState[]): readonly Bar[] {
  const perBar = Math.max(1, Math.ceil(slots.length / mostBars));
  return Array.from({ length: Math.ceil(slots.length / perBar) }, (_, index) => {
    const first = index * perBar;
    const held = slots.slice(first, first + perBar);
    return { state: byUrgency.find((state) => held.includes(state)) ?? "ahead", slots: held, first };
  });
}

/** Width of a bar and its gap, px, so that a strip stays within about 240 px. */
export function barSize(bars: number): { readonly width: number; readonly gap: number } {
  if (bars <= 16) return { width: 10, gap: 2 };
  if (bars <= 30) return { width: 6, gap: 2 };
  return { width: 3, gap: 1 };
}

/** Width of the whole strip of an epoch of so many slots, px. */
export function stripWidth(slotCount: number): number {
  const bars = Math.ceil(slotCount / Math.max(1, Math.ceil(slotCount / mostBars)));
  const { width, gap } = barSize(bars);
  return bars * (width + gap) - gap;
}

/** The states that occur, most first, for a strip in words: "4 credited, 1 missed". */
export function countsInWords(slots: readonly SlotState[], count: (count: number, state: SlotState) => string): string {
  return (Object.entries(countSlots(slots)) as [SlotState, number][])
    .filter(([, number]) => number > 0)
    .sort(([, one], [, other]) => other - one)
    .map(([state, number]) => count(number, state))
    .join(", ");
}

/** Slots with a final verdict, and how many of them count for the node. */
export function scoreOf(slots: readonly SlotState[]): { readonly credited: number; readonly judged: number } {
  const { credited, missed } = countSlots(slots);
  return { credited, judged: credited + missed };
}
