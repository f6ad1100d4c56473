import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { faultKinds } from "./line.ts";
import { makeRecordings } from "./make.ts";

const made = makeRecordings();
const readme = readFileSync(join(import.meta.dirname, "README.md"), "utf8");

/** The numbers behind a name in the README's tables: one per recording. */
function stated(name: string): number[] {
  const row = new RegExp(`^\\| \`${name}\` \\|([^\\n]*)\\|$`, "m").exec(readme)?.[1] ?? "";
  return (row.match(/(?<=^|\|)\s*\d+\s*(?=\||$)/g) ?? []).map(Number);
}

test("making the recordings again gives the same files, byte for byte", () => {
  for (const { file, text } of made) {
    const shipped = readFileSync(join(import.meta.dirname, file), "utf8");
    assert.ok(shipped === text, `${file} differs: run hardware/recordings/make.ts`);
  }
  assert.deepEqual(
    makeRecordings().map(({ text }) => text),
    made.map(({ text }) => text),
  );
});

test("the README states the faults that were made", () => {
  assert.deepEqual(
    made.map(({ file }) => file),
    ["city-drive.jsonl", "harbour-mast.jsonl"],
  );
  for (const kind of faultKinds)
    assert.deepEqual(
      stated(kind),
      made.map(({ truth }) => truth.faults[kind]),
      kind,
    );
  for (const reason of ["noise", "cut", "too-long", "checksum", "not-ascii"] as const)
    assert.deepEqual(
      stated(reason),
      made.map(({ truth }) => truth.discards[reason]),
      reason,
    );
});

test("a recording is small, ten minutes long, and never faster than its line", () => {
  for (const { file, text } of made) {
    assert.ok(Buffer.byteLength(text) < 1_500_000, file);
    const [header = "", ...lines] = text.trimEnd().split("\n");
    const { baudRate } = JSON.parse(header) as { baudRate: number };
    let last = 0;
    for (const line of lines) {
      const { t, b } = JSON.parse(line) as { t: number; b: string };
      assert.ok(t - last >= Math.floor((b.length * 10_000) / baudRate) - 1, `${file} at ${t} ms`);
      last = t;
    }
    assert.ok(last > 599_000 && last < 600_999, `${file} ends at ${last} ms`);
  }
});

test("nothing in a recording hides from an editor but what JSON escapes", () => {
  for (const { file, text } of made) assert.doesNotMatch(text, /[^\n\x20-\x7e\u00a1-\u00ff]/, file);
});
