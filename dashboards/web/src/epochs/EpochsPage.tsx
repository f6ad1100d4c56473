/** `/epochs`: what was minted, epoch by epoch, down to each operator's claim. */
import type { EpochRow } from "@cairn/protocol";
import { Fragment } from "react";
import { Empty, ProblemNote, Skeleton } from "../parts/Absence.tsx";
import { Amount, Count } from "../parts/Amount.tsx";
import { Hash } from "../parts/Hash.tsx";
import { EpochMark } from "../parts/Mark.tsx";
import { Moment, useRest } from "../parts/Moment.tsx";
import { useLive, usePage } from "../parts/page-context.ts";
import { Sentence, Words } from "../parts/Sentence.tsx";
import type { Messages } from "../words/messages.ts";
import type { Phrase, Piece } from "../words/phrases.ts";
import { type Totals, totalsOf } from "./totals.ts";

const columnCount = 9;

export function EpochsPage({ open }: { readonly open: number | null }) {
  const { words } = usePage();
  const { epochs, network, problems } = useLive();
  if (epochs === null) {
    return (
      <>
        <Sentence title={words.epochs.title} phrase={[words.epochs.title]} />
        {problems.epochs === undefined ? <Skeleton rows={6} /> : <ProblemNote problem={problems.epochs} />}
      </>
    );
  }
  if (epochs.length === 0) {
    return (
      <>
        <Sentence title={words.epochs.title} phrase={words.epochs.empty} />
        <FirstEpoch />
      </>
    );
  }
  const totals = totalsOf(epochs);
  return (
    <>
      <Sentence title={words.epochs.title} phrase={totalsSentence(totals, network?.token.symbol ?? "", words)} />
      <ul className="notes">
        {totals.waiting === 0 ? null : (
          <li>
            <Words phrase={words.epochs.waiting(totals.waiting)} />
          </li>
        )}
        {totals.void === 0 ? null : (
          <li>
            <Words phrase={words.epochs.voided(totals.void)} />
          </li>
        )}
      </ul>
      <EpochTable epochs={epochs} open={open} />
    </>
  );
}

function totalsSentence(totals: Totals, symbol: string, words: Messages): Phrase {
  const amount = (smallest: string): Piece => ({ kind: "amount", smallest });
  if (totals.posted === 0) return words.epochs.nonePosted;
  if (totals.unclaimed === "0") return words.epochs.allClaimed(amount(totals.amount), symbol, totals.posted);
  return words.epochs.someClaimed(
    amount(totals.amount),
    symbol,
    totals.posted,
    amount(totals.claimed),
    amount(totals.unclaimed),
  );
}

function FirstEpoch() {
  const { words } = usePage();
  const epoch = useLive().fleet?.epoch;
  const rest = useRest(epoch?.closesAt ?? 0);
  return (
    <Empty>
      {epoch === undefined || rest === null ? words.epochs.emptyHelpEnded : words.epochs.emptyHelp(epoch.epoch, rest)}
    </Empty>
  );
}

function EpochTable({ epochs, open }: { readonly epochs: readonly EpochRow[]; readonly open: number | null }) {
  const { words } = usePage();
  const { columns } = words.epochs;
  return (
    <table className="table epochs">
      <thead>
        <tr>
          <th scope="col">{columns.epoch}</th>
          <th scope="col">{columns.time}</th>
          <th scope="col">{columns.state}</th>
          <th scope="col" className="right">
            {columns.nodes}
          </th>
          <th scope="col" className="right">
            {columns.slots}
          </th>
          <th scope="col" className="right">
            {columns.void}
          </th>
          <th scope="col" className="right">
            {columns.tokens}
          </th>
          <th scope="col">{columns.transaction}</th>
          <th scope="col">{columns.claims}</th>
        </tr>
      </thead>
      <tbody>
        {epochs.map((row) => (
          <Fragment key={row.epoch}>
            <Row row={row} opened={row.epoch === open} />
            {row.epoch === open ? <Opened row={row} /> : null}
          </Fragment>
        ))}
      </tbody>
    </table>
  );
}

function Row({ row, opened }: { readonly row: EpochRow; readonly opened: boolean }) {
  const { go, locale, words } = usePage();
  const { columns } = words.epochs;
  const number = new Intl.NumberFormat(locale);
  return (
    <tr data-epoch={row.epoch} className={opened ? "opened" : undefined}>
      <th scope="row" className="cell-epoch number" data-label={columns.epoch}>
        {row.epoch}
      </th>
      <td className="cell-time">
        <Moment at={row.opensAt} precision="minute" /> – <Moment at={row.closedAt} precision="minute" />
      </td>
      <td className="cell-state">
        <EpochMark state={row.state} />
      </td>
      <td className="right" data-label={columns.nodes}>
        <Count value={row.nodes} />
      </td>
      <td className="right number" data-label={columns.slots}>
        {words.epochs.slots(number.format(row.slotsCredited), number.format(row.slotsExpected))}
      </td>
      <td className={`right${row.slotsVoid === 0 ? " none" : ""}`} data-label={columns.void}>
        <Count value={row.slotsVoid} />
      </td>
      <td className="right cell-amount" data-label={columns.tokens}>
        <Amount smallest={row.total} />
      </td>
      <td className="cell-transaction" data-label={columns.transaction}>
        {row.transaction === null ? (
          <span className="quiet">{words.epochs.notYet}</span>
        ) : (
          <Hash value={row.transaction} />
        )}
      </td>
      <td className="cell-claims">
        {row.claims.length === 0 ? (
          <span className="quiet">{words.epochs.noClaims}</span>
        ) : (
          <button
            type="button"
            className="unfold"
            aria-expanded={opened}
            aria-controls={`claims-${row.epoch}`}
            onClick={() => go({ page: "epochs", open: opened ? null : row.epoch }, "replace")}
          >
            {words.epochs.claims(row.claims.length)}
          </button>
        )}
      </td>
    </tr>
  );
}

function Opened({ row }: { readonly row: EpochRow }) {
  const { words } = usePage();
  const { claimColumns } = words.epochs;
  return (
    <tr id={`claims-${row.epoch}`} className="opened-part">
      <td colSpan={columnCount}>
        <table className="table claims">
          <thead>
            <tr>
              <th scope="col">{claimColumns.operator}</th>
              <th scope="col" className="right">
                {claimColumns.amount}
              </th>
              <th scope="col">{claimColumns.transaction}</th>
            </tr>
          </thead>
          <tbody>
            {row.claims.map((claim) => (
              <tr key={claim.operator}>
                <td>
                  <Hash value={claim.operator} head={10} tail={6} />
                </td>
                <td className="right" data-label={claimColumns.amount}>
                  <Amount smallest={claim.amount} />
                </td>
                <td data-label={claimColumns.transaction}>
                  {claim.transaction === null ? (
                    <span className="quiet">{words.epochs.unclaimed}</span>
                  ) : (
                    <Hash value={claim.transaction} />
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        <dl className="facts">
          {row.root === null ? null : (
            <div>
              <dt>{words.epochs.root}</dt>
              <dd>
                <Hash value={row.root} head={10} tail={6} />
              </dd>
            </div>
          )}
          <div>
            <dt>{words.epochs.evidenceHash}</dt>
            <dd>
              <Hash value={row.evidence} head={10} tail={6} />
            </dd>
          </div>
        </dl>
      </td>
    </tr>
  );
}
