/** A phrase with its links, numbers and times; and the one sentence that answers the page's question. */
import type { Phrase, Piece } from "../words/phrases.ts";
import { Amount, Count } from "./Amount.tsx";
import { Link } from "./Link.tsx";
import { Moment } from "./Moment.tsx";

function Drawn({ piece }: { readonly piece: Piece }) {
  if (typeof piece === "string") return piece;
  switch (piece.kind) {
    case "number":
      return <Count value={piece.value} />;
    case "amount":
      return <Amount smallest={piece.smallest} />;
    case "node":
      return <Link to={{ page: "node", nodeId: piece.nodeId, range: "5m" }}>{piece.name}</Link>;
    case "time":
      return <Moment at={piece.at} precision="minute" />;
    case "command":
      return <code>{piece.text}</code>;
    case "quote":
      return <span lang="en">{piece.text}</span>;
  }
}

export function Words({ phrase }: { readonly phrase: Phrase }) {
  // biome-ignore lint/suspicious/noArrayIndexKey: the pieces of a sentence have no identity but their place
  return phrase.map((piece, index) => <Drawn key={index} piece={piece} />);
}

export function Sentence({ title, phrase }: { readonly title: string; readonly phrase: Phrase }) {
  return (
    <>
      <h1 className="unseen">{title}</h1>
      <p className="sentence" aria-live="polite" aria-atomic="true">
        <Words phrase={phrase} />
      </p>
    </>
  );
}
