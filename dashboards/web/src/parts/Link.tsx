import type { MouseEvent, ReactNode } from "react";
import { hrefOf, type Route } from "../route.ts";
import { usePage } from "./page-context.ts";

type Properties = {
  readonly to: Route;
  readonly children: ReactNode;
  readonly className?: string;
  readonly title?: string;
  readonly current?: boolean;
};

/** A link within the page. New tabs and copied addresses work as with any link. */
export function Link({ to, children, className, title, current }: Properties) {
  const { go } = usePage();
  const follow = (event: MouseEvent): void => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return (
    <a
      href={hrefOf(to)}
      onClick={follow}
      className={className}
      title={title}
      aria-current={current ? "page" : undefined}
    >
      {children}
    </a>
  );
}
