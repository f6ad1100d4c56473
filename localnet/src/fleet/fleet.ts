/**
 * A fleet of simulated nodes in one process: the plan of a seed, carried out against real brokers with real signatures. For load, for
 * storms and for what must hold when everything else is killed. Its keys are known to all who know the seed: it is a simulation, and says so.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type BootId, type Network, type NodeId, topicsOf } from "@cairn/protocol";
import { type Agenda, createAgenda } from "./agenda.ts";
import type { BrokerAddress } from "./connection.ts";
import type { Journal } from "./journal.ts";
import { simulatedKey } from "./keys.ts";
import { backoffMs, type Login, SimulatedNode, type World } from "./node.ts";
import { type FleetShape, type Misdeed, outagesOf, planNodes, stormOf } from "./plan.ts";
import { chanceFor } from "./random.ts";
import { emptyTotals, Latencies, type Latency, type Misdeeds, type Totals } from "./tally.ts";
import { createTrust } from "./trust.ts";

export type FleetPlan = {
  readonly shape: FleetShape;
  readonly network: Network;
  /** At least one: nodes are spread over them and take the next one after a failure. */
  readonly brokers: readonly BrokerAddress[];
  /** PEM of the authority to trust with mqtts. */
  readonly ca?: Buffer;
  /** For external brokers; without it a node shows the token that the embedded broker wants. Asked before every connection; may throw. */
  readonly login?: (nodeId: string) => Login;
  /** Counter of the nodes' boot: more than in any earlier run of this seed against the same ledger. By default the unix seconds now. */
  readonly boot?: number;
  readonly window?: number;
  readonly keepaliveSeconds?: number;
  /** Delay before what was not receipted is sent again, doubled from floor to ceiling; by default that of cairn-node. */
  readonly receiptBackoff?: { readonly floorMs: number; readonly ceilingMs: number };
  /** Share of the receipts whose signature is verified, 0 to 1. */
  readonly verifiedShare?: number;
  readonly journal?: Pick<Journal, "write">;
};

export type FleetNode = {
  readonly index: number;
  readonly nodeId: NodeId;
  readonly boot: BootId;
  readonly site: number;
  readonly misdeed: Misdeed | undefined;
};

export type FleetCounts = {
  readonly nodes: number;
  readonly connected: number;
  readonly honest: Totals;
  /** Batches of honest nodes without a receipt, and their readings. */
  readonly backlogBatches: number;
  readonly backlogReadings: number;
  /** From a batch's first sending to its receipt, honest nodes, since the start. */
  readonly latencyMs: Latency;
  readonly misbehaving: Totals & { readonly nodes: number; readonly connected: number; readonly misdeeds: Misdeeds };
};

export type FleetInterval = {
  readonly seconds: number;
  readonly before: FleetCounts;
  readonly now: FleetCounts;
  readonly latencyMs: Latency;
};

export type Fleet = {
  readonly nodes: readonly FleetNode[];
  counts(): FleetCounts;
  /** What happened since the last call, or the start. */
  interval(): FleetInterval;
  /** Ends connections without a word; each node comes back within `jitterMs`, spread evenly. Returns how many there were. */
  dropConnections(filter?: (node: FleetNode) => boolean, jitterMs?: number): number;
  /** Takes the uplink from a site, beside its planned outages, and gives it back. */
  pauseSite(site: number): void;
  resumeSite(site: number): void;
  /** No more batches, outages and storms; resolves when honest nodes have a receipt for everything, or after `ms`. */
  settle(ms: number): Promise<FleetCounts>;
  /** Every node says goodbye; resolves when the connections are gone. */
  stop(): Promise<void>;
};

const uplinkRules = { graceMs: 1_500, refusals: 3 };
const defaults = {
  window: 8,
  keepaliveSeconds: 15,
  verifiedShare: 1,
  receiptBackoff: { floorMs: 5_000, ceilingMs: 60_000 },
};
/** A site's nodes come back from an outage within this time. */
const returnMs = 2_000;
const goodbyeMs = 500;
/** Keys made before the process looks at anything else. */
const keysAtOnce = 250;

/** Makes the keys (some 80 µs each) and lets the fleet begin. Rejects with what `login` throws. */
export async function startFleet(plan: FleetPlan): Promise<Fleet> {
  const { shape, network, receiptBackoff = defaults.receiptBackoff } = plan;
  const plans = planNodes(shape);
  const keys = await makeKeys(shape);
  // Once for all: a login that is missing refuses the start.
  for (const { nodeId } of keys) plan.login?.(nodeId);
  const [startedAt, begunAt] = [Date.now(), performance.now()];
  const elapsed = () => performance.now() - begunAt;
  let measuring = true;
  const chance = chanceFor(shape.seed, "live", plan.boot ?? 0);
  const agenda: Agenda = createAgenda(elapsed);
  const sinceStart = new Latencies();
  const sinceReport = new Latencies();
  const misdeeds: Misdeeds = {};
  const topics = topicsOf(network.network);

  const world: World = {
    shape,
    network: network.network,
    topics,
    brokers: plan.brokers,
    ca: plan.ca,
    login: (nodeId) => plan.login?.(nodeId),
    bootCount: plan.boot ?? Math.floor(startedAt / 1_000),
    keepaliveSeconds: plan.keepaliveSeconds ?? defaults.keepaliveSeconds,
    rules: {
      ...uplinkRules,
      window: plan.window ?? defaults.window,
      readingsPerBatch: shape.readingsPerBatch,
      backoff: (attempt) => backoffMs(attempt, receiptBackoff.floorMs, receiptBackoff.ceilingMs, chance()),
    },
    trust: createTrust(network, plan.verifiedShare ?? defaults.verifiedShare, chance),
    agenda,
    elapsed,
    startedAt,
    chance,
    forger: simulatedKey(shape.seed, shape.nodes).sign,
    latencies: [sinceStart, sinceReport],
    misdeeds,
    journal: plan.journal,
    foreignTopic: (index) => topics.node(keys[(index + 1) % keys.length]?.nodeId ?? ("" as NodeId), "batch"),
    isMeasuring: () => measuring,
  };
  const honest = emptyTotals();
  const misbehaving = emptyTotals();
  const simulated = plans.flatMap((each) => {
    const key = keys[each.index];
    return key ? [new SimulatedNode(each, key, world, each.misdeed === undefined ? honest : misbehaving)] : [];
  });
  const described = simulated.map(
    ({ plan: { index, site, misdeed }, key: { nodeId }, boot }): FleetNode => ({ index, nodeId, boot, site, misdeed }),
  );
  /** How many reasons keep each site away. */
  const held = new Map<number, number>();

  function holdSite(site: number): void {
    held.set(site, (held.get(site) ?? 0) + 1);
    if (held.get(site) === 1) for (const node of simulated) if (node.plan.site === site) node.leave();
  }

  function releaseSite(site: number): void {
    const reasons = held.get(site) ?? 0;
    if (reasons === 0) return;
    held.set(site, reasons - 1);
    if (reasons === 1) for (const node of simulated) if (node.plan.site === site) node.comeBack(chance() * returnMs);
  }

  function scheduleOutages(site: number): void {
    const outages = outagesOf(shape, site);
    const next = () => {
      const { value: outage } = outages.next();
      if (!outage || !measuring) return;
      agenda.at(outage.fromMs, () => {
        if (!measuring) return;
        holdSite(site);
        agenda.at(outage.toMs, () => {
          releaseSite(site);
          next();
        });
      });
    };
    next();
  }

  function scheduleStorm(number: number): void {
    const { atMs, away } = stormOf(shape, number);
    agenda.at(atMs, () => {
      if (!measuring) return;
      for (const node of simulated) {
        const delayMs = away.get(node.plan.index);
        if (delayMs !== undefined) node.drop(delayMs);
      }
      scheduleStorm(number + 1);
    });
  }

  for (const node of simulated) node.start();
  for (let site = 0; site < shape.sites; site++) scheduleOutages(site);
  if (shape.stormEveryMs > 0) scheduleStorm(1);

  function counts(): FleetCounts {
    let [connected, connectedBad, backlogBatches, bad] = [0, 0, 0, 0];
    for (const node of simulated) {
      const isBad = node.plan.misdeed !== undefined;
      if (isBad) bad += 1;
      else backlogBatches += node.waiting;
      if (!node.isUp) continue;
      connected += 1;
      if (isBad) connectedBad += 1;
    }
    return {
      nodes: simulated.length,
      connected,
      honest: copied(honest),
      backlogBatches,
      backlogReadings: backlogBatches * shape.readingsPerBatch,
      latencyMs: sinceStart.figures(),
      misbehaving: { ...copied(misbehaving), nodes: bad, connected: connectedBad, misdeeds: { ...misdeeds } },
    };
  }

  let last = { atMs: elapsed(), counts: counts() };
  return {
    nodes: described,
    counts,
    interval() {
      const now = { atMs: elapsed(), counts: counts() };
      const interval = {
        seconds: (now.atMs - last.atMs) / 1_000,
        before: last.counts,
        now: now.counts,
        latencyMs: sinceReport.figures(),
      };
      last = now;
      sinceReport.clear();
      return interval;
    },
    dropConnections(filter = () => true, jitterMs = 0) {
      let dropped = 0;
      for (const [index, node] of simulated.entries()) {
        const wanted = described[index];
        if (wanted && filter(wanted) && node.drop(chance() * jitterMs)) dropped += 1;
      }
      return dropped;
    },
    pauseSite: holdSite,
    resumeSite: releaseSite,
    async settle(ms) {
      measuring = false;
      const until = elapsed() + ms;
      for (const site of held.keys()) while ((held.get(site) ?? 0) > 0) releaseSite(site);
      while (simulated.some((node) => node.plan.misdeed === undefined && node.waiting > 0) && elapsed() < until)
        await sleep(Math.min(100, Math.max(1, until - elapsed())));
      return counts();
    },
    async stop() {
      measuring = false;
      agenda.close();
      await Promise.race([Promise.all(simulated.map((node) => node.stop())), sleep(goodbyeMs)]);
      for (const node of simulated) node.leave();
    },
  };
}

function copied(totals: Totals): Totals {
  return { ...totals, refusals: { ...totals.refusals } };
}

async function makeKeys({ seed, nodes }: FleetShape) {
  const keys: ReturnType<typeof simulatedKey>[] = [];
  for (let index = 0; index < nodes; index++) {
    keys.push(simulatedKey(seed, index));
    if (index % keysAtOnce === keysAtOnce - 1) await new Promise((resolve) => setImmediate(resolve));
  }
  return keys;
}
