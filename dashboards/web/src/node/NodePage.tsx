/** `/nodes/{id}`: does this node earn, what does it measure, what was judged, what was refused, what did it get. */
import type { NodeView } from "@cairn/protocol";
import { countSlots, type Rules, standingOf } from "../fleet/earning.ts";
import { floorWords, nodePiece, quotePiece, timePiece } from "../fleet/fleet-sentence.ts";
import { scoreOf } from "../fleet/slots.ts";
import { Empty, ProblemNote, Skeleton } from "../parts/Absence.tsx";
import { Link } from "../parts/Link.tsx";
import { StateMark } from "../parts/Mark.tsx";
import { Age } from "../parts/Moment.tsx";
import { useLive, usePage } from "../parts/page-context.ts";
import { Refusals } from "../parts/Refusals.tsx";
import { Sentence } from "../parts/Sentence.tsx";
import { type Range, rangeNames } from "../route.ts";
import type { Messages } from "../words/messages.ts";
import type { Phrase, Piece } from "../words/phrases.ts";
import { Identity } from "./Identity.tsx";
import { Plot } from "./Plot.tsx";
import { Rewards } from "./Rewards.tsx";
import { Verdicts } from "./Verdicts.tsx";

export function NodePage({ nodeId, range }: { readonly nodeId: string; readonly range: Range }) {
  const { words } = usePage();
  const { node, problems } = useLive();
  return (
    <>
      {node !== null ? (
        <Known node={node} nodeId={nodeId} range={range} />
      ) : problems.node === undefined ? (
        <>
          <Sentence title={nodeId} phrase={[nodeId.slice(0, 8)]} />
          <Skeleton rows={8} />
        </>
      ) : (
        <ProblemNote
          problem={problems.node}
          remedy={problems.node.status === 404 ? words.node.notEnrolled : undefined}
        />
      )}
    </>
  );
}

type KnownProperties = { readonly node: NodeView; readonly nodeId: string; readonly range: Range };

function Known({ node, nodeId, range }: KnownProperties) {
  const { locale, words } = usePage();
  const { fleet, network, plots, problems } = useLive();
  const { row } = node;
  const series = [...node.series].sort((one, other) => one.series.localeCompare(other.series));
  const epoch = fleet?.epoch;
  const slotMs = network?.slotMs ?? (epoch === undefined ? 0 : (epoch.closesAt - epoch.opensAt) / epoch.slotCount);
  return (
    <>
      <Sentence title={row.name} phrase={nodeSentence(node, network, words, locale)} />
      <p className="node-line">
        <StateMark state={row.state} reason={row.stateReason} />
        <code className="quiet" title={row.nodeId}>
          {row.nodeId.slice(0, 8)}
        </code>
        <span>
          {words.fleet.columns.heard}: <Age at={row.lastHeardAt} />
        </span>
      </p>
      {row.state === "unheard" ? <Empty>{words.node.unheardHelp}</Empty> : null}

      <section aria-labelledby="readings">
        <div className="section-head">
          <h2 id="readings">{words.node.readings}</h2>
          <nav className="ranges" aria-label={words.node.range}>
            {rangeNames.map((name) => (
              <Link key={name} to={{ page: "node", nodeId, range: name }} current={name === range}>
                {words.node.ranges[name]}
              </Link>
            ))}
          </nav>
        </div>
        {problems.readings === undefined ? null : <ProblemNote problem={problems.readings} />}
        {series.length === 0 ? (
          <Empty>
            {words.node.noSeries} {words.node.noSeriesHelp}
          </Empty>
        ) : (
          <>
            <div className="plots">
              {series.map((newest) => (
                <Plot
                  key={newest.series}
                  newest={newest}
                  columns={plots[newest.series]}
                  range={range}
                  slotMs={slotMs}
                />
              ))}
            </div>
            <p className="quiet plot-key">
              {words.node.gapKey}; {words.node.badKey}
            </p>
          </>
        )}
      </section>

      <div className="halves">
        <section aria-labelledby="evidence">
          <h2 id="evidence">{words.node.evidence}</h2>
          <Verdicts verdicts={node.verdicts} slotMs={slotMs} running={epoch} slots={row.slots} />
        </section>
        <div>
          <section aria-labelledby="identity">
            <h2 id="identity">{words.node.identity}</h2>
            <Identity node={node} />
          </section>
          <section aria-labelledby="rewards">
            <h2 id="rewards">{words.node.rewards}</h2>
            <Rewards node={node} />
          </section>
        </div>
      </div>

      <section aria-labelledby="refused">
        <h2 id="refused">{words.node.refused}</h2>
        {node.rejections.length === 0 ? (
          <Empty>{words.node.noRefused}</Empty>
        ) : (
          <Refusals entries={node.rejections} ofNode />
        )}
      </section>
    </>
  );
}

function nodeSentence(node: NodeView, rules: Rules, words: Messages, locale: string): Phrase {
  const { row } = node;
  const who: Piece = row.name === "" ? nodePiece({ ...row, name: row.nodeId.slice(0, 8) }) : row.name;
  switch (standingOf(row, rules)) {
    case "earning": {
      const { credited, judged } = scoreOf(row.slots);
      return words.node.earning(
        who,
        words.states[row.state],
        timePiece(row.stateSince),
        words.node.credited(credited, judged),
      );
    }
    case "offline":
      return words.node.offline(who, timePiece(row.stateSince), quotePiece(row.stateReason));
    case "unheard":
      return words.node.unheard(who);
    case "under-floor":
      return words.node.underFloor(who, floorWords(rules, locale), countSlots(row.slots).missed);
  }
}
