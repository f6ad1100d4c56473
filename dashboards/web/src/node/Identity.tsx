/** Who the node is and what it runs. */
import type { NodeView } from "@cairn/protocol";
import type { ReactNode } from "react";
import { Count } from "../parts/Amount.tsx";
import { Hash } from "../parts/Hash.tsx";
import { Duration, Moment } from "../parts/Moment.tsx";
import { usePage } from "../parts/page-context.ts";

export function Identity({ node }: { readonly node: NodeView }) {
  const { words } = usePage();
  const { row, identity } = node;
  const stated = (value: ReactNode): ReactNode => value ?? <span className="quiet">{words.unknown}</span>;
  const facts: readonly (readonly [label: string, value: ReactNode])[] = [
    [words.node.nodeId, <Hash key="id" value={row.nodeId} head={12} tail={6} />],
    [words.node.operator, <Hash key="operator" value={row.operator} head={10} tail={6} />],
    [words.node.algorithm, identity.algorithm],
    [words.node.evidenceLevel, words.evidenceLevels[row.evidenceLevel]],
    [words.node.software, stated(identity.software)],
    [words.node.profile, stated(identity.profile)],
    [words.node.capabilities, identity.capabilities.length === 0 ? stated(null) : identity.capabilities.join(", ")],
    [
      words.node.uptime,
      identity.uptimeSeconds === null ? stated(null) : <Duration key="up" ms={identity.uptimeSeconds * 1_000} />,
    ],
    [
      words.node.boot,
      identity.boot === null ? stated(null) : <Hash key="boot" value={identity.boot} head={8} tail={4} />,
    ],
    [
      words.node.bootCount,
      identity.bootCount === null ? stated(null) : <Count key="boots" value={identity.bootCount} />,
    ],
    [words.node.enrolled, <Moment key="enrolled" at={identity.enrolledAt} />],
  ];
  return (
    <dl className="facts">
      {facts.map(([label, value]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
