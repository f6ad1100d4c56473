/** Every state of the page has a URL: path for the page, query for its filters and ranges. */

export const ranges = { "5m": 300_000, "1h": 3_600_000, "6h": 21_600_000, "24h": 86_400_000 } as const;
export type Range = keyof typeof ranges;
export const rangeNames = Object.keys(ranges) as readonly Range[];

export type Route =
  | { readonly page: "fleet"; readonly search: string }
  | { readonly page: "node"; readonly nodeId: string; readonly range: Range }
  | { readonly page: "epochs"; readonly open: number | null }
  | { readonly page: "refused"; readonly code: string | null }
  | { readonly page: "unknown"; readonly path: string };

/** Reads a path and its query (with or without "?"). Anything that is not understood falls back to the page's default. */
export function parseRoute(path: string, query: string): Route {
  const parameters = new URLSearchParams(query);
  const [first = "", second = "", ...rest] = path.split("/").filter((part) => part !== "");
  if (first === "") return { page: "fleet", search: parameters.get("q") ?? "" };
  if (first === "nodes" && second !== "" && rest.length === 0) {
    const range = parameters.get("range");
    return { page: "node", nodeId: second, range: rangeNames.find((name) => name === range) ?? "5m" };
  }
  if (first === "epochs" && second === "") {
    const open = parameters.get("open") ?? "";
    return { page: "epochs", open: /^\d{1,15}$/.test(open) ? Number(open) : null };
  }
  if (first === "refused" && second === "") return { page: "refused", code: parameters.get("code") };
  return { page: "unknown", path };
}

export function hrefOf(route: Route): string {
  switch (route.page) {
    case "fleet":
      return route.search === "" ? "/" : `/?${new URLSearchParams({ q: route.search })}`;
    case "node":
      return `/nodes/${encodeURIComponent(route.nodeId)}${route.range === "5m" ? "" : `?range=${route.range}`}`;
    case "epochs":
      return route.open === null ? "/epochs" : `/epochs?open=${route.open}`;
    case "refused":
      return route.code === null ? "/refused" : `/refused?${new URLSearchParams({ code: route.code })}`;
    case "unknown":
      return route.path;
  }
}

export const pages = {
  fleet: { page: "fleet", search: "" },
  epochs: { page: "epochs", open: null },
  refused: { page: "refused", code: null },
} as const satisfies Record<string, Route>;
