/**
 * What a simulated fleet is going to do: who is where, who misbehaves, when readings are batched, when sites fall away and when everybody
 * is thrown off at once. A pure function of the settings and their seed; times are ms since the fleet's start.
 */
import type { Reading, Unit } from "@cairn/protocol";
import { type Chance, chanceFor } from "./random.ts";

/** What a misbehaving node sends in place of its batches; `replay` sends good ones, each twice. */
export const misdeeds = ["malformed", "foreign-topic", "oversize", "replay", "forged", "flood"] as const;
export type Misdeed = (typeof misdeeds)[number];

export type FleetShape = {
  readonly seed: string;
  readonly nodes: number;
  /** Groups of neighbours that lose their uplink together. */
  readonly sites: number;
  /** Nodes make their first connection spread over this time. */
  readonly joinMs: number;
  readonly readingsPerBatch: number;
  /** Mean time between two batches of a node. */
  readonly batchMs: number;
  /** Length of the day over which the load swings, and by how much of its mean, 0 to below 1. */
  readonly dayMs: number;
  readonly swing: number;
  /** Mean time between two outages of a site, 0 for none, and their mean length. */
  readonly outageEveryMs: number;
  readonly outageMs: number;
  /** Batches that wait in a node when it begins, the share of nodes that has them, and how far back they reach (0: as far as their number says). */
  readonly backlogBatches: number;
  readonly backlogShare: number;
  readonly backlogMs: number;
  /** Time between two storms, 0 for none, the share of nodes thrown off, and the time over which they come back. */
  readonly stormEveryMs: number;
  readonly stormShare: number;
  readonly stormJitterMs: number;
  readonly misbehavingShare: number;
  /** Clocks of the nodes are wrong by up to this much, either way. */
  readonly skewMs: number;
};

/** A quiet fleet: no outage, no storm, nobody misbehaves. */
export const quietShape: FleetShape = {
  seed: "cairn",
  nodes: 100,
  sites: 10,
  joinMs: 10_000,
  readingsPerBatch: 20,
  batchMs: 10_000,
  dayMs: 86_400_000,
  swing: 0,
  outageEveryMs: 0,
  outageMs: 60_000,
  backlogBatches: 0,
  backlogShare: 1,
  backlogMs: 0,
  stormEveryMs: 0,
  stormShare: 1,
  stormJitterMs: 10_000,
  misbehavingShare: 0,
  skewMs: 0,
};

export type NodePlan = {
  readonly index: number;
  readonly site: number;
  readonly joinAtMs: number;
  /** Where in the interval between two batches this node stands, [0, 1). */
  readonly phase: number;
  readonly skewMs: number;
  /** Batches sealed before the start. */
  readonly backlog: number;
  readonly misdeed: Misdeed | undefined;
};

export type Span = { readonly fromMs: number; readonly toMs: number };

export function planNodes(shape: FleetShape): readonly NodePlan[] {
  const bad = drawn(shape, "misbehaving", shape.misbehavingShare);
  const late = drawn(shape, "backlog", shape.backlogShare);
  return Array.from({ length: shape.nodes }, (_, index) => {
    const chance = chanceFor(shape.seed, "node", index);
    const place = bad.get(index);
    return {
      index,
      site: Math.floor((index * shape.sites) / shape.nodes),
      joinAtMs: Math.floor(chance() * shape.joinMs),
      phase: chance(),
      skewMs: Math.round((2 * chance() - 1) * shape.skewMs),
      backlog: late.has(index) ? shape.backlogBatches : 0,
      misdeed: place === undefined ? undefined : misdeeds[place % misdeeds.length],
    };
  });
}

/** A share of the fleet, exact to the node: indexes with their place in the draw (Fisher and Yates, as far as needed). */
function drawn({ seed, nodes }: FleetShape, purpose: string, share: number): ReadonlyMap<number, number> {
  const chance = chanceFor(seed, purpose);
  const indexes = Array.from({ length: nodes }, (_, index) => index);
  const count = Math.round(nodes * share);
  const places = new Map<number, number>();
  for (let place = 0; place < count; place++) {
    const other = place + Math.floor(chance() * (nodes - place));
    const index = indexes[other] ?? place;
    indexes[other] = indexes[place] ?? other;
    places.set(index, place);
  }
  return places;
}

/**
 * When live batch `number` (from 0) of a node is sealed. The rate is (1 + swing x sin(2 pi t / day)) / batchMs; a batch is due whenever
 * its integral has grown by one.
 */
export function batchAt(shape: FleetShape, phase: number, number: number): number {
  const { batchMs, swing } = shape;
  const due = number + phase;
  if (swing === 0) return due * batchMs;
  // What the swing adds to the integral lies between 0 and swing x day / pi / batchMs.
  let [early, late] = [Math.max(0, due * batchMs - swing * (shape.dayMs / Math.PI)), due * batchMs];
  while (late - early > 0.5) {
    const middle = (early + late) / 2;
    if (batchesBy(shape, middle) < due) early = middle;
    else late = middle;
  }
  return late;
}

/** Batches of one node due by `atMs`, as a fraction: the integral of the rate. */
function batchesBy({ batchMs, dayMs, swing }: FleetShape, atMs: number): number {
  const turn = (2 * Math.PI) / dayMs;
  return (atMs + (swing / turn) * (1 - Math.cos(turn * atMs))) / batchMs;
}

/** When batch `sequence` (from 1) was sealed; before the start for the backlog. */
export function sealedAt(shape: FleetShape, node: NodePlan, sequence: number): number {
  if (sequence > node.backlog) return batchAt(shape, node.phase, sequence - node.backlog - 1);
  const reach = shape.backlogMs || node.backlog * shape.batchMs;
  return -Math.ceil((reach * (node.backlog - sequence + 1)) / node.backlog);
}

/** Outages of one site, in order and never overlapping, without end; none when outages are off. */
export function* outagesOf(shape: FleetShape, site: number): Generator<Span, void> {
  if (shape.outageEveryMs === 0) return;
  const chance = chanceFor(shape.seed, "outage", site);
  for (let atMs = 0; ; ) {
    const fromMs = Math.ceil(atMs + exponential(chance) * shape.outageEveryMs);
    const toMs = fromMs + Math.ceil(shape.outageMs * (0.5 + chance()));
    yield { fromMs, toMs };
    atMs = toMs;
  }
}

/** Mean 1: outages come independent of each other. */
function exponential(chance: Chance): number {
  return -Math.log(1 - chance());
}

/** When storm `number` (from 1) breaks and, for each node that it throws off, how long that node stays away. */
export function stormOf(
  shape: FleetShape,
  number: number,
): { readonly atMs: number; readonly away: ReadonlyMap<number, number> } {
  const chance = chanceFor(shape.seed, "storm", number);
  const away = new Map<number, number>();
  for (let index = 0; index < shape.nodes; index++) {
    const [hit, delay] = [chance() < shape.stormShare, Math.floor(chance() * shape.stormJitterMs)];
    if (hit) away.set(index, delay);
  }
  return { atMs: number * shape.stormEveryMs, away };
}

const series = [
  ["sim.counter", "count"],
  ["sim.temperature", "Cel"],
  ["sim.humidity", "%RH"],
  ["sim.voltage", "V"],
  ["sim.load", "/"],
] as const satisfies readonly (readonly [string, Unit])[];

/** Value and time of a batch's first reading. The value counts on through all batches of a boot, so that it names the batch. */
export function firstReading(shape: FleetShape, sequence: number, endsAt: number): { value: number; at: number } {
  const rows = Math.ceil(shape.readingsPerBatch / series.length);
  return { value: (sequence - 1) * rows, at: timeOf(shape, rows, 0, endsAt) };
}

/**
 * The readings of one batch, the same whenever they are asked for: an outbox need not keep them. Five series; the first counts on by one
 * per reading. `endsAt`: unix ms by the node's clock at which the batch was sealed, its last reading's time.
 */
export function readingsOf(shape: FleetShape, index: number, sequence: number, endsAt: number): Reading[] {
  const rows = Math.ceil(shape.readingsPerBatch / series.length);
  const first = firstReading(shape, sequence, endsAt).value;
  return Array.from({ length: shape.readingsPerBatch }, (_, place) => {
    const [name, unit] = series[place % series.length] ?? series[0];
    const row = Math.floor(place / series.length);
    return {
      series: name,
      unit,
      at: timeOf(shape, rows, row, endsAt),
      value: name === "sim.counter" ? first + row : wave(index, first + row, place % series.length),
      quality: "good",
    };
  });
}

function timeOf({ batchMs }: FleetShape, rows: number, row: number, endsAt: number): number {
  return Math.max(0, endsAt - (rows - 1 - row) * Math.max(1, Math.floor(batchMs / rows)));
}

/** Slow and noisy like a sensor, two decimals. */
function wave(index: number, turn: number, kind: number): number {
  const noise = (Math.imul(turn + 1, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 16;
  return Math.round((20 * kind + 5 * Math.sin(index + turn / 60) + noise / 65_536) * 100) / 100;
}
