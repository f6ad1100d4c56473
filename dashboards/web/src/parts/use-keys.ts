/** Carries out the keys of the page. Keys typed into a field, or pressed with a modifier, stay what they are. */
import { useEffect, useRef } from "react";
import { flushSync } from "react-dom";
import { type KeyAction, type KeyPress, keyAction } from "../keyboard.ts";
import { pages, type Route } from "../route.ts";
import { usePage } from "./page-context.ts";

export function useKeys(route: Route, toggleKeys: () => void): void {
  const { feed, go } = usePage();
  const previous = useRef<KeyPress | null>(null);
  useEffect(() => {
    const doing: Readonly<Record<KeyAction, () => void>> = {
      "go-fleet": () => go(pages.fleet),
      "go-epochs": () => go(pages.epochs),
      "go-refused": () => go(pages.refused),
      next: () => focusRow(1),
      previous: () => focusRow(-1),
      search: () => {
        // At once, so that the next key already goes into the field.
        if (route.page !== "fleet") flushSync(() => go(pages.fleet));
        document.querySelector<HTMLInputElement>("input[type=search]")?.focus();
      },
      pause: () => (feed.paused() ? feed.resume() : feed.pause()),
      "show-keys": toggleKeys,
    };
    const pressed = (event: KeyboardEvent): void => {
      const target = event.target instanceof Element ? event.target : null;
      if (event.ctrlKey || event.metaKey || event.altKey || target?.closest("input, textarea, select") != null) return;
      const press = { key: event.key, at: event.timeStamp };
      const action = keyAction(previous.current, press);
      previous.current = press;
      if (action === null) return;
      if (target?.closest("dialog") != null && action !== "show-keys") return;
      event.preventDefault();
      doing[action]();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [feed, go, route, toggleKeys]);
}

/** Moves the focus to the link of the next or previous row, from wherever in the list it is. */
function focusRow(step: 1 | -1): void {
  const links = [...document.querySelectorAll<HTMLElement>("a.row-link")];
  const current = links.findIndex((link) => link.closest("tr")?.contains(document.activeElement));
  const next = current === -1 ? (step === 1 ? 0 : links.length - 1) : current + step;
  links[next]?.focus();
}
