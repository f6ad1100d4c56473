/** Says quietly whether what is shown is live, and holds it on request. */
import { useSyncExternalStore } from "react";
import { localTime } from "../words/times.ts";
import { useLive, usePage } from "./page-context.ts";

export function LinkState() {
  const { feed, locale, words } = usePage();
  const { link } = useLive();
  const paused = useSyncExternalStore(feed.subscribe, feed.paused);
  const text = paused ? words.link.pausedAt(localTime(feed.now(), feed.now(), locale, "second")) : words.link[link];
  return (
    <span className="link-state">
      <span className={`live-dot ${paused ? "is-paused" : `is-${link}`}`} aria-hidden="true" />
      <span className="quiet" role="status">
        {text}
      </span>
      <button
        type="button"
        title={words.link.pauseHint}
        aria-pressed={paused}
        aria-keyshortcuts="p"
        onClick={paused ? feed.resume : feed.pause}
      >
        {paused ? words.link.resume : words.link.pause}
      </button>
    </span>
  );
}
