/** What every part of the page needs: the feed, the words, the locale, and how to go elsewhere. */
import { createContext, useContext, useSyncExternalStore } from "react";
import type { Feed } from "../live/feed.ts";
import type { Live } from "../live/state.ts";
import type { Route } from "../route.ts";
import type { Messages } from "../words/messages.ts";

export type PageContext = {
  readonly feed: Feed;
  readonly words: Messages;
  readonly locale: string;
  /** `replace`: the step is not kept in the history (a search being typed). */
  readonly go: (route: Route, how?: "replace") => void;
};

export const PageContext = createContext<PageContext | null>(null);

export function usePage(): PageContext {
  const page = useContext(PageContext);
  if (page === null) throw new Error("a part of the page was drawn outside of the page");
  return page;
}

export function useLive(): Live {
  const { feed } = usePage();
  return useSyncExternalStore(feed.subscribe, feed.shown);
}

const tickers = new Set<() => void>();
setInterval(() => {
  for (const tick of tickers) tick();
}, 1_000);

function onTick(tick: () => void): () => void {
  tickers.add(tick);
  return () => tickers.delete(tick);
}

/** The coordinator's time, unix ms, in whole steps of `stepMs` (at least a second): the part is drawn again at each step. */
export function useNow(stepMs: number): number {
  const { feed } = usePage();
  return useSyncExternalStore(onTick, () => Math.floor(feed.now() / stepMs) * stepMs);
}
