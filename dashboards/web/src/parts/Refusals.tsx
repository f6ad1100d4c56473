/** Refused inputs, newest first: what happened, what can be done, and the detail of each. */
import type { RejectionView } from "@cairn/protocol";
import { Count } from "./Amount.tsx";
import { Link } from "./Link.tsx";
import { Moment } from "./Moment.tsx";
import { useLive, usePage } from "./page-context.ts";

type Properties = {
  readonly entries: readonly RejectionView[];
  /** On a node's own page the column that names the node is left out. */
  readonly ofNode?: boolean;
};

export function Refusals({ entries, ofNode = false }: Properties) {
  const { locale, words } = usePage();
  const names = new Map(useLive().fleet?.nodes.map(({ nodeId, name }) => [nodeId, name]));
  const { columns } = words.refused;
  const newestFirst = [...entries].sort((one, other) => other.at - one.at);
  return (
    <table className="table refusals">
      <thead>
        <tr>
          <th scope="col">{columns.time}</th>
          {ofNode ? null : <th scope="col">{columns.node}</th>}
          <th scope="col">{columns.meaning}</th>
          <th scope="col" className="right">
            {columns.count}
          </th>
        </tr>
      </thead>
      <tbody>
        {newestFirst.map((entry) => (
          <tr key={`${entry.at} ${entry.nodeId} ${entry.code} ${entry.detail}`}>
            <td className="cell-time">
              <Moment at={entry.at} />
            </td>
            {ofNode ? null : (
              <td className="cell-node">
                {entry.nodeId === null ? (
                  <span className="quiet">{words.refused.noNode}</span>
                ) : (
                  <Link to={{ page: "node", nodeId: entry.nodeId, range: "5m" }} title={entry.nodeId}>
                    {names.get(entry.nodeId) ?? entry.nodeId.slice(0, 8)}
                  </Link>
                )}
              </td>
            )}
            <td className="cell-meaning">
              <span lang="en">
                {entry.sentence} <span className="quiet">{entry.remedy}</span>
              </span>
              <span className="detail quiet">
                <code>{entry.code}</code> <span lang="en">{entry.detail}</span>{" "}
                <code className="topic">{entry.topic}</code>{" "}
                {words.refused.bytes(new Intl.NumberFormat(locale).format(entry.bytes))}
              </span>
            </td>
            <td className="right" data-label={columns.count}>
              <Count value={entry.count} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
