import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { BuildError, buildContracts } from "../build.ts";

const SOURCES = join(import.meta.dirname, "..", "src");
const BUILD = join(import.meta.dirname, "..", "build.ts");

function inTemporaryFolder(use: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "cairn-contracts-"));
  try {
    use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function assertBuildError(run: () => unknown, code: BuildError["code"], ...parts: readonly RegExp[]): void {
  assert.throws(run, (error: unknown) => {
    assert.ok(error instanceof BuildError);
    assert.equal(error.code, code);
    for (const part of parts) assert.match(error.message, part);
    return true;
  });
}

test("the same sources give the same bytes, wherever they lie and whatever their dates", () => {
  inTemporaryFolder((folder) => {
    const moved = join(folder, "elsewhere", "sources");
    cpSync(SOURCES, moved, { recursive: true });
    utimesSync(join(moved, "EpochRewards.sol"), new Date(0), new Date(0));
    const first = buildContracts(SOURCES, join(folder, "first", "index.ts"));
    const second = buildContracts(moved, join(folder, "second", "index.ts"));

    assert.deepEqual(first.contracts, ["EpochRewards", "RewardToken", "VerifierSet"]);
    assert.deepEqual(first.warnings, []);
    assert.deepEqual(second, first);
    assert.equal(
      readFileSync(join(folder, "second", "index.ts"), "utf8"),
      readFileSync(join(folder, "first", "index.ts"), "utf8"),
    );
    assert.deepEqual(readdirSync(join(folder, "first")), ["index.ts"], "no draft is left behind");
  });
});

test("the generated file is a module that exports ABI and creation code of every contract", async () => {
  const folder = mkdtempSync(join(tmpdir(), "cairn-contracts-"));
  try {
    const file = join(folder, "index.ts");
    buildContracts(SOURCES, file);
    const generated: Record<string, unknown> = await import(pathToFileURL(file).href);
    assert.deepEqual(Object.keys(generated).sort(), [
      "contractErrorsAbi",
      "epochRewardsAbi",
      "epochRewardsBytecode",
      "rewardTokenAbi",
      "rewardTokenBytecode",
      "verifierSetAbi",
      "verifierSetBytecode",
    ]);
    for (const [name, value] of Object.entries(generated)) {
      if (name.endsWith("Bytecode")) assert.match(String(value), /^0x(?:[0-9a-f]{2})+$/, name);
      else assert.ok(Array.isArray(value) && value.length > 0, name);
    }
    const errors = JSON.stringify(generated.contractErrorsAbi);
    for (const name of ["NothingToClaim", "NotAVerifier", "NotTheMinter"])
      assert.ok(errors.includes(`"${name}"`), name);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("an unchanged source tree is not compiled again, a changed one is", () => {
  inTemporaryFolder((folder) => {
    const sources = join(folder, "src");
    const file = join(folder, "abi", "index.ts");
    cpSync(SOURCES, sources, { recursive: true });
    assert.equal(buildContracts(sources, file).state, "written");
    const written = statSync(file).mtimeMs;

    const started = performance.now();
    const again = spawnSync(process.execPath, [BUILD, "--source", sources, "--out", file], { encoding: "utf8" });
    const milliseconds = performance.now() - started;
    assert.equal(again.stdout, "contracts up to date\n");
    assert.equal(again.status, 0);
    assert.equal(statSync(file).mtimeMs, written);
    assert.ok(milliseconds < 2000, `took ${milliseconds.toFixed(0)} ms: was the compiler loaded?`);

    writeFileSync(
      join(sources, "Extra.sol"),
      "// SPDX-License-Identifier: Apache-2.0\npragma solidity 0.8.37;\ncontract Extra { uint256 public answer = 42; }\n",
    );
    assert.deepEqual(buildContracts(sources, file).contracts, ["EpochRewards", "Extra", "RewardToken", "VerifierSet"]);
    assert.ok(readFileSync(file, "utf8").includes('export const extraBytecode = "0x'));
  });
});

test("a broken source is refused with its place, and what was built before stays", () => {
  inTemporaryFolder((folder) => {
    const sources = join(folder, "src");
    const file = join(folder, "index.ts");
    cpSync(SOURCES, sources, { recursive: true });
    writeFileSync(file, "// from before\n");
    const broken = readFileSync(join(sources, "Ids.sol"), "utf8").replace("is uint64", "is uint65");
    writeFileSync(join(sources, "Ids.sol"), broken);

    assertBuildError(
      () => buildContracts(sources, file),
      "CONTRACTS_BROKEN",
      /do not compile/,
      /src\/Ids\.sol:\d+:\d+/,
    );
    assert.equal(readFileSync(file, "utf8"), "// from before\n");

    const shell = spawnSync(process.execPath, [BUILD, "--source", sources, "--out", file], { encoding: "utf8" });
    assert.equal(shell.status, 1);
    assert.equal(shell.stdout, "");
    assert.match(shell.stderr, /^contracts build failed: the contracts do not compile \(1 error/);
    assert.match(shell.stderr, /--> src\/Ids\.sol:\d+:\d+/);
    assert.doesNotMatch(shell.stderr, /\n\s+at .*build\.ts/, "no stack trace");
  });
});

test("an import that nobody has is named", () => {
  inTemporaryFolder((folder) => {
    const header = "// SPDX-License-Identifier: Apache-2.0\npragma solidity 0.8.37;\n";
    writeFileSync(join(folder, "A.sol"), `${header}import "./Missing.sol";\nimport "@nobody/has/This.sol";\n`);
    assertBuildError(
      () => buildContracts(folder, join(folder, "index.ts")),
      "CONTRACTS_BROKEN",
      /2 errors/,
      /"src\/Missing\.sol" not found: there is no such file/,
      /"@nobody\/has\/This\.sol" not found: no installed package has this file/,
    );
  });
});

test("a folder without sources is refused by name", () => {
  inTemporaryFolder((folder) => {
    assertBuildError(() => buildContracts(folder, join(folder, "index.ts")), "SOURCES_MISSING", /no \.sol file under/);
    const missing = join(folder, "nowhere");
    assertBuildError(() => buildContracts(missing, join(folder, "index.ts")), "SOURCES_MISSING", /no folder .*nowhere/);
  });
});
