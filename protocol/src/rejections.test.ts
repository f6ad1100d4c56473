import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type RejectionCode, rejectionCodes, rejections } from "./rejections.ts";
import { reject } from "./result.ts";

const page = readFileSync(new URL("../../docs/rejections.md", import.meta.url), "utf8");
const limits = readFileSync(new URL("./limits.ts", import.meta.url), "utf8");

/** The page's sections by heading: their paragraphs, each on one line. */
const sections = page
  .split(/^## /m)
  .slice(1)
  .map((section) => {
    const [heading = "", ...paragraphs] = section.trim().split(/\n{2,}/);
    return [heading, paragraphs.map((paragraph) => paragraph.replaceAll("\n", " "))] as const;
  });
const byCode = new Map(sections);
const paragraphOf = (code: string, at: number) => byCode.get(code)?.[at] ?? "";

test("the page documents every code once, in the order of the list, and no other", () => {
  assert.deepEqual(
    sections.map(([heading]) => heading),
    [...rejectionCodes],
  );
});

test("each section has four paragraphs: what happened, how it looks, what can be done, what the network did", () => {
  for (const code of rejectionCodes) {
    assert.equal(byCode.get(code)?.length, 4, code);
    assert.match(paragraphOf(code, 1), /^Looks like: `[^`]+`(, `[^`]+`)*$/, code);
    assert.match(paragraphOf(code, 2), /^\*\*What you can do\.\*\* /, code);
    assert.match(paragraphOf(code, 3), /^\*\*What the network did\.\*\* [A-Z].+\.$/, code);
  }
});

test("a section begins with the sentence that the program shows for its code", () => {
  for (const code of rejectionCodes) assert.equal(paragraphOf(code, 0), rejections[code].sentence);
});

test("what can be done begins with the remedy that the program shows for its code", () => {
  for (const code of rejectionCodes) {
    const told = paragraphOf(code, 2).replace("**What you can do.** ", "");
    assert.ok(told.startsWith(rejections[code].remedy), code);
  }
});

test("every link on the page to a code leads to its section", () => {
  const anchors = [...page.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor);
  assert.ok(anchors.length > 0);
  for (const anchor of anchors) assert.ok(byCode.has(anchor ?? ""), anchor);
});

test("the sizes that the page names are those that are held", () => {
  for (const bytes of paragraphOf("payload-too-large", 2).match(/\d{4,}/g) ?? [])
    assert.ok(limits.replaceAll("_", "").includes(` ${bytes},`), bytes);
});

test("codes are lower-case words with hyphens, so that each is its own anchor", () => {
  for (const code of rejectionCodes) assert.match(code, /^[a-z]+(-[a-z]+)+$/);
  assert.equal(new Set(rejectionCodes).size, rejectionCodes.length);
});

test("sentences and remedies are whole sentences, and no two codes share one", () => {
  const told = rejectionCodes.flatMap((code) => [rejections[code].sentence, rejections[code].remedy]);
  for (const sentence of told) assert.match(sentence, /^[A-Z].{20,}\.$|^cairn-node .+\.$/);
  assert.equal(new Set(told).size, told.length);
});

test("a rejection can only be made with a code of the list: the type and the list are one", () => {
  const codes: readonly RejectionCode[] = rejectionCodes;
  for (const code of codes) assert.deepEqual(reject(code, "x"), { ok: false, rejection: { code, detail: "x" } });
  // @ts-expect-error a code that is not in the list is no RejectionCode
  reject("made-up", "x");
});
