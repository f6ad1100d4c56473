/** What the twin of the coordinator says: a small valley fleet, computed from the time alone, in the shapes of the protocol. */
import {
  type EpochRow,
  type FleetView,
  type NetworkView,
  type NodeRow,
  type NodeView,
  type ReadingsView,
  type RejectionCode,
  type RejectionsView,
  type RejectionView,
  rejections as rejectionTexts,
  type SlotState,
  type SlotVerdictView,
} from "@cairn/protocol";

export type Script = {
  network: NetworkView;
  fleet: FleetView;
  readonly nodes: Map<string, NodeView>;
  epochs: EpochRow[];
  rejections: RejectionsView;
  readonly readings: (nodeId: string, series: string, from: number, to: number) => ReadingsView;
};

const slotMs = 10_000;
const slotsPerEpoch = 12;
const runningEpoch = 7;
const tokens = (whole: number, rest = "000000000000000000"): string =>
  whole === 0 ? String(BigInt(rest)) : `${whole}${rest}`;

const operators = ["0x70997970c51812dc3a010c7d01b50e0d17dc79c8", "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc"] as const;

function hex(seed: string, length: number): string {
  let state = 7;
  let text = "";
  for (let index = 0; index < length; index += 1) {
    state = (state * 31 + (seed.charCodeAt(index % seed.length) || 1) * (index + 1)) % 65_521;
    text += (state % 16).toString(16);
  }
  return text;
}

const seriesOf: readonly (readonly [series: string, unit: string, level: number, swing: number])[] = [
  ["environment.humidity", "%RH", 61, 4],
  ["environment.pressure", "Pa", 94_120, 60],
  ["environment.temperature", "Cel", 21.4, 1.8],
  ["host.load", "/", 0.37, 0.2],
  ["host.memory-used", "B", 2_930_000_000, 90_000_000],
  ["power.voltage", "V", 12.6, 0.25],
];

function measuredAt(series: string, at: number): number {
  const [, , level, swing] = seriesOf.find(([name]) => name === series) ?? ["", "", 0, 1];
  const phase = series.length * 1.7;
  const slow = Math.sin(at / 97_000 + phase) * 0.7;
  const fast = Math.sin(at / 6_100 + phase * 3) * 0.18 + Math.sin(at / 1_700 + phase) * 0.08;
  return Number((level + swing * (slow + fast)).toPrecision(7));
}

/** Whether a reading taken at `at` never reached the coordinator: a gap of 40 s, some minutes ago. */
function lost(at: number, now: number): boolean {
  return at > now - 190_000 && at < now - 150_000;
}

const slotPatterns: Readonly<Record<string, (index: number) => SlotState>> = {
  well: (index) => (index < 5 ? "credited" : index === 5 ? "answered" : "ahead"),
  open: (index) => (index < 5 ? "credited" : index === 5 ? "open" : "ahead"),
  limping: (index) => (index === 3 ? "missed" : index < 5 ? "credited" : index === 5 ? "open" : "ahead"),
  gone: (index) => (index < 2 ? "credited" : index < 5 ? "missed" : index === 5 ? "open" : "ahead"),
  never: (index) => (index < 5 ? "missed" : index === 5 ? "open" : "ahead"),
};

type Member = Pick<NodeRow, "name" | "state" | "stateReason" | "rejections" | "readingsPerMinute"> & {
  readonly operator: string;
  readonly slots: keyof typeof slotPatterns;
  /** Seconds before now; null for never. */
  readonly since: number | null;
  readonly heard: number | null;
};

const members: readonly Member[] = [
  {
    name: "mast-1",
    operator: operators[0],
    state: "online",
    stateReason: "answers every slot",
    since: 5_400,
    heard: 2,
    slots: "well",
    rejections: 0,
    readingsPerMinute: 360,
  },
  {
    name: "mast-2",
    operator: operators[0],
    state: "offline",
    stateReason: "its connection broke (last will)",
    since: 42,
    heard: 42,
    slots: "gone",
    rejections: 3,
    readingsPerMinute: 0,
  },
  {
    name: "mast-3",
    operator: operators[0],
    state: "degraded",
    stateReason: "no evidence for 1 slot, though its data arrives",
    since: 25,
    heard: 9,
    slots: "limping",
    rejections: 0,
    readingsPerMinute: 351.5,
  },
  {
    name: "mast-10",
    operator: operators[1],
    state: "online",
    stateReason: "answers every slot",
    since: 3_100,
    heard: 1,
    slots: "open",
    rejections: 9,
    readingsPerMinute: 360,
  },
];

/** The script at `now`, with the 6th slot of epoch 7 running for `intoSlotMs`. */
export function valley(now: number, intoSlotMs = 4_000): Script {
  const opensAt = now - 5 * slotMs - intoSlotMs;
  const genesisAt = opensAt - (runningEpoch - 1) * slotsPerEpoch * slotMs;
  const rows = members.map((member) => rowOf(member, now));
  const nodes = new Map(rows.map((row) => [row.nodeId, nodeOf(row, now, genesisAt)]));
  const latest = [...nodes.values()].flatMap((node) => node.rejections);
  const stranger = refusal(
    "key-unknown",
    now - 70_000,
    null,
    "NodeId 4be0c7d2a91f is not enrolled in network valley",
    41,
  );
  const all = [...latest, stranger];
  return {
    network: {
      network: "valley",
      chainId: 31_337,
      rewards: "0x5fbdb2315678afecb367f032d93f642f64180aa3",
      token: { address: "0xe7f1725e7734ce288f8367e1bb143e90bb3f0512", symbol: "CAIRN", decimals: 18 },
      verifiers: [operators[1]],
      slotMs,
      slotsPerEpoch,
      epochBudget: tokens(100),
      workShareBps: 5_000,
      uptimeFloorBps: 5_000,
      software: "cairn-coordinator 0.1.0",
    },
    fleet: {
      at: now,
      epoch: {
        epoch: runningEpoch,
        firstSlot: (runningEpoch - 1) * slotsPerEpoch,
        slotCount: slotsPerEpoch,
        opensAt,
        closesAt: opensAt + slotsPerEpoch * slotMs,
      },
      nodes: rows,
    },
    nodes,
    epochs: Array.from({ length: runningEpoch - 1 }, (_, index) => epochRow(runningEpoch - 1 - index, genesisAt)),
    rejections: {
      total: all.reduce((sum, { count }) => sum + count, 0),
      byCode: Object.fromEntries(
        [...Map.groupBy(all, ({ code }) => code)].map(([code, same]) => [
          code,
          same.reduce((sum, entry) => sum + entry.count, 0),
        ]),
      ),
      latest: all,
    },
    readings: (_nodeId, series, from, to) => readingsOf(series, from, to, now),
  };
}

function rowOf(member: Member, now: number): NodeRow {
  const pattern = slotPatterns[member.slots];
  return {
    nodeId: hex(member.name, 40),
    name: member.name,
    operator: member.operator,
    evidenceLevel: "software",
    state: member.state,
    stateSince: member.since === null ? null : now - member.since * 1_000,
    stateReason: member.stateReason,
    lastHeardAt: member.heard === null ? null : now - member.heard * 1_000,
    lastHeardBy: member.heard === null ? null : "batch",
    slots: Array.from({ length: slotsPerEpoch }, (_, index) => pattern?.(index) ?? "ahead"),
    readingsPerMinute: member.readingsPerMinute,
    readingsStored: member.heard === null ? 0 : 32_400 + member.name.length * 117,
    rejections: member.rejections,
  };
}

function nodeOf(row: NodeRow, now: number, genesisAt: number): NodeView {
  const lastAt = row.lastHeardAt ?? now;
  const epochs = Array.from({ length: runningEpoch - 1 }, (_, index) => index + 1);
  return {
    row,
    identity: {
      publicKey: `-----BEGIN PUBLIC KEY-----\n${hex(`${row.name}key`, 120)}\n-----END PUBLIC KEY-----\n`,
      algorithm: "ES256, P-256",
      enrolledAt: genesisAt - 60_000,
      boot: hex(`${row.name}boot`, 32),
      bootCount: 3,
      software: "cairn-node 0.1.0",
      profile: "linux-arm64-jetson-orin-nano",
      capabilities: ["sensor", "serial"],
      uptimeSeconds: 5_412,
    },
    series: seriesOf.map(([series, unit]) => ({
      series,
      unit,
      at: lastAt,
      value: measuredAt(series, lastAt),
      quality: "good",
    })),
    verdicts: verdictsOf(row, genesisAt),
    rejections:
      row.rejections === 0
        ? []
        : [
            refusal("signature-invalid", now - 33_000, row.nodeId, "batch 118 of boot 9f3c", row.rejections - 1),
            refusal("evidence-late", now - 160_000, row.nodeId, "slot 64 closed 812 ms before", 1),
          ],
    rewards: epochs.map((epoch) => ({
      epoch,
      slotsAttested: epoch === 4 ? 10 : epoch === 3 ? 11 : 12,
      slotsExpected: 12,
      slotsVoid: epoch === 3 ? 1 : 0,
      workUnits: 0,
      amount: tokens(epoch === 4 ? 23 : 25, epoch === 4 ? "809523809523809523" : undefined),
    })),
    earned: tokens(148, "809523809523809523"),
  };
}

function verdictsOf(row: NodeRow, genesisAt: number): SlotVerdictView[] {
  const reasons: Readonly<Record<SlotState, string>> = {
    credited: "Evidence with the slot's nonce arrived inside its window.",
    answered: "Evidence with the slot's nonce arrived; the slot is still running.",
    open: "The slot is running and no evidence came yet.",
    missed: "No evidence with the slot's nonce arrived inside its window.",
    void: "The verifier was not healthy in this slot, so it counts for nobody.",
    ahead: "The slot has not begun.",
  };
  const current = (runningEpoch - 1) * slotsPerEpoch + 5;
  return Array.from({ length: 60 }, (_, back) => {
    const slot = current - back;
    const epoch = Math.floor(slot / slotsPerEpoch) + 1;
    const state = epoch === runningEpoch ? (row.slots[slot % slotsPerEpoch] ?? "ahead") : stateBefore(slot);
    const opensAt = genesisAt + slot * slotMs;
    const answered = state === "credited" || state === "answered";
    return { epoch, slot, opensAt, state, answeredAt: answered ? opensAt + 730 : null, reason: reasons[state] };
  });
}

function stateBefore(slot: number): SlotState {
  if (slot === 27) return "void";
  return slot === 40 || slot === 41 ? "missed" : "credited";
}

function refusal(code: RejectionCode, at: number, nodeId: string | null, detail: string, count: number): RejectionView {
  const topic = nodeId === null ? "cairn/1/valley/node/4be0c7d2a91f/batch" : `cairn/1/valley/node/${nodeId}/batch`;
  return { at, nodeId, topic, code, ...rejectionTexts[code], detail, bytes: 12_412, count };
}

function epochRow(epoch: number, genesisAt: number): EpochRow {
  const settled = epoch < runningEpoch - 1;
  return {
    epoch,
    firstSlot: (epoch - 1) * slotsPerEpoch,
    slotCount: slotsPerEpoch,
    opensAt: genesisAt + (epoch - 1) * slotsPerEpoch * slotMs,
    closedAt: genesisAt + epoch * slotsPerEpoch * slotMs + 900,
    state: settled ? "settled" : "posted",
    nodes: 4,
    slotsCredited: epoch === 4 ? 46 : epoch === 3 ? 44 : 48,
    slotsExpected: epoch === 3 ? 44 : 48,
    slotsVoid: epoch === 3 ? 1 : 0,
    total: tokens(100),
    root: `0x${hex(`root${epoch}`, 64)}`,
    evidence: `0x${hex(`evidence${epoch}`, 64)}`,
    transaction: `0x${hex(`post${epoch}`, 64)}`,
    claims: [
      { operator: operators[0], amount: tokens(75), transaction: `0x${hex(`claim-a${epoch}`, 64)}` },
      { operator: operators[1], amount: tokens(25), transaction: settled ? `0x${hex(`claim-b${epoch}`, 64)}` : null },
    ],
  };
}

/** A reading a second; a gap of 40 s, and 20 s of readings that the node itself calls bad. */
function readingsOf(series: string, from: number, to: number, now: number): ReadingsView {
  const unit = seriesOf.find(([name]) => name === series)?.[1] ?? "";
  const stepMs = Math.max(1_000, Math.ceil((to - from) / 2_000 / 1_000) * 1_000);
  const view: ReadingsView = { series, unit, times: [], values: [], qualities: [] };
  for (let at = Math.ceil(from / stepMs) * stepMs; at <= to; at += stepMs) {
    if (lost(at, now) || at < now - 5 * 3_600_000) continue;
    view.times.push(at);
    view.values.push(measuredAt(series, at));
    view.qualities.push(series === "power.voltage" && at > now - 90_000 && at < now - 70_000 ? 2 : 0);
  }
  return view;
}
