import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, test } from "node:test";
import { closingLine, findTests, runTests, testFolders } from "./test-run.ts";

const root = mkdtempSync(join(tmpdir(), "cairn-test-run-"));
after(() => rmSync(root, { recursive: true }));

function write(file: string, text: string): string {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), text);
  return file;
}

async function outcomeOf(name: string, text: string) {
  const lines: string[] = [];
  const files = [write(`run/${name}.test.ts`, text)];
  const totals = await runTests({
    root,
    files,
    concurrency: 1,
    fileTimeoutMs: 5_000,
    print: (line) => lines.push(line),
  });
  return { closing: closingLine(totals), lines: lines.join("\n") };
}

const head = `import { describe, it, test } from "node:test"; import assert from "node:assert/strict";\n`;

describe("a test file", () => {
  test("has its tests counted one by one: inner ones count, suites do not", async () => {
    const { closing } = await outcomeOf(
      "counted",
      `${head}describe("s", () => { it("a", () => {}); it("b", () => {}); });
       test("parent", async (t) => { await t.test("child", () => {}); });`,
    );
    assert.equal(closing, "4 passed, 0 failed, 0 skipped");
  });

  test("shows a failure with its place, full name and reason, and what the file printed", async () => {
    const { closing, lines } = await outcomeOf(
      "failing",
      `${head}console.log("a hint");\ndescribe("outer", () => { it("adds", () => assert.equal(1 + 1, 3)); });`,
    );
    assert.equal(closing, "0 passed, 1 failed, 0 skipped");
    for (const part of [/failing\.test\.ts:3 outer > adds/, /2 !== 3/, /a hint/]) assert.match(lines, part);
  });

  test("has its skipped tests listed with their reasons", async () => {
    const { closing, lines } = await outcomeOf(
      "skipping",
      `${head}test("needs a port", { skip: "no serial port here" }, () => {}); test("idea", { todo: true }, () => { throw 1; });`,
    );
    assert.equal(closing, "0 passed, 0 failed, 2 skipped");
    assert.match(lines, /needs a port \(no serial port here\)/);
    assert.match(lines, /idea \(to do\)/);
  });

  for (const [what, name, text, reason] of [
    ["that cannot be loaded", "unloadable", `throw new Error("no such module");`, /no such module/],
    ["without a test", "empty", "export {};", /holds no test/],
    ["that hangs", "hanging", `${head}setInterval(() => {}, 1000); test("fine", () => {});`, /had not ended after 5 s/],
    [
      "that ends with a code no test explains",
      "lying",
      `${head}test("fine", () => {}); process.on("exit", () => { process.exitCode = 9; });`,
      /ended with 9/,
    ],
  ] as const)
    test(`${what} is a failure that is explained`, async () => {
      const { closing, lines } = await outcomeOf(name, text);
      assert.match(closing, /^\d+ passed, 1 failed, 0 skipped$/);
      assert.match(lines, reason);
    });
});

describe("the search for test files", () => {
  const folders = ["one", "two"];
  for (const file of [
    "one/src/a.test.ts",
    "one/src/b.services.test.ts",
    "one/node_modules/c.test.ts",
    "two/testing/d.test.ts",
    "two/test.ts",
  ])
    write(file, "");

  test("finds unit tests and service tests apart, and nothing in node_modules", () => {
    assert.deepEqual(findTests(root, folders, "unit", []), ["one/src/a.test.ts", "two/testing/d.test.ts"]);
    assert.deepEqual(findTests(root, folders, "services", []), ["one/src/b.services.test.ts"]);
  });

  test("takes parts of paths and globs as patterns", () => {
    assert.deepEqual(findTests(root, folders, "unit", ["testing/"]), ["two/testing/d.test.ts"]);
    assert.deepEqual(findTests(root, folders, "unit", ["one/**/*.ts"]), ["one/src/a.test.ts"]);
    assert.deepEqual(findTests(root, folders, "unit", ["nothing"]), []);
  });

  test("covers every workspace of the house and its scripts", () => {
    const found = testFolders(dirname(import.meta.dirname));
    for (const folder of [
      "protocol",
      "node-runtime",
      "coordinator",
      "contracts",
      "dashboards/web",
      "localnet",
      "scripts",
    ])
      assert.ok(found.includes(folder), `${folder} is not searched`);
  });
});
