/** States as shape and word: colour never stands alone. */
import type { EpochRow, NodeState } from "@cairn/protocol";
import { usePage } from "./page-context.ts";

const nodeShapes: Readonly<Record<NodeState, React.ReactNode>> = {
  online: <circle cx="6" cy="6" r="4.5" fill="currentColor" />,
  degraded: <path d="M6 1.2 11.2 10.6 0.8 10.6Z" fill="currentColor" />,
  offline: <path d="M2 2 10 10M10 2 2 10" stroke="currentColor" strokeWidth="2.4" fill="none" />,
  unheard: <circle cx="6" cy="6" r="4" stroke="currentColor" strokeWidth="1.6" strokeDasharray="2.2 1.9" fill="none" />,
};

/** `reason`: the coordinator's words, shown on hover. */
export function StateMark({ state, reason }: { readonly state: NodeState; readonly reason: string }) {
  const { words } = usePage();
  return (
    <span className={`mark is-${state}`} title={reason === "" ? undefined : reason}>
      <Shape>{nodeShapes[state]}</Shape>
      {words.states[state]}
    </span>
  );
}

const epochShapes: Readonly<Record<EpochRow["state"], React.ReactNode>> = {
  closed: <circle cx="6" cy="6" r="4" stroke="currentColor" strokeWidth="1.6" fill="none" />,
  posted: (
    <>
      <circle cx="6" cy="6" r="4" stroke="currentColor" strokeWidth="1.6" fill="none" />
      <path d="M6 2A4 4 0 0 0 6 10Z" fill="currentColor" />
    </>
  ),
  settled: <circle cx="6" cy="6" r="4.5" fill="currentColor" />,
  void: <path d="M1 2.5H11M1 6H11M1 9.5H11" stroke="currentColor" strokeWidth="1.6" fill="none" />,
};

export function EpochMark({ state }: { readonly state: EpochRow["state"] }) {
  const { words } = usePage();
  return (
    <span className={`mark is-${state}`}>
      <Shape>{epochShapes[state]}</Shape>
      {words.epochStates[state]}
    </span>
  );
}

function Shape({ children }: { readonly children: React.ReactNode }) {
  return (
    <svg className="shape" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
      {children}
    </svg>
  );
}
