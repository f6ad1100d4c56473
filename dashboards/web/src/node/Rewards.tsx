/** What the node earned, epoch by epoch. */
import type { NodeView } from "@cairn/protocol";
import { useState } from "react";
import { Empty } from "../parts/Absence.tsx";
import { Amount, Count } from "../parts/Amount.tsx";
import { Link } from "../parts/Link.tsx";
import { useLive, usePage } from "../parts/page-context.ts";
import { Words } from "../parts/Sentence.tsx";

const few = 8;

export function Rewards({ node }: { readonly node: NodeView }) {
  const { words } = usePage();
  const { network } = useLive();
  const [all, setAll] = useState(false);
  if (node.rewards.length === 0) {
    return (
      <Empty>
        {words.node.noRewards} {words.node.noRewardsHelp}
      </Empty>
    );
  }
  const newestFirst = [...node.rewards].sort((one, other) => other.epoch - one.epoch);
  const { rewardColumns: columns } = words.node;
  return (
    <>
      <p>
        <Words phrase={words.node.earned({ kind: "amount", smallest: node.earned }, network?.token.symbol ?? "")} />
      </p>
      <table className="table rewards">
        <thead>
          <tr>
            <th scope="col">{columns.epoch}</th>
            <th scope="col" className="right">
              {columns.slots}
            </th>
            <th scope="col" className="right">
              {columns.void}
            </th>
            <th scope="col" className="right">
              {columns.work}
            </th>
            <th scope="col" className="right">
              {columns.amount}
            </th>
          </tr>
        </thead>
        <tbody>
          {(all ? newestFirst : newestFirst.slice(0, few)).map((reward) => (
            <tr key={reward.epoch}>
              <th scope="row" data-label={columns.epoch}>
                <Link to={{ page: "epochs", open: reward.epoch }}>{reward.epoch}</Link>
              </th>
              <td className="right number" data-label={columns.slots}>
                {words.strip.score(reward.slotsAttested, reward.slotsExpected - reward.slotsVoid)}
              </td>
              <td className={`right${reward.slotsVoid === 0 ? " none" : ""}`} data-label={columns.void}>
                <Count value={reward.slotsVoid} />
              </td>
              <td className={`right${reward.workUnits === 0 ? " none" : ""}`} data-label={columns.work}>
                <Count value={reward.workUnits} />
              </td>
              <td className="right" data-label={columns.amount}>
                <Amount smallest={reward.amount} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {newestFirst.length > few ? (
        <button type="button" onClick={() => setAll(!all)}>
          {all ? words.showLess : words.showAll(newestFirst.length)}
        </button>
      ) : null}
    </>
  );
}
