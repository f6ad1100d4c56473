/** `/refused`: what the network did not accept, by reason and newest first. */
import type { RejectionsView } from "@cairn/protocol";
import { Empty, ProblemNote, Skeleton } from "../parts/Absence.tsx";
import { Count } from "../parts/Amount.tsx";
import { Link } from "../parts/Link.tsx";
import { useLive, usePage } from "../parts/page-context.ts";
import { Refusals } from "../parts/Refusals.tsx";
import { Sentence } from "../parts/Sentence.tsx";
import { pages } from "../route.ts";

export function RefusedPage({ code }: { readonly code: string | null }) {
  const { words } = usePage();
  const { rejections, problems } = useLive();
  if (rejections === null) {
    return (
      <>
        <Sentence title={words.refused.title} phrase={[words.refused.title]} />
        {problems.rejections === undefined ? <Skeleton rows={6} /> : <ProblemNote problem={problems.rejections} />}
      </>
    );
  }
  const byCount = Object.entries(rejections.byCode)
    .filter(([, count]) => count > 0)
    .sort(([, one], [, other]) => other - one);
  const [worst] = byCount;
  if (worst === undefined) {
    return (
      <>
        <Sentence title={words.refused.title} phrase={words.refused.none} />
        <Empty>{words.refused.noneHelp}</Empty>
      </>
    );
  }
  const entries = code === null ? rejections.latest : rejections.latest.filter((entry) => entry.code === code);
  return (
    <>
      <Sentence
        title={words.refused.title}
        phrase={words.refused.sentence(rejections.total, byCount.length, worst[0], worst[1])}
      />
      <section aria-labelledby="by-code">
        <h2 id="by-code">{words.refused.byCode}</h2>
        <ByCode counts={byCount} latest={rejections.latest} chosen={code} />
      </section>
      <section aria-labelledby="latest">
        <div className="section-head">
          <h2 id="latest">{code === null ? words.refused.latest : words.refused.latestOf(code)}</h2>
          {code === null ? null : <Link to={pages.refused}>{words.refused.all}</Link>}
        </div>
        {entries.length === 0 ? <Empty>{words.refused.noneOfCode}</Empty> : <Refusals entries={entries} />}
      </section>
    </>
  );
}

type ByCodeProperties = {
  readonly counts: readonly (readonly [code: string, count: number])[];
  readonly latest: RejectionsView["latest"];
  readonly chosen: string | null;
};

function ByCode({ counts, latest, chosen }: ByCodeProperties) {
  const { words } = usePage();
  const { columns } = words.refused;
  return (
    <table className="table by-code">
      <thead>
        <tr>
          <th scope="col">{columns.code}</th>
          <th scope="col" className="right">
            {columns.count}
          </th>
          <th scope="col">{columns.meaning}</th>
          <th scope="col">{columns.remedy}</th>
        </tr>
      </thead>
      <tbody>
        {counts.map(([code, count]) => {
          const known = latest.find((entry) => entry.code === code);
          return (
            <tr key={code} className={code === chosen ? "chosen" : undefined}>
              <th scope="row">
                <Link to={{ page: "refused", code }} current={code === chosen}>
                  <code>{code}</code>
                </Link>
              </th>
              <td className="right">
                <Count value={count} />
              </td>
              <td lang="en">{known?.sentence ?? "–"}</td>
              <td lang="en" className="quiet">
                {known?.remedy ?? "–"}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
