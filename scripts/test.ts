/**
 * npm test [-- PATTERN...]: every test that needs nothing but the installed packages. A pattern is a part of a path or a glob.
 * The last line is "N passed, N failed, N skipped"; exit code 1 when a test failed or none was found.
 */
import { dirname } from "node:path";
import { closingLine, findTests, runTests, testFolders } from "./test-run.ts";

const root = dirname(import.meta.dirname);
const files = findTests(root, testFolders(root), "unit", process.argv.slice(2));
if (files.length === 0) console.log(`no test file fits ${process.argv.slice(2).join(" ")}`);
const totals = await runTests({ root, files, concurrency: 2, fileTimeoutMs: 300_000, print: console.log });
console.log(closingLine(totals));
process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : 0;
