/** What the launcher says about the network: lines in words and units, and the summary for machines. */
import type { Address, EpochRow, FleetView, HealthView, NetworkView } from "@cairn/protocol";
import { formatUnits } from "ethers";
import type { LocalNode } from "./nodes.ts";
import type { Shape } from "./shape.ts";

export type Token = NetworkView["token"];

/** An epoch that came to its end; void ones in a row are one piece of news. */
export type EpochNews =
  | { readonly kind: "settled"; readonly row: EpochRow }
  | { readonly kind: "void"; readonly first: number; readonly last: number };

/**
 * Which epochs of the list came to their end and are not in `told` yet, in order. Void ones in a row make one piece of news: after
 * a night at rest there are hundreds.
 */
export function epochNews(rows: readonly EpochRow[], told: ReadonlySet<number>): readonly EpochNews[] {
  const news: EpochNews[] = [];
  for (const row of rows) {
    if (told.has(row.epoch)) continue;
    const before = news.at(-1);
    if (row.state === "settled") news.push({ kind: "settled", row });
    else if (row.state === "void" && before?.kind === "void" && before.last === row.epoch - 1)
      news.splice(-1, 1, { ...before, last: row.epoch });
    else if (row.state === "void") news.push({ kind: "void", first: row.epoch, last: row.epoch });
  }
  return news;
}

function counted(count: number, one: string, many: string): string {
  return `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;
}

/** "100", "99.5": an amount of the smallest unit in whole tokens. */
export function amountText(amount: bigint | string, token: Token): string {
  return formatUnits(amount, token.decimals).replace(/\.0$/, "");
}

export function epochLine(news: EpochNews, token: Token): string {
  if (news.kind === "void") {
    if (news.first === news.last) return `epoch ${news.first} is void: no slot of it counts, nothing is paid`;
    return `epochs ${news.first} to ${news.last} are void: no slot of them counts, nothing is paid`;
  }
  const { epoch, nodes, slotsCredited, slotsExpected, slotsVoid, total, transaction } = news.row;
  const parts = [
    counted(nodes, "node", "nodes"),
    `${slotsCredited} of ${counted(slotsExpected, "slot", "slots")} credited`,
    ...(slotsVoid > 0 ? [`${counted(slotsVoid, "slot", "slots")} void, counted for nobody`] : []),
    `${amountText(total, token)} ${token.symbol}`,
    `transaction ${transaction ?? "unknown"}`,
  ];
  return `epoch ${epoch} settled: ${parts.join(", ")}`;
}

/** "1 min 5 s" */
export function durationText(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor((seconds % 3_600) / 60)];
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

export type Addresses = { readonly rpc: string; readonly broker: string; readonly web: string };

/** When the running epoch closes, and how to stop. */
export function progressLine({ at, epoch }: FleetView, shape: Shape): string {
  const cut = `${counted(shape.slotsPerEpoch, "slot", "slots")} of ${shape.slotSeconds} s`;
  return `epoch ${epoch.epoch} (${cut}) closes in ${durationText(Math.max(0, epoch.closesAt - at))}; Ctrl-C stops everything`;
}

/** One line per part, with its address. */
export function partLines(addresses: Addresses, blockNumber: number, nodes: readonly LocalNode[]): readonly string[] {
  const width = Math.max("coordinator".length, ...nodes.map(({ name }) => name.length));
  const line = (name: string, text: string) => `${name.padEnd(width)}  ${text}`;
  return [
    line("chain", `${addresses.rpc}, at block ${blockNumber}`),
    line("coordinator", `${addresses.broker} and ${addresses.web}/api/v1`),
    ...nodes.map(({ name, nodeId, operator }) => line(name, `node ${nodeId}, operator ${operator}`)),
    line("web page", addresses.web),
  ];
}

/** What `--json` prints. Amounts are decimal strings in whole tokens; sums are over the epochs of this run. */
export type Summary = {
  readonly network: string;
  readonly chainId: number;
  readonly nodes: readonly { readonly name: string; readonly nodeId: string; readonly operator: string }[];
  readonly epochs: readonly {
    readonly epoch: number;
    readonly nodes: number;
    readonly slotsCredited: number;
    readonly slotsExpected: number;
    readonly slotsVoid: number;
    readonly amount: string;
    readonly transaction: string | null;
    readonly claims: readonly {
      readonly operator: string;
      readonly amount: string;
      readonly transaction: string | null;
    }[];
  }[];
  readonly slotsCredited: number;
  readonly slotsExpected: number;
  readonly amount: string;
  readonly token: string;
  readonly transactions: readonly string[];
  /** What each operator holds on chain, of all runs. */
  readonly balances: readonly { readonly operator: string; readonly amount: string }[];
  /** Of all runs. */
  readonly readingsStored: number;
};

export type SummaryFacts = {
  readonly network: NetworkView;
  readonly nodes: readonly LocalNode[];
  readonly settled: readonly EpochRow[];
  readonly balances: readonly { readonly operator: Address; readonly amount: bigint }[];
  readonly health: HealthView;
};

export function summarise({ network, nodes, settled, balances, health }: SummaryFacts): Summary {
  const { token } = network;
  const sum = (of: (row: EpochRow) => number) => settled.reduce((total, row) => total + of(row), 0);
  return {
    network: network.network,
    chainId: network.chainId,
    nodes: nodes.map(({ name, nodeId, operator }) => ({ name, nodeId, operator })),
    epochs: settled.map((row) => ({
      epoch: row.epoch,
      nodes: row.nodes,
      slotsCredited: row.slotsCredited,
      slotsExpected: row.slotsExpected,
      slotsVoid: row.slotsVoid,
      amount: amountText(row.total, token),
      transaction: row.transaction,
      claims: row.claims.map((claim) => ({ ...claim, amount: amountText(claim.amount, token) })),
    })),
    slotsCredited: sum((row) => row.slotsCredited),
    slotsExpected: sum((row) => row.slotsExpected),
    amount: amountText(
      settled.reduce((total, row) => total + BigInt(row.total), 0n),
      token,
    ),
    token: token.symbol,
    transactions: settled.flatMap((row) =>
      [row.transaction, ...row.claims.map((claim) => claim.transaction)].filter((hash) => hash !== null),
    ),
    balances: balances.map(({ operator, amount }) => ({ operator, amount: amountText(amount, token) })),
    readingsStored: health.readingsStored,
  };
}

/** The summary for people. */
export function totalsLine(summary: Summary, elapsedMs: number): string {
  const stored = `${counted(summary.readingsStored, "reading", "readings")} stored`;
  if (summary.epochs.length === 0) return `no epoch settled in ${durationText(elapsedMs)}, ${stored}`;
  return [
    `${counted(summary.epochs.length, "epoch", "epochs")} settled in ${durationText(elapsedMs)}`,
    `${summary.slotsCredited} of ${counted(summary.slotsExpected, "slot", "slots")} credited`,
    `${summary.amount} ${summary.token}`,
    stored,
  ].join(", ");
}
