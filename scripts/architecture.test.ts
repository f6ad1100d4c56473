import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { describe, test } from "node:test";
import { inspect, type Rule, rules, type Tree } from "./architecture.ts";

const root = dirname(import.meta.dirname);
const generated = new Set(["node_modules", "dist", "golden", "abi", "out", "cache", ".git", ".cairn", ".build"]);

function readTree(folder: string): Map<string, string> {
  const tree = new Map<string, string>();
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (generated.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) for (const [file, text] of readTree(path)) tree.set(file, text);
    else if (/\.(?:ts|tsx|mts|mjs|cjs|js|sol|css)$/.test(entry.name) || entry.name === "package.json")
      tree.set(relative(root, path).split(sep).join("/"), readFileSync(path, "utf8"));
  }
  return tree;
}

const house = readTree(root);
const broken = inspect(house);

describe("the house keeps its architecture", () => {
  test("the inspected tree is the whole house, every workspace with its sources", () => {
    const { workspaces } = JSON.parse(house.get("package.json") ?? "{}") as { workspaces: string[] };
    assert.ok(workspaces.length >= 7);
    for (const folder of workspaces) assert.ok(house.has(`${folder}/package.json`), `${folder} has no package.json`);
    for (const staged of ["node-runtime/src/", "coordinator/src/", "protocol/src/", "localnet/src/"])
      assert.ok([...house.keys()].filter((file) => file.startsWith(staged)).length > 5, `${staged} is missing`);
  });
  for (const rule of Object.keys(rules) as Rule[])
    test(rules[rule], () => {
      const found = broken.filter((violation) => violation.rule === rule);
      assert.deepEqual(
        found.map(({ file, detail }) => `${file}: ${detail}`),
        [],
      );
    });
});

/** A tiny house that breaks no rule; each example below changes it in one place. */
const sound: Readonly<Record<string, string>> = {
  "package.json": JSON.stringify({
    workspaces: ["protocol", "contracts", "node-runtime", "coordinator", "dashboards/web", "localnet"],
  }),
  "protocol/package.json": JSON.stringify({ name: "@x/protocol", exports: { ".": "./src/index.ts" } }),
  "protocol/src/index.ts": `export * from "./topics.ts";\n`,
  "protocol/src/topics.ts": `export const topic = "a";\n`,
  "contracts/package.json": JSON.stringify({ name: "@x/contracts", exports: { "./abi": "./abi/index.ts" } }),
  "node-runtime/package.json": JSON.stringify({ name: "@x/node", dependencies: { "@x/protocol": "1" } }),
  "node-runtime/src/main.ts": `import { open } from "./pipeline.ts";\nimport { port } from "./wire/port.ts";\nopen(port);\n`,
  "node-runtime/src/pipeline.ts": `import { judge } from "./decide/judge.ts";\nimport { save } from "./store/save.ts";\nexport const open = (x: unknown) => save(judge(x));\n`,
  "node-runtime/src/model.ts": `import type { topic } from "@x/protocol";\nexport type Step = typeof topic;\n`,
  "node-runtime/src/settings.ts": `import type { Step } from "./model.ts";\nexport const first: Step = "a";\n`,
  "node-runtime/src/wire/port.ts": `import { topic } from "@x/protocol";\nexport const port = [topic, Date.now()];\n`,
  "node-runtime/src/decide/judge.ts": `import type { Step } from "../model.ts";\nexport const judge = (x: unknown, at = new Date(0)) => [x, at] as unknown as Step;\n`,
  "node-runtime/src/decide/judge.test.ts": `import { twin } from "../../testing/twin.ts";\nimport { judge } from "./judge.ts";\njudge(twin, new Date());\n`,
  "node-runtime/src/store/save.ts": `import Database from "better-sqlite3";\nexport const save = (x: unknown) => new Database().prepare("INSERT INTO t VALUES (?)").run(x);\n`,
  "node-runtime/testing/twin.ts": `export const twin = 1;\n`,
  "coordinator/package.json": JSON.stringify({
    name: "@x/coordinator",
    dependencies: { "@x/protocol": "1", "@x/contracts": "1" },
  }),
  "coordinator/src/act/settle.ts": `import { abi } from "@x/contracts/abi";\nexport const settle = () => abi;\n`,
  "dashboards/web/package.json": JSON.stringify({ name: "@x/web", dependencies: { "@x/protocol": "1" } }),
  "dashboards/web/src/page.ts": `import type { topic } from "@x/protocol";\nexport type T = typeof topic;\n`,
  "dashboards/web/testing/twin.ts": `import { topic } from "@x/protocol";\nexport const twin = topic;\n`,
  "localnet/package.json": JSON.stringify({ name: "@x/localnet" }),
};

function rulesBrokenBy(change: Readonly<Record<string, string>>): readonly Rule[] {
  const tree: Tree = new Map(Object.entries({ ...sound, ...change }));
  return [...new Set(inspect(tree).map(({ rule }) => rule))];
}

describe("the checker", () => {
  test("finds nothing in a sound house", () => {
    assert.deepEqual(inspect(new Map(Object.entries(sound))), []);
  });

  const node = "node-runtime/src";
  const examples: readonly { readonly what: string; readonly rule: Rule; readonly change: Record<string, string> }[] = [
    {
      what: "the protocol importing a program's package",
      rule: "arrow",
      change: { "protocol/src/index.ts": `import "@x/node";\n` },
    },
    {
      what: "the node importing the coordinator, even a type of it",
      rule: "arrow",
      change: { [`${node}/wire/port.ts`]: `import type { A } from "@x/coordinator";\nexport type B = A;\n` },
    },
    {
      what: "the node importing the contracts",
      rule: "arrow",
      change: { [`${node}/act/pay.ts`]: `export const abi = await import("@x/contracts/abi");\n` },
    },
    {
      what: "the web page importing more than types",
      rule: "arrow",
      change: { "dashboards/web/src/page.ts": `import { topic } from "@x/protocol";\nexport const page = topic;\n` },
    },
    {
      what: "an import beside a package's door",
      rule: "door",
      change: { [`${node}/wire/port.ts`]: `export { topic } from "@x/protocol/src/topics.ts";\n` },
    },
    {
      what: "a relative import that leaves the package",
      rule: "door",
      change: { "localnet/src/main.ts": `import "../../coordinator/src/act/settle.ts";\n` },
    },
    {
      what: "an import type that leaves the package",
      rule: "door",
      change: { "localnet/src/main.ts": `export type T = import("../../protocol/src/topics.ts").T;\n` },
    },
    {
      what: "a package of the house used but not declared",
      rule: "manifest",
      change: { "localnet/src/main.ts": `import { topic } from "@x/protocol";\nconsole.log(topic);\n` },
    },
    {
      what: "a package with two doors",
      rule: "one-door",
      change: { "protocol/package.json": JSON.stringify({ name: "@x/protocol", exports: { ".": "a", "./b": "b" } }) },
    },
    { what: "a file beside the stages", rule: "stage", change: { [`${node}/clock.ts`]: "export {};\n" } },
    { what: "a sixth stage", rule: "stage", change: { [`${node}/route/a.ts`]: "export {};\n" } },
    {
      what: "a stage importing another",
      rule: "stage-arrow",
      change: { [`${node}/wire/port.ts`]: `import { save } from "../store/save.ts";\nexport const port = save;\n` },
    },
    {
      what: "a stage's test importing another stage",
      rule: "stage-arrow",
      change: { [`${node}/decide/judge.test.ts`]: `import { port } from "../wire/port.ts";\nport;\n` },
    },
    {
      what: "main.ts importing a stage that opens no edge",
      rule: "stage-arrow",
      change: { [`${node}/main.ts`]: `import { judge } from "./decide/judge.ts";\njudge(1);\n` },
    },
    {
      what: "a judging thread that decides",
      rule: "stage-arrow",
      change: { "coordinator/src/admission-thread.ts": `export { a } from "./decide/a.ts";\n` },
    },
    {
      what: "a program importing its test twins",
      rule: "stage-arrow",
      change: { [`${node}/wire/port.ts`]: `export { twin } from "../../testing/twin.ts";\n` },
    },
    {
      what: "model.ts with run-time code",
      rule: "model",
      change: { [`${node}/model.ts`]: `export type Step = "a";\nexport const steps = ["a"];\n` },
    },
    {
      what: "model.ts importing a value",
      rule: "model",
      change: { [`${node}/model.ts`]: `import { topic } from "@x/protocol";\nexport type Step = typeof topic;\n` },
    },
    {
      what: "a database driver outside of store/",
      rule: "sql",
      change: { [`${node}/act/a.ts`]: `import Database from "better-sqlite3";\nexport const db = new Database();\n` },
    },
    {
      what: "SQL text outside of store/",
      rule: "sql",
      change: {
        [`${node}/pipeline.ts`]: `export const open = (x: unknown) => [x, \`select a from \${x}\`, "PRAGMA a"];\n`,
      },
    },
    {
      what: "a clock read in decide/",
      rule: "pure",
      change: { [`${node}/decide/judge.ts`]: "export const judge = () => Date.now();\n" },
    },
    {
      what: "the current date in validate/",
      rule: "pure",
      change: { [`${node}/validate/a.ts`]: "export const a = () => new Date();\n" },
    },
    {
      what: "randomness in validate/",
      rule: "pure",
      change: {
        [`${node}/validate/a.ts`]: `import { randomBytes } from "node:crypto";\nexport const a = randomBytes(1);\n`,
      },
    },
    {
      what: "a file read in decide/",
      rule: "pure",
      change: {
        [`${node}/decide/judge.ts`]: `import { readFileSync } from "node:fs";\nexport const judge = readFileSync;\n`,
      },
    },
    {
      what: "a file with a name that says nothing",
      rule: "name",
      change: { "localnet/src/port-utils.ts": "export {};\n" },
    },
    {
      what: "a folder with a name that says nothing",
      rule: "name",
      change: { "localnet/src/common/a.ts": "export {};\n" },
    },
    {
      what: "a class with a name that says nothing",
      rule: "name",
      change: { "localnet/src/a.ts": "export class NodeManager {}\n" },
    },
    { what: "a file of 601 lines", rule: "length", change: { "localnet/src/long.ts": "export {};\n".repeat(601) } },
  ];
  for (const { what, rule, change } of examples)
    test(`finds ${what}`, () => assert.deepEqual(rulesBrokenBy(change), [rule]));
  test("is shown every rule broken at least once", () => {
    assert.deepEqual([...new Set(examples.map(({ rule }) => rule))].sort(), Object.keys(rules).sort());
  });
  test("lets a file of 600 lines pass", () => {
    assert.deepEqual(rulesBrokenBy({ "localnet/src/long.ts": "export {};\n".repeat(600) }), []);
  });
});
