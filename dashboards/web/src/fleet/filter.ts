/** The fleet table's order and its search. */
import type { NodeRow } from "@cairn/protocol";

/** By name, digits as numbers: a row keeps its place whatever its state becomes. */
export function inOrder(rows: readonly NodeRow[], locale: string): NodeRow[] {
  const collator = new Intl.Collator(locale, { numeric: true });
  return [...rows].sort(
    (one, other) => collator.compare(one.name, other.name) || collator.compare(one.nodeId, other.nodeId),
  );
}

/** Rows in which every word of the search occurs: in name, NodeId, operator, reason, or the state's word as it is shown. */
export function matching(rows: readonly NodeRow[], search: string, stateWord: (row: NodeRow) => string): NodeRow[] {
  const wanted = search
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  return rows.filter((row) => {
    const text = [row.name, row.nodeId, row.operator, row.stateReason, row.state, stateWord(row)]
      .join(" ")
      .toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}
