/** `/`: is the fleet earning, which epoch runs, and every node in one table. */
import type { EpochProgress, NodeRow } from "@cairn/protocol";
import { useRef } from "react";
import { Empty, ProblemNote, Skeleton } from "../parts/Absence.tsx";
import { Count } from "../parts/Amount.tsx";
import { Link } from "../parts/Link.tsx";
import { StateMark } from "../parts/Mark.tsx";
import { Age, useRest } from "../parts/Moment.tsx";
import { useLive, useNow, usePage } from "../parts/page-context.ts";
import { Sentence, Words } from "../parts/Sentence.tsx";
import { pages } from "../route.ts";
import { inOrder, matching } from "./filter.ts";
import { fleetNotes, fleetSentence } from "./fleet-sentence.ts";
import { Score, SlotLegend, SlotStrip } from "./SlotStrip.tsx";
import { stripWidth } from "./slots.ts";

export function FleetPage({ search }: { readonly search: string }) {
  const { words, locale } = usePage();
  const { fleet, network, problems } = useLive();
  if (fleet === null) {
    return (
      <>
        <Sentence title={words.fleet.title} phrase={[words.fleet.question]} />
        {problems.fleet === undefined ? <Skeleton rows={4} /> : <ProblemNote problem={problems.fleet} />}
      </>
    );
  }
  return (
    <>
      <Sentence title={words.fleet.title} phrase={fleetSentence(fleet, network, words, locale)} />
      <ul className="notes">
        {fleetNotes(fleet, network, words, locale).map((note) => (
          <li key={JSON.stringify(note)}>
            <Words phrase={note} />
          </li>
        ))}
      </ul>
      <EpochLine epoch={fleet.epoch} />
      {fleet.nodes.length === 0 ? (
        <Empty>
          <Words phrase={words.fleet.emptyHelp} />
        </Empty>
      ) : (
        <FleetTable rows={fleet.nodes} epoch={fleet.epoch} search={search} />
      )}
    </>
  );
}

function EpochLine({ epoch }: { readonly epoch: EpochProgress }) {
  const { words } = usePage();
  const now = useNow(1_000);
  const rest = useRest(epoch.closesAt);
  const length = epoch.closesAt - epoch.opensAt;
  const passed = Math.min(length, Math.max(0, now - epoch.opensAt));
  const slot = Math.min(epoch.slotCount, Math.floor((passed / length) * epoch.slotCount) + 1);
  const text =
    rest === null ? words.fleet.epochEnded(epoch.epoch) : words.fleet.epoch(epoch.epoch, slot, epoch.slotCount, rest);
  return (
    <div className="epoch-line">
      <progress max={length} value={passed} aria-label={text} />
      <span>{text}</span>
    </div>
  );
}

/** A strip up to this width, px, leaves room for the reason of a state. */
const shortStrip = 145;

type TableProperties = { readonly rows: readonly NodeRow[]; readonly epoch: EpochProgress; readonly search: string };

function FleetTable({ rows, epoch, search }: TableProperties) {
  const { go, locale, words } = usePage();
  const body = useRef<HTMLTableSectionElement>(null);
  const found = inOrder(
    matching(rows, search, (row) => words.states[row.state]),
    locale,
  );
  const { columns } = words.fleet;
  return (
    <>
      <div className="tools">
        <input
          type="search"
          className="search"
          value={search}
          placeholder={words.fleet.search}
          aria-label={words.fleet.search}
          onChange={(event) => go({ page: "fleet", search: event.target.value }, "replace")}
          onKeyDown={(event) => {
            if (event.key === "Escape") event.currentTarget.blur();
            if (event.key === "Enter" || event.key === "ArrowDown") body.current?.querySelector("a")?.focus();
          }}
        />
        <span className="quiet found">{search === "" ? "" : words.fleet.found(found.length, rows.length)}</span>
        <SlotLegend />
      </div>
      {found.length === 0 ? (
        <Empty>
          {words.fleet.notFound(search)} <Link to={pages.fleet}>{words.fleet.clearSearch}</Link>
        </Empty>
      ) : (
        <table className={`table fleet${stripWidth(epoch.slotCount) <= shortStrip ? " has-short-strips" : ""}`}>
          <thead>
            <tr>
              <th scope="col" className="column-node">
                {columns.node}
              </th>
              <th scope="col">{columns.state}</th>
              <th scope="col" className="column-heard right">
                {columns.heard}
              </th>
              <th scope="col" className="column-slots">
                {columns.slots}
              </th>
              <th scope="col" className="column-rate right">
                {columns.rate}
              </th>
              <th scope="col" className="column-number right">
                {columns.stored}
              </th>
              <th scope="col" className="column-number right">
                {columns.refused}
              </th>
            </tr>
          </thead>
          <tbody ref={body}>
            {found.map((row) => (
              <FleetRow key={row.nodeId} row={row} epoch={epoch} />
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

function FleetRow({ row, epoch }: { readonly row: NodeRow; readonly epoch: EpochProgress }) {
  const { words } = usePage();
  const { columns } = words.fleet;
  const slotMs = (epoch.closesAt - epoch.opensAt) / Math.max(1, epoch.slotCount);
  return (
    <tr data-node={row.nodeId}>
      <th scope="row" className="cell-node">
        <Link to={{ page: "node", nodeId: row.nodeId, range: "5m" }} className="row-link">
          {row.name}
        </Link>{" "}
        <code className="quiet" title={row.nodeId}>
          {row.nodeId.slice(0, 8)}
        </code>
      </th>
      <td className="cell-state">
        <StateMark state={row.state} reason={row.stateReason} />
        <span className="since">
          {row.stateSince === null ? null : (
            <span className="quiet">
              <Words phrase={words.fleet.since({ kind: "time", at: row.stateSince })} />
            </span>
          )}
          {row.stateReason === "" || row.state === "online" || row.state === "unheard" ? null : (
            <span className="quiet reason" lang="en" title={row.stateReason}>
              {row.stateReason}
            </span>
          )}
        </span>
      </td>
      <td className="cell-heard right" data-label={columns.heard}>
        <span title={row.lastHeardBy === null ? undefined : words.fleet.heardBy(row.lastHeardBy)}>
          <Age at={row.lastHeardAt} />
        </span>
      </td>
      <td className="cell-slots">
        <span className="strip-line">
          <SlotStrip epoch={epoch.epoch} slots={row.slots} opensAt={epoch.opensAt} slotMs={slotMs} />
          <Score slots={row.slots} />
        </span>
      </td>
      <td className="cell-number right" data-label={columns.rate}>
        <Count value={row.readingsPerMinute} digits={1} />
      </td>
      <td className="cell-number right" data-label={columns.stored}>
        <Count value={row.readingsStored} />
      </td>
      <td className={`cell-number right${row.rejections === 0 ? " none" : ""}`} data-label={columns.refused}>
        <Count value={row.rejections} />
      </td>
    </tr>
  );
}
