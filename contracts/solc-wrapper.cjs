#!/usr/bin/env node
// Lets forge use the npm package solc (Emscripten) as if it were the native compiler. Two calls are answered, the two
// that forge makes: --version, and --standard-json with the input on stdin.
"use strict";

const { existsSync, readFileSync, writeSync } = require("node:fs");
const { resolve } = require("node:path");

function loadCompiler() {
  try {
    return require("solc");
  } catch (cause) {
    fail(
      `cannot load the compiler: ${cause.message}\nInstall the dependencies (npm ci at the root of the repository).`,
    );
  }
}

function fail(message) {
  process.stderr.write(`solc-wrapper: ${message}\n`);
  process.exit(1);
}

/** write(2) may take less than all of it, and says EAGAIN when a pipe is full. */
function writeAll(text) {
  const bytes = Buffer.from(text);
  for (let sent = 0; sent < bytes.length; ) {
    try {
      sent += writeSync(1, bytes, sent);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

/** Values of an option, given as `--name value` or `--name=value`, once or often. */
function optionValues(name) {
  const values = [];
  process.argv.forEach((argument, index, all) => {
    if (argument === name && index + 1 < all.length) values.push(all[index + 1]);
    if (argument.startsWith(`${name}=`)) values.push(argument.slice(name.length + 1));
  });
  return values;
}

if (process.argv.includes("--version")) {
  // forge reads the second line, and knows the platform names of native compilers only.
  const version = loadCompiler().version().replace(".Emscripten.clang", ".Linux.g++");
  writeAll(`solc, the solidity compiler commandline interface\nVersion: ${version}\n`);
} else if (process.argv.includes("--standard-json")) {
  const folders = [...optionValues("--base-path"), ...optionValues("--include-path")];
  if (folders.length === 0) folders.push(".");
  const readImport = (path) => {
    const file = folders.map((folder) => resolve(folder, path)).find((candidate) => existsSync(candidate));
    return file === undefined
      ? { error: `not found under ${folders.join(", ")}` }
      : { contents: readFileSync(file, "utf8") };
  };
  writeAll(loadCompiler().compile(readFileSync(0, "utf8"), { import: readImport }));
} else {
  fail(`only --version and --standard-json are understood, not: ${process.argv.slice(2).join(" ")}`);
}
