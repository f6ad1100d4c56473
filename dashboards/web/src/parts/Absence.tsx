/** What stands where data will be, is not yet, or could not be got: skeleton, empty state, problem. */
import type { ReactNode } from "react";
import type { Problem } from "../live/state.ts";
import { usePage } from "./page-context.ts";

/** The outline of a table that is being loaded. */
export function Skeleton({ rows }: { readonly rows: number }) {
  return (
    <div className="skeleton" aria-hidden="true">
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: rows of an outline are all alike
        <div key={row} className="skeleton-row">
          <span />
          <span />
          <span />
        </div>
      ))}
    </div>
  );
}

export function Empty({ children }: { readonly children: ReactNode }) {
  return <p className="empty">{children}</p>;
}

/** An error of the coordinator in its own words, with what can be done about it. */
export function ProblemNote({ problem, remedy }: { readonly problem: Problem; readonly remedy?: string | undefined }) {
  const { feed, words } = usePage();
  const silent = problem.status === 0;
  const general = problem.status >= 500 ? words.problem.serverRemedy : words.problem.requestRemedy;
  return (
    <div className="problem" role="alert">
      <p className="problem-title" lang={silent ? undefined : "en"}>
        {silent ? words.problem.unreachable : problem.title}
      </p>
      <p lang={silent ? undefined : "en"}>{silent ? words.problem.unreachableDetail(problem.path) : problem.detail}</p>
      <p>{silent ? words.problem.unreachableRemedy : (remedy ?? general)}</p>
      <p className="problem-foot">
        <button type="button" onClick={feed.retry}>
          {words.tryAgain}
        </button>
        {silent ? null : <span className="quiet">{words.problem.status(problem.status, problem.path)}</span>}
      </p>
    </div>
  );
}
