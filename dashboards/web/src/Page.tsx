/** The frame of every page: where you are, whether it is live, the keys; and the page of the current address. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { EpochsPage } from "./epochs/EpochsPage.tsx";
import { FleetPage } from "./fleet/FleetPage.tsx";
import type { Feed } from "./live/feed.ts";
import { NodePage } from "./node/NodePage.tsx";
import { Empty } from "./parts/Absence.tsx";
import { Keys } from "./parts/Keys.tsx";
import { Link } from "./parts/Link.tsx";
import { LinkState } from "./parts/LinkState.tsx";
import { PageContext, useLive, usePage } from "./parts/page-context.ts";
import { Sentence } from "./parts/Sentence.tsx";
import { useKeys } from "./parts/use-keys.ts";
import { RefusedPage } from "./refused/RefusedPage.tsx";
import { hrefOf, pages, parseRoute, type Route } from "./route.ts";
import { messagesFor } from "./words/messages.ts";

export function Page({ feed, language }: { readonly feed: Feed; readonly language: string }) {
  const [route, setRoute] = useState(currentRoute);

  useEffect(() => {
    const moved = (): void => setRoute(currentRoute());
    addEventListener("popstate", moved);
    return () => removeEventListener("popstate", moved);
  }, []);
  useEffect(() => feed.visit(route), [feed, route]);

  const go = useCallback((next: Route, how?: "replace") => {
    if (how === "replace") history.replaceState(null, "", hrefOf(next));
    else history.pushState(null, "", hrefOf(next));
    setRoute(next);
  }, []);
  const context = useMemo(() => ({ feed, words: messagesFor(language), locale: language, go }), [feed, language, go]);
  return (
    <PageContext value={context}>
      <Frame route={route} />
    </PageContext>
  );
}

function currentRoute(): Route {
  return parseRoute(location.pathname, location.search);
}

function Frame({ route }: { readonly route: Route }) {
  const { words } = usePage();
  const { network, node } = useLive();
  const [keysShown, setKeysShown] = useState(false);
  const main = useRef<HTMLElement>(null);
  useKeys(route, () => setKeysShown((shown) => !shown));

  const title = titleOf(route, words, node?.row.name);
  useEffect(() => {
    document.title = `${title} · Cairn`;
  }, [title]);
  const place = route.page === "node" ? route.nodeId : route.page;
  const lastPlace = useRef(place);
  useEffect(() => {
    if (lastPlace.current === place) return;
    lastPlace.current = place;
    scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [place]);

  return (
    <>
      <a className="skip" href="#content">
        {words.nav.skip}
      </a>
      <header className="head">
        <Link to={pages.fleet} className="name">
          Cairn
        </Link>
        <nav aria-label={words.nav.label}>
          <Link to={pages.fleet} current={route.page === "fleet" || route.page === "node"}>
            {words.nav.fleet}
          </Link>
          <Link to={pages.epochs} current={route.page === "epochs"}>
            {words.nav.epochs}
          </Link>
          <Link to={pages.refused} current={route.page === "refused"}>
            {words.nav.refused}
          </Link>
        </nav>
        <span className="network quiet">{network?.network ?? ""}</span>
        <LinkState />
        <button type="button" className="show-keys" onClick={() => setKeysShown(true)} aria-keyshortcuts="?">
          {words.keys.show}
        </button>
      </header>
      <main id="content" ref={main} tabIndex={-1}>
        <Current route={route} />
      </main>
      {keysShown ? <Keys close={() => setKeysShown(false)} /> : null}
    </>
  );
}

function titleOf(route: Route, words: ReturnType<typeof messagesFor>, nodeName: string | undefined): string {
  switch (route.page) {
    case "node":
      return nodeName ?? route.nodeId.slice(0, 8);
    case "epochs":
      return words.epochs.title;
    case "refused":
      return words.refused.title;
    default:
      return words.fleet.title;
  }
}

function Current({ route }: { readonly route: Route }) {
  const { words } = usePage();
  switch (route.page) {
    case "fleet":
      return <FleetPage search={route.search} />;
    case "node":
      return <NodePage key={route.nodeId} nodeId={route.nodeId} range={route.range} />;
    case "epochs":
      return <EpochsPage open={route.open} />;
    case "refused":
      return <RefusedPage code={route.code} />;
    case "unknown":
      return (
        <>
          <Sentence title={words.fleet.title} phrase={words.notFound.sentence} />
          <Empty>{words.notFound.help}</Empty>
        </>
      );
  }
}
