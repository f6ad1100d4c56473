/** Another version of the coordinator: a copy of what runs of this tree, changed here and there. Node strips types only outside node_modules. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { houseRoot, programFile } from "../src/house.ts";

export type Change = { readonly file: string; readonly from: string; readonly to: string };

export type VersionPlan = {
  /** What the program says that it is. */
  readonly software: string;
  /** Migrations of the ledger on PostgreSQL behind those of this tree. */
  readonly migrations: readonly string[];
  /** Further changes; each has to fit one place. */
  readonly changes?: readonly Change[];
};

const copied = ["package.json", "coordinator", "protocol", "contracts/abi", "contracts/package.json"];
const migrations = join("coordinator", "src", "store", "postgres", "migrations");

/** The migrations of this tree, in their order. */
export function ownMigrations(): readonly string[] {
  const folder = join(houseRoot, migrations);
  const names = readdirSync(folder).sort();
  return names.map((name) => readFileSync(join(folder, name), "utf8"));
}

/** What this tree's program says that it is. */
export const ownSoftware = ((): string => {
  const { version } = JSON.parse(readFileSync(join(houseRoot, "coordinator", "package.json"), "utf8"));
  return `cairn-coordinator ${version}`;
})();

/** Makes the version in a new folder, and gives the entry of its program. */
export function makeVersion(folder: string, { software, migrations: more, changes = [] }: VersionPlan): string {
  for (const path of copied)
    cpSync(join(houseRoot, path), join(folder, path), {
      recursive: true,
      filter: (source) => !/[\\/](node_modules|testing|golden)$|\.test\.ts$/.test(source),
    });
  // Packages of the house are found in the folder, all others in this tree.
  symlinkSync(join(houseRoot, "node_modules"), join(folder, "node_modules"));
  const own = join(folder, "coordinator", "node_modules", "@cairn");
  mkdirSync(own, { recursive: true });
  for (const name of ["protocol", "contracts"]) symlinkSync(join(folder, name), join(own, name));

  const known = ownMigrations().length;
  for (const [index, text] of more.entries()) {
    const name = `${String(known + index + 1).padStart(3, "0")}-next.sql`;
    writeFileSync(join(folder, migrations, name), text);
  }
  const named = { file: "coordinator/src/main.ts", from: JSON.stringify(ownSoftware), to: JSON.stringify(software) };
  for (const { file, from, to } of [named, ...changes]) {
    const path = join(folder, file);
    const parts = readFileSync(path, "utf8").split(from);
    assert.equal(parts.length, 2, `${file} has ${from} once`);
    writeFileSync(path, parts.join(to));
  }
  return programFile("cairn-coordinator", folder);
}
