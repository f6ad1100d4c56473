import assert from "node:assert/strict";
import { test } from "node:test";
import { hrefOf, parseRoute, type Route } from "./route.ts";

const routes: readonly Route[] = [
  { page: "fleet", search: "" },
  { page: "fleet", search: "offline mast & 2" },
  { page: "node", nodeId: "6c9ceadfea06", range: "5m" },
  { page: "node", nodeId: "6c9ceadfea06", range: "24h" },
  { page: "epochs", open: null },
  { page: "epochs", open: 6 },
  { page: "refused", code: null },
  { page: "refused", code: "key-unknown" },
];

for (const route of routes) {
  test(`the address ${hrefOf(route)} leads back to the state it was made of`, () => {
    const url = new URL(hrefOf(route), "http://page");
    assert.deepEqual(parseRoute(url.pathname, url.search), route);
  });
}

test("a range or an epoch that does not exist falls back to the default", () => {
  assert.deepEqual(parseRoute("/nodes/ab", "?range=9y"), { page: "node", nodeId: "ab", range: "5m" });
  assert.deepEqual(parseRoute("/epochs", "?open=-1"), { page: "epochs", open: null });
});

test("an address without a page is said to be one", () => {
  assert.deepEqual(parseRoute("/map", ""), { page: "unknown", path: "/map" });
  assert.deepEqual(parseRoute("/nodes/ab/more", ""), { page: "unknown", path: "/nodes/ab/more" });
});
