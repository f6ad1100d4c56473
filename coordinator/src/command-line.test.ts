import assert from "node:assert/strict";
import { test } from "node:test";
import { readOptions, usageOf } from "./command-line.ts";
import { CoordinatorFault } from "./fault.ts";

const options = {
  out: { help: "where to", value: "DIR" },
  days: { help: "how long", value: "N", fallback: "90" },
  user: { help: "who", value: "NAME", fallback: "" },
  rotate: { help: "all anew" },
} as const;

const read = (...args: string[]) => readOptions("trial", options, args);

test("what is given is read, what is not has its default, and a switch is off", () => {
  const given = read("--out", "here", "--days=7", "--rotate");
  assert.ok(given);
  assert.deepEqual([given.text("out"), given.number("days", 1, 9), given.text("user")], ["here", 7, ""]);
  assert.deepEqual([given.has("rotate"), read("--out", "here")?.has("rotate")], [true, false]);
  assert.equal(read("--out", "here")?.text("days"), "90");
});

test("help is asked for with --help, and names every option with its default", () => {
  assert.equal(read("--help"), undefined);
  const text = usageOf("trial", "tries", options);
  for (const name of Object.keys(options)) assert.match(text, new RegExp(`--${name}\\b`));
  assert.match(text, /how long \(default 90\)/);
});

for (const [what, args, message] of [
  ["is missing", [], /--out is missing: where to/],
  ["is empty", ["--out="], /--out is missing/],
  ["is not known", ["--out", "x", "--dir", "y"], /--dir.*trial --help/s],
  ["is no number of its range", ["--out", "x", "--days", "0"], /--days is "0": a whole number from 1 to 9/],
  ["is no number", ["--out", "x", "--days", "1e0"], /--days is "1e0"/],
] as const)
  test(`an option that ${what} is refused by name`, () => {
    assert.throws(
      () => {
        const given = read(...args);
        given?.text("out");
        given?.number("days", 1, 9);
      },
      (error) => {
        assert.ok(error instanceof CoordinatorFault && error.code === "setting-refused");
        assert.match(error.message, message);
        return true;
      },
    );
  });
