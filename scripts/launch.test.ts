import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

const scratch = mkdtempSync(join(tmpdir(), "cairn-launch-"));
after(() => rmSync(scratch, { recursive: true }));
let clones = 0;

const lock = (version: string) =>
  JSON.stringify({
    packages: {
      "": {},
      protocol: {},
      "node_modules/@x/protocol": { resolved: "protocol", link: true },
      "node_modules/a": { version },
      "node_modules/only-elsewhere": { version: "1.0.0", optional: true },
      "localnet/node_modules/b": { version: "2.0.0" },
    },
  });

/** What npm leaves behind, without the package of another platform. */
const installedRecord = JSON.stringify({
  packages: { "node_modules/a": { version: "1.0.0" }, "localnet/node_modules/b": { version: "2.0.0" } },
});

/** A stand-in for npm: notes how it was called and installs what the launch script looks for. */
const npm = `
  import { appendFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
  appendFileSync("npm-calls", process.argv.slice(2).join(" ") + "\\n");
  console.log("added 3 packages");
  if (process.env.BREAK) { console.error("npm error: no registry"); process.exit(1); }
  rmSync("node_modules", { recursive: true, force: true });
  mkdirSync("node_modules/node/bin", { recursive: true });
  symlinkSync(${JSON.stringify(process.execPath)}, "node_modules/node/bin/node");
  writeFileSync("node_modules/.package-lock.json", ${JSON.stringify(installedRecord)});
`;

/** A fresh clone with one program. */
function clone(program: string): string {
  const root = join(scratch, `${++clones}`);
  mkdirSync(join(root, "scripts"), { recursive: true });
  copyFileSync(join(import.meta.dirname, "launch.mjs"), join(root, "scripts", "launch.mjs"));
  writeFileSync(join(root, "package.json"), '{"type":"module"}');
  writeFileSync(join(root, "package-lock.json"), lock("1.0.0"));
  writeFileSync(join(root, "npm.js"), npm);
  writeFileSync(join(root, "program.ts"), program);
  return root;
}

function putInstallation(root: string): void {
  mkdirSync(join(root, "node_modules", "node", "bin"), { recursive: true });
  symlinkSync(process.execPath, join(root, "node_modules", "node", "bin", "node"));
  writeFileSync(join(root, "node_modules", ".package-lock.json"), installedRecord);
}

/** Another Node than the pinned one, as on a machine with an older version: a copy has another path. */
function otherNode(): string {
  const copy = join(scratch, "other-node");
  if (!existsSync(copy)) copyFileSync(process.execPath, copy);
  return copy;
}

function start(root: string, args: readonly string[], environment: Record<string, string> = {}, node = otherNode()) {
  const child = spawn(node, ["scripts/launch.mjs", ...args], {
    cwd: root,
    env: { ...process.env, npm_execpath: join(root, "npm.js"), ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return { child, ended, stdout: () => stdout };
}

const calls = (root: string) =>
  existsSync(join(root, "npm-calls")) ? readFileSync(join(root, "npm-calls"), "utf8") : "";

describe("the launch script on a fresh clone", () => {
  test("installs once, quietly, and hands on arguments and exit code", async () => {
    const root = clone(
      "const words: string[] = process.argv.slice(2); console.log(words.join('|')); process.exitCode = 7;",
    );
    const first = await start(root, ["program.ts", "--nodes", "5", "a b"]).ended;
    assert.deepEqual([first.code, first.stdout], [7, "--nodes|5|a b\n"]);
    assert.match(first.stderr, /^installing packages \(npm ci\)/);
    assert.doesNotMatch(first.stderr, /added 3 packages/);
    assert.equal(calls(root), "ci --include=dev --include=optional --no-audit --no-fund\n");
    const second = await start(root, ["program.ts"]).ended;
    assert.equal(second.stderr, "");
    assert.equal(calls(root).split("\n").length, 2);
  });

  test("installs again when the lock file changed", async () => {
    const root = clone("");
    await start(root, ["program.ts"]).ended;
    writeFileSync(join(root, "package-lock.json"), lock("1.0.1"));
    await start(root, ["program.ts"]).ended;
    assert.equal(calls(root).split("\n").length, 3);
  });

  test("shows npm's output and starts nothing when the installation fails", async () => {
    const root = clone("console.log('started')");
    const { code, stdout, stderr } = await start(root, ["program.ts"], { BREAK: "1" }).ended;
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /added 3 packages\nnpm error: no registry\nnpm ci ended with code 1/);
  });
});

describe("the launch script on an installation made by hand", () => {
  test("recognises it, and leaves out what is optional", async () => {
    const root = clone("console.log('started')");
    putInstallation(root);
    assert.equal((await start(root, ["program.ts"]).ended).stdout, "started\n");
    assert.equal(calls(root), "");
  });

  test("installs when it holds another version than the lock file names", async () => {
    const root = clone("");
    putInstallation(root);
    writeFileSync(join(root, "package-lock.json"), lock("1.0.1"));
    await start(root, ["program.ts"]).ended;
    assert.equal(calls(root).split("\n").length, 2);
  });
});

describe("a program under the launch script", () => {
  const waiting = `
    let count = 0;
    process.on("SIGTERM", () => { count += 1; if (count === 1) setTimeout(() => { console.log("signals: " + count); process.exit(3); }, 200); });
    setInterval(() => {}, 1000);
    console.log("up");`;

  for (const [name, node] of [
    ["another Node", otherNode()],
    ["the pinned Node", process.execPath],
  ] as const)
    test(`gets signals sent to the launcher and decides when to end, under ${name}`, async () => {
      const root = clone(waiting);
      putInstallation(root);
      const { child, ended, stdout } = start(root, ["program.ts"], {}, node);
      while (!stdout().includes("up")) await sleep(20);
      child.kill("SIGTERM");
      assert.deepEqual(await ended, { code: 3, stdout: "up\nsignals: 1\n", stderr: "" });
    });

  test("notices that the launcher was killed outright", async () => {
    const root = clone(`
        import { writeFileSync } from "node:fs";
        process.once("disconnect", () => { writeFileSync("noticed", ""); process.exit(0); });
        setInterval(() => {}, 1000);
        console.log("up");`);
    putInstallation(root);
    const { child, stdout } = start(root, ["program.ts"]);
    while (!stdout().includes("up")) await sleep(20);
    child.kill("SIGKILL");
    for (let waited = 0; !existsSync(join(root, "noticed")); waited += 20) {
      assert.ok(waited < 5_000, "the program goes on without its launcher");
      await sleep(20);
    }
  });

  test("is not started when a part cannot be built", async () => {
    const root = clone("console.log('started')");
    putInstallation(root);
    writeFileSync(join(root, "scripts", "build.ts"), "console.error('broken part'); process.exitCode = 1;");
    const { code, stdout, stderr } = await start(root, ["--build", "program.ts"]).ended;
    assert.deepEqual([code, stdout, stderr], [1, "", "broken part\n"]);
  });

  test("that does not exist is an error, and no program at all is said with the usage", async () => {
    const root = clone("");
    putInstallation(root);
    assert.equal((await start(root, ["nowhere.ts"]).ended).code, 1);
    const { code, stderr } = await start(root, []).ended;
    assert.equal(code, 2);
    assert.match(stderr, /^usage:/);
  });
});
