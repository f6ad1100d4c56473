import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { buildContracts } from "../build.ts";

const DOCS = join(import.meta.dirname, "..", "docs");
const SOURCES = join(import.meta.dirname, "..", "src");

type Entry = { readonly type: string; readonly name?: string };

async function compiled(): Promise<Readonly<Record<string, unknown>>> {
  const folder = mkdtempSync(join(tmpdir(), "cairn-contracts-"));
  try {
    const file = join(folder, "index.ts");
    buildContracts(SOURCES, file);
    return await import(pathToFileURL(file).href);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function namesIn(abi: unknown): string[] {
  assert.ok(Array.isArray(abi));
  const entries: readonly Entry[] = abi;
  return entries
    .filter(({ type }) => type === "function" || type === "error")
    .map(({ type, name }) => name ?? assert.fail(`a ${type} without a name`));
}

test("every function and every error of a contract stands on its page, and no page names one that does not exist", async () => {
  const exported = await compiled();
  for (const contract of ["EpochRewards", "RewardToken", "VerifierSet"]) {
    const page = readFileSync(join(DOCS, `${contract}.md`), "utf8");
    const abi = exported[`${contract.charAt(0).toLowerCase()}${contract.slice(1)}Abi`];
    const known = new Set([...namesIn(abi), ...namesIn(exported.contractErrorsAbi)]);
    const missing = namesIn(abi).filter((name) => !new RegExp(`\\b${name}\\b`).test(page));
    assert.deepEqual(missing, [], `not on ${contract}.md`);

    const named = [...page.matchAll(/\(`([A-Z]\w+)`\)/g)].flatMap(([, name]) => name ?? []);
    assert.deepEqual(
      named.filter((name) => !known.has(name)),
      [],
      `named on ${contract}.md, but nowhere in the contracts`,
    );
  }
});

test("every type string on the page about leaves is the one in the source, and none is left out", () => {
  const page = readFileSync(join(DOCS, "Leaves.md"), "utf8");
  const typeString = /\b[A-Z]\w+\((?:[a-z0-9]+ \w+,?)+\)/g;
  const source = readdirSync(SOURCES)
    .filter((name) => name === "Leaves.sol" || name === "TypedData.sol")
    .map((name) => readFileSync(join(SOURCES, name), "utf8"))
    .join("\n");
  const inSource = [...source.matchAll(/"([A-Z]\w+\([^")]+\))"/g)].flatMap(([, type]) => type ?? []).sort();
  assert.equal(inSource.length, 5);
  assert.deepEqual((page.match(typeString) ?? []).sort(), inSource);
});
