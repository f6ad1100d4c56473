/** A long identity, shortened in the middle, whole in the title, and copied by one press. */
import { useEffect, useState } from "react";
import { usePage } from "./page-context.ts";

const copiedMs = 1_500;

export function Hash({
  value,
  head = 6,
  tail = 4,
}: {
  readonly value: string;
  readonly head?: number;
  readonly tail?: number;
}) {
  const { words } = usePage();
  const [shown, setShown] = useState<"short" | "copied" | "whole">("short");
  useEffect(() => {
    if (shown !== "copied") return;
    const timer = setTimeout(() => setShown("short"), copiedMs);
    return () => clearTimeout(timer);
  }, [shown]);

  // Without a secure origin a page cannot write the clipboard: then the whole value is shown, ready to be selected.
  const copy = (): void => {
    const writing = navigator.clipboard?.writeText(value) ?? Promise.reject(new Error("no clipboard"));
    writing.then(
      () => setShown("copied"),
      () => setShown("whole"),
    );
  };
  const short = value.length > head + tail + 3 ? `${value.slice(0, head)}…${value.slice(-tail)}` : value;
  return (
    <span className="hash">
      <code title={value} className={shown === "whole" ? "whole" : undefined}>
        {shown === "whole" ? value : short}
      </code>
      <button type="button" className="copy" onClick={copy} aria-label={`${words.copy} ${value}`}>
        {shown === "copied" ? words.copied : words.copy}
      </button>
    </span>
  );
}
