/**
 * What a fleet needs, by arithmetic over unit costs: no line is a measurement of such a fleet. Every line says what it assumes and names
 * the unit costs that it was made of, so that a reader can redo it. Pure.
 *
 * Head room multiplies what is bought (cores with head room, processes, brokers), never what is counted (messages, bytes).
 */
import { type SizeLine, sections, sizeLines } from "./size-lines.ts";
import { type CostOf, type FleetLoad, ingestCores, type Rates, ratesOf, us, verifierUsPerNode } from "./size-load.ts";
import type { UnitCostName, UnitCosts } from "./unit-costs.ts";

/** Something that one process or one duty cannot be made more of. */
export type SizeCeiling = {
  readonly name: string;
  /** The nodes of this load at which it is reached. */
  readonly nodes: number;
  readonly reached: boolean;
  readonly reason: string;
};

/** What a line or a ceiling was made of. */
type Made = { readonly costs: readonly UnitCostName[] };

export type SizeReport = {
  readonly load: FleetLoad;
  readonly lines: readonly (SizeLine & Made)[];
  /** Lowest first: what breaks first. */
  readonly ceilings: readonly (SizeCeiling & Made)[];
  /** The unit costs that were used, with where each was measured. */
  readonly costs: UnitCosts;
};

export function sizeFleet(load: FleetLoad, costs: UnitCosts): SizeReport {
  const plain = withCosts(load, (name) => costs[name].value);
  const names = Object.keys(costs) as UnitCostName[];
  // A value is made of the costs that move it, however far they must be moved: nobody has to keep a second list.
  const moved = names.flatMap((name) =>
    [1e6, 1e-6].map((factor) => ({
      name,
      ...withCosts(load, (each) => costs[each].value * (each === name ? factor : 1)),
    })),
  );
  const madeOf = (isMoved: (other: (typeof moved)[number]) => boolean) => [
    ...new Set(moved.filter(isMoved).map(({ name }) => name)),
  ];
  return {
    load,
    lines: plain.lines.map((line, at) => ({
      ...line,
      costs: madeOf(({ lines }) => lines[at]?.value !== line.value),
    })),
    ceilings: plain.ceilings
      .map((ceiling, at) => ({ ...ceiling, costs: madeOf(({ ceilings }) => ceilings[at]?.nodes !== ceiling.nodes) }))
      .sort((a, b) => a.nodes - b.nodes),
    costs,
  };
}

function withCosts(load: FleetLoad, cost: CostOf) {
  const rates = ratesOf(load, cost);
  return { lines: sizeLines(load, rates, cost), ceilings: ceilingsOf(load, rates, cost) };
}

/** At how many nodes of this kind each thing that is not divisible is full. */
function ceilingsOf(load: FleetLoad, rates: Rates, cost: CostOf): SizeCeiling[] {
  const ceiling = (name: string, nodes: number, reason: string): SizeCeiling => ({
    name,
    nodes: Math.floor(nodes),
    reached: load.nodes > Math.floor(nodes),
    reason,
  });
  const epochSeconds = load.slotSeconds * load.slotsPerEpoch;
  const ingest = ingestCores(load, rates, cost);
  const mainThreadPerNode = (ingest.front + ingest.ledger + ingest.receipts) / load.nodes;
  const all = [
    ceiling(
      "fleet view",
      cost("fleetPatienceSeconds") / (cost("fleetRow") * us),
      "reading the whole fleet for a page takes longer than a second",
    ),
    ceiling(
      "epoch close",
      cost("leaseSeconds") / (cost("closeNode") * us),
      "closing an epoch holds the thread longer than a lease lasts: another replica takes the duty meanwhile",
    ),
    ceiling(
      "slot receipts",
      load.slotSeconds / (verifierUsPerNode(load, cost) * us),
      "one verifier cannot sign a slot's receipts within the slot",
    ),
    ceiling("roster", cost("rosterMost"), "a roster with more nodes is refused"),
    ceiling(
      "claims",
      (epochSeconds / cost("claimSeconds")) * load.nodesPerOperator,
      "claims, one after another, take longer than the epoch",
    ),
  ];
  if (load.broker === "embedded")
    all.push(
      ceiling(
        "embedded connections",
        cost("embeddedMost"),
        "more connections in one process were never tried: use nats or mqtt",
      ),
      ceiling(
        "one main thread",
        1 / mainThreadPerNode,
        "sockets, ledger and receipts of the embedded form share one thread",
      ),
    );
  else if (load.ledger === "sqlite")
    all.push(ceiling("one main thread", 1 / mainThreadPerNode, "SQLite has one writer on one machine: use postgres"));
  return all;
}

/** A sum of nearly everything names nearly everything. */
const mostMarks = 10;

/** The report for a reader: each section's lines with what they assume, what breaks first, and where every unit cost was measured. */
export function sizeText({ load, lines, ceilings, costs }: SizeReport): string {
  const width = Math.max(...lines.map(({ label }) => label.length));
  const amounts = new Map(lines.map((line) => [line, amountOf(line.value, line.unit)]));
  const amountWidth = Math.max(...[...amounts.values()].map(({ length }) => length));
  const used = new Set([...lines, ...ceilings].flatMap((each) => each.costs));
  const numbers = new Map([...used].map((name, index) => [name, index + 1]));
  const marks = (names: readonly UnitCostName[]) =>
    names.length === 0
      ? ""
      : ` [${names.length > mostMarks ? "of most of them" : names.map((name) => numbers.get(name)).join(" ")}]`;
  const text = [
    `${figure(load.nodes)} nodes, a batch of ${load.readings} readings every ${load.intervalSeconds} s, slots of ${load.slotSeconds} s, epochs of ${load.slotsPerEpoch} slots,`,
    `broker ${load.broker}, ledger ${load.ledger}, head room ${load.headRoom}. Arithmetic over unit costs, not a measurement of such a fleet.`,
  ];
  for (const section of sections) {
    text.push("", section.toUpperCase());
    for (const line of lines.filter((each) => each.section === section))
      text.push(
        `  ${line.label.padEnd(width)}  ${(amounts.get(line) ?? "").padStart(amountWidth)}  ${line.assumption}${marks(line.costs)}`,
      );
  }
  text.push("", "WHAT BREAKS FIRST, with a fleet of this kind");
  for (const { name, nodes, reached, reason, costs: names } of ceilings)
    text.push(
      `  ${name.padEnd(width)}  ${`${figure(nodes)} nodes`.padStart(amountWidth)}  ${reached ? "REACHED: " : ""}${reason}${marks(names)}`,
    );
  text.push("", "UNIT COSTS, and how each is known");
  for (const [name, number] of numbers) {
    const { value, unit, measured } = costs[name];
    text.push(`  ${`[${number}]`.padEnd(5)} ${`${value} ${unit}`.padEnd(26)} ${measured}`);
  }
  return `${text.join("\n")}\n`;
}

const steps = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
] as const;

/** Bytes take a decimal prefix, everything else its digits. */
function amountOf(value: number, unit: string): string {
  if (unit !== "B" && !unit.startsWith("B/"))
    return `${figure(value)}${unit.startsWith("/") ? "" : " "}${unit}`.trimEnd();
  const [size, prefix] = steps.find(([least]) => value >= least) ?? [1, ""];
  return `${figure(value / size)} ${prefix}${unit}`;
}

/** Three digits that mean something; whole numbers from 100 on, in groups. */
function figure(value: number): string {
  const rounded = value >= 100 ? Math.round(value) : Number(value.toPrecision(3));
  return String(rounded).replace(/\B(?=(?:\d{3})+$)(?<!\.\d*)/g, ",");
}
