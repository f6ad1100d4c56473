/**
 * The reward rule (architecture, section 5). Node n of an epoch with budget B earns
 *
 *     B x [ (1 - w) x U_n / sum U  +  w x W_n / sum W ]
 *
 * U_n = attested share of the non-void slots (0 under the floor) x evidence-level weight x co-location share, W_n = accepted work units.
 * All integers: both fractions are brought onto one denominator, each node gets the floor of its share, and the units that rounding
 * left over go one each to the largest remainders (Hamilton's method; equal remainders by ascending NodeId), so that the sum of the
 * amounts is exactly what is paid out. A part of the budget for which nobody has a claim (sum U or sum W zero) is not minted.
 */
import type { EvidenceLevel, NodeId } from "@cairn/protocol";
import type { RewardParameters } from "../model.ts";

const whole = 10_000n;

export type Claimant = {
  readonly nodeId: NodeId;
  readonly slotsAttested: number;
  /** Slots that count: the epoch's slots less the void ones. The same for all claimants of an epoch. */
  readonly slotsCounted: number;
  readonly evidenceLevel: EvidenceLevel;
  /** Share of a site that this node represents, basis points: 10,000 where it stands alone. */
  readonly coLocationBps: number;
  readonly workUnits: number;
};

/** Amounts in smallest token units by NodeId; their sum never exceeds the budget. Throws RangeError on impossible input. */
export function rewards(claimants: readonly Claimant[], parameters: RewardParameters): Map<NodeId, bigint> {
  const { epochBudget, workShareBps } = parameters;
  const uptimes = claimants.map((claimant) => uptimeWeight(claimant, parameters));
  const works = claimants.map(({ workUnits }) => natural(workUnits, "workUnits"));
  const uptimeSum = sum(uptimes);
  const workSum = sum(works);
  const workShare = natural(workShareBps, "workShareBps");
  if (workShare > whole) throw new RangeError("workShareBps is above 10,000");

  // One denominator for both parts; a part without claimants drops out of numerators and of the sum alike.
  const uptimePart = uptimeSum > 0n ? whole - workShare : 0n;
  const workPart = workSum > 0n ? workShare : 0n;
  const uptimeScale = uptimePart * (workSum || 1n);
  const workScale = workPart * (uptimeSum || 1n);
  const denominator = whole * (uptimeSum || 1n) * (workSum || 1n);
  const numerators = uptimes.map(
    (uptime, index) => epochBudget * (uptime * uptimeScale + (works[index] ?? 0n) * workScale),
  );

  const total = (epochBudget * (uptimePart + workPart)) / whole;
  const shares = claimants.map(({ nodeId }, index) => {
    const numerator = numerators[index] ?? 0n;
    return { nodeId, amount: numerator / denominator, remainder: numerator % denominator };
  });
  let left = total - sum(shares.map(({ amount }) => amount));
  const amounts = new Map(shares.map(({ nodeId, amount }) => [nodeId, amount]));
  const byRemainder = shares
    .filter(({ remainder }) => remainder > 0n)
    .sort((a, b) => compare(b.remainder, a.remainder) || compare(a.nodeId, b.nodeId));
  for (const { nodeId, amount } of byRemainder) {
    if (left === 0n) break;
    amounts.set(nodeId, amount + 1n);
    left -= 1n;
  }
  return amounts;
}

/** U_n on a scale common to all nodes of the epoch: slots x weight x share, 0 under the floor. */
function uptimeWeight(claimant: Claimant, { uptimeFloorBps, evidenceWeightBps }: RewardParameters): bigint {
  const attested = natural(claimant.slotsAttested, "slotsAttested");
  const counted = natural(claimant.slotsCounted, "slotsCounted");
  if (attested > counted) throw new RangeError(`${attested} slots attested of ${counted} that count`);
  if (counted === 0n || attested * whole < counted * natural(uptimeFloorBps, "uptimeFloorBps")) return 0n;
  const weight = natural(evidenceWeightBps[claimant.evidenceLevel], "evidenceWeightBps");
  return attested * weight * natural(claimant.coLocationBps, "coLocationBps");
}

function natural(value: number, name: string): bigint {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${name} is not a natural number: ${value}`);
  return BigInt(value);
}

function sum(values: readonly bigint[]): bigint {
  return values.reduce((total, value) => total + value, 0n);
}

function compare<T extends bigint | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
