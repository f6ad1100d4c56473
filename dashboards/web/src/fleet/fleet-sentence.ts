/** The fleet page's sentence: is the fleet earning? And what stands below it because it is worth a line. */
import type { FleetView, NodeRow } from "@cairn/protocol";
import type { Messages } from "../words/messages.ts";
import { joined, type Phrase, type Piece } from "../words/phrases.ts";
import { type Cause, countSlots, earningsOf, floorOutOfReach, type Rules, standingOf } from "./earning.ts";

/** Up to this many nodes are named; more are counted. */
const mostNames = 3;

export function fleetSentence(view: FleetView, rules: Rules, words: Messages, locale: string): Phrase {
  const earnings = earningsOf(view.nodes, rules);
  if (earnings.total === 0) return words.fleet.empty;
  if (earnings.notEarning === 0) return words.fleet.allEarning(earnings.total);
  const floor = floorWords(rules, locale);
  const named = earnings.notEarning <= mostNames;
  const causes = earnings.causes.map((cause) =>
    causePhrase(cause, named ? namesOf(cause.rows) : cause.rows.length, floor, words),
  );
  return words.fleet.notEarning(earnings.notEarning, earnings.total, causes);
}

function causePhrase({ standing, since, reason }: Cause, who: Phrase | number, floor: string, words: Messages): Phrase {
  switch (standing) {
    case "offline":
      return words.fleet.offline(who, timePiece(since), quotePiece(reason));
    case "unheard":
      return words.fleet.unheard(who);
    case "under-floor":
      return words.fleet.underFloor(who, floor);
  }
}

/** Earning, but not as it should: nodes that are degraded or paid for work only, and slots that are void for everybody. */
export function fleetNotes(view: FleetView, rules: Rules, words: Messages, locale: string): readonly Phrase[] {
  const earning = view.nodes.filter((row) => standingOf(row, rules) === "earning");
  const degraded = Map.groupBy(
    earning.filter(({ state }) => state === "degraded"),
    ({ stateReason }) => stateReason,
  );
  const notes: Phrase[] = [...degraded].map(([reason, rows]) =>
    words.fleet.degraded(fewOf(rows), timePiece(earliest(rows)), quotePiece(reason)),
  );
  const workOnly = earning.filter(({ slots }) => floorOutOfReach(slots, rules));
  if (workOnly.length > 0) notes.push(words.fleet.workOnly(fewOf(workOnly), floorWords(rules, locale)));
  const voided = Math.min(...view.nodes.map((row) => countSlots(row.slots).void));
  if (Number.isFinite(voided) && voided > 0) notes.push(words.fleet.voidSlots(voided));
  return notes;
}

/** Their names where they are few, else their number. */
function fewOf(rows: readonly NodeRow[]): Phrase | number {
  return rows.length > mostNames ? rows.length : namesOf(rows);
}

function namesOf(rows: readonly NodeRow[]): Phrase {
  return joined(
    rows.map((row) => [nodePiece(row)]),
    ", ",
  );
}

function earliest(rows: readonly NodeRow[]): number | null {
  const times = rows.flatMap(({ stateSince }) => stateSince ?? []);
  return times.length === 0 ? null : Math.min(...times);
}

export function nodePiece(row: Pick<NodeRow, "nodeId" | "name">): Piece {
  return { kind: "node", nodeId: row.nodeId, name: row.name };
}

export function timePiece(at: number | null): Piece | null {
  return at === null ? null : { kind: "time", at };
}

/** What the coordinator says, fit to stand inside brackets: its own brackets become a comma. */
export function quotePiece(text: string): Piece | null {
  return text === "" ? null : { kind: "quote", text: text.replaceAll(/ \(([^()]*)\)/g, ", $1") };
}

export function floorWords(rules: Rules, locale: string): string {
  return new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 2 }).format(
    (rules?.uptimeFloorBps ?? 0) / 10_000,
  );
}
