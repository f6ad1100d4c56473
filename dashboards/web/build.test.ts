import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const stamp = join(import.meta.dirname, "dist/build.json");
const build = (): string =>
  execFileSync(process.execPath, [join(import.meta.dirname, "build.ts")], { encoding: "utf8" });

test("the page is built once, and again only when its stamp is of other sources or gone", () => {
  build();
  const made = readFileSync(stamp, "utf8");
  assert.equal(build(), "web page up to date\n");
  writeFileSync(stamp, JSON.stringify({ sources: "other" }));
  assert.match(build(), /^web page built in/m);
  assert.equal(readFileSync(stamp, "utf8"), made);
  rmSync(stamp);
  assert.match(build(), /^web page built in/m);
});
