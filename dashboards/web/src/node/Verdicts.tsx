/** The evidence of one node: a strip per epoch, and each slot's verdict with its reason. */
import type { EpochProgress, SlotState, SlotVerdictView } from "@cairn/protocol";
import { useState } from "react";
import { Score, SlotLegend, SlotStrip } from "../fleet/SlotStrip.tsx";
import { Empty } from "../parts/Absence.tsx";
import { Count } from "../parts/Amount.tsx";
import { Moment } from "../parts/Moment.tsx";
import { usePage } from "../parts/page-context.ts";
import { type Run, runsOf } from "./runs.ts";

const fewEpochs = 8;
const fewRuns = 8;

type Properties = {
  readonly verdicts: readonly SlotVerdictView[];
  readonly slotMs: number;
  /** The running epoch and its slots, those ahead included. */
  readonly running: EpochProgress | undefined;
  readonly slots: readonly SlotState[];
};

export function Verdicts({ verdicts, slotMs, running, slots }: Properties) {
  const { words } = usePage();
  const [all, setAll] = useState(false);
  const runs = runsOf(verdicts);
  const epochs = [...Map.groupBy(verdicts, ({ epoch }) => epoch)].sort(([one], [other]) => other - one);
  if (runs.length === 0) {
    return (
      <Empty>
        {words.node.noVerdicts} {words.node.noVerdictsHelp}
      </Empty>
    );
  }
  const { verdicts: columns } = words.node;
  const shownEpochs = all ? epochs : epochs.slice(0, fewEpochs);
  const shown = all ? runs : runs.slice(0, fewRuns);
  return (
    <>
      <dl className="epoch-strips">
        {shownEpochs.map(([epoch, ofEpoch]) => (
          <div key={epoch}>
            <dt>{words.node.epochName(epoch)}</dt>
            <dd className="strip-line">
              {epoch === running?.epoch ? (
                <Strip epoch={epoch} opensAt={running.opensAt} slots={slots} slotMs={slotMs} />
              ) : (
                <PastStrip epoch={epoch} verdicts={ofEpoch} slotMs={slotMs} />
              )}
            </dd>
          </div>
        ))}
      </dl>
      <SlotLegend />
      <table className="table verdicts">
        <thead>
          <tr>
            <th scope="col">{columns.time}</th>
            <th scope="col" className="right">
              {columns.slots}
            </th>
            <th scope="col">{columns.state}</th>
            <th scope="col">{columns.reason}</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((run) => (
            <tr key={run.first.slot}>
              <td>
                <Moment at={run.first.opensAt} /> – <Moment at={run.last.opensAt + slotMs} />
              </td>
              <td className="right" data-label={columns.slots}>
                <Count value={run.count} />
              </td>
              <td className={`slot-word is-${run.state}`}>{words.slots[run.state]}</td>
              <Reason run={run} />
            </tr>
          ))}
        </tbody>
      </table>
      {runs.length > fewRuns || epochs.length > fewEpochs ? (
        <button type="button" onClick={() => setAll(!all)}>
          {all ? words.showLess : words.node.showWhole}
        </button>
      ) : null}
    </>
  );
}

/** How soon the slots were answered; where they were not, or do not count all the same, the coordinator's reason. */
function Reason({ run }: { readonly run: Run }) {
  const { locale, words } = usePage();
  const { answeredAfter } = run;
  if (answeredAfter === null || run.state === "void") {
    return (
      <td className="reason" lang="en">
        {run.reason}
      </td>
    );
  }
  const seconds = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const least = seconds.format(answeredAfter.least / 1_000);
  const most = seconds.format(answeredAfter.most / 1_000);
  return (
    <td className="reason" title={run.last.reason}>
      {words.node.acceptedAfter(least === most ? least : words.node.fromTo(least, most))}
    </td>
  );
}

type StripProperties = {
  readonly epoch: number;
  readonly opensAt: number;
  readonly slots: readonly SlotState[];
  readonly slotMs: number;
};

function Strip(properties: StripProperties) {
  return (
    <>
      <SlotStrip {...properties} />
      <Score slots={properties.slots} />
    </>
  );
}

type PastProperties = Pick<Properties, "verdicts" | "slotMs"> & { readonly epoch: number };

function PastStrip({ epoch, verdicts, slotMs }: PastProperties) {
  const ordered = [...verdicts].sort((one, other) => one.slot - other.slot);
  const slots = ordered.map(({ state }) => state);
  return <Strip epoch={epoch} opensAt={ordered[0]?.opensAt ?? 0} slots={slots} slotMs={slotMs} />;
}
