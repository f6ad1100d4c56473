import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { parseAllDocuments } from "yaml";
import { openPostgres, openTemporaryPostgresLedger } from "../coordinator/testing/temporary-postgres.ts";
import { deployedLines, type KubernetesObject, kustomized, withValues } from "./deploy.ts";

const root = dirname(import.meta.dirname);
const deploy = join(root, "deploy");
const program = join(root, "coordinator/src/main.ts");

function run(program: string, args: readonly string[], input?: string) {
  return spawnSync(program, args, { encoding: "utf8", ...(input === undefined ? {} : { input }) });
}

function missing(program: string, context: TestContext): boolean {
  const { error } = run(program, ["--help"]);
  if (error) context.skip(`${program} is not on this machine`);
  return error !== undefined;
}

function inFolder(work: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "cairn-deploy-"));
  try {
    work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("systemd takes every unit, and finds little in their sandboxes to object to", (context) => {
  if (missing("systemd-analyze", context)) return;
  inFolder((folder) => {
    cpSync(join(deploy, "systemd"), folder, { recursive: true });
    renameSync(join(folder, "cairn-coordinator@.service"), join(folder, "cairn-coordinator@a.service"));
    const units = readdirSync(folder).filter((name) => /\.(service|timer)$/.test(name));
    assert.ok(units.length >= 5);
    for (const name of units) {
      // The programs are not installed where the units look for them.
      const text = readFileSync(join(folder, name), "utf8");
      writeFileSync(join(folder, name), text.replaceAll(/(?<==)(?:\/usr\/bin\/node|\/opt\/\S+)/g, "/bin/true"));
    }
    const known = /Unknown key '(RestartSteps|RestartMaxDelaySec)'/;
    for (const name of units) {
      const { status, stdout, stderr } = run("systemd-analyze", ["verify", "--man=no", join(folder, name)]);
      const words = `${stdout}${stderr}`.split("\n").filter((line) => line.includes("cairn-") && !known.test(line));
      assert.deepEqual(words, [], name);
      assert.equal(status, 0, name);
      if (!name.endsWith(".service")) continue;
      const security = ["security", "--offline=true", "--threshold=20", join(folder, name)];
      assert.equal(run("systemd-analyze", security).status, 0, `${name} is exposed by more than 2.0`);
    }
  });
});

test("kustomize makes of each overlay the objects that were checked, and every field of a pod is one of Kubernetes'", (context) => {
  if (missing("kubectl", context)) return;
  for (const overlay of ["single", "cluster"]) {
    const folder = join(deploy, "kubernetes/overlays", overlay);
    const made = run("kubectl", ["kustomize", folder]);
    assert.equal(made.status, 0, made.stderr);
    const objects = objectsIn(made.stdout);
    const names = (list: readonly KubernetesObject[]) =>
      list.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort();
    const generated = /-[a-z0-9]{10}$/;
    assert.deepEqual(
      names(objects).map((name) => (/^(ConfigMap|Secret) /.test(name) ? name.replace(generated, "") : name)),
      names(kustomized(folder)),
    );
    // A command that reads pods into kubectl's own types and writes them again loses what these types do not have.
    const again = run("kubectl", ["set", "env", "--local", "-f", "-", "-o", "yaml", "A=B"], made.stdout);
    const read = objectsIn(again.stdout);
    const workloads = objects.filter(({ kind }) => /^(Deployment|StatefulSet|CronJob)$/.test(kind));
    assert.ok(workloads.length > 0);
    for (const workload of workloads) {
      const { kind, metadata } = workload;
      const same = read.find((each) => each.kind === kind && each.metadata.name === metadata.name);
      assert.deepEqual(lost(workload, same, `${kind} ${metadata.name}`), []);
    }
    const typo = made.stdout.replace("readinessProbe:", "readynessProbe:");
    const misread = run("kubectl", ["set", "env", "--local", "-f", "-", "-o", "yaml", "A=B"], typo).stdout;
    assert.ok(!misread.includes("readynessProbe"));
  }
});

function objectsIn(text: string): KubernetesObject[] {
  type List = { kind: string; items?: KubernetesObject[] };
  return parseAllDocuments(text)
    .map((document) => document.toJS() as (List & KubernetesObject) | null)
    .flatMap((each) => (each === null ? [] : (each.items ?? [each])));
}

/** Paths of values that are in `wanted` and not in `found`. Amounts may be written in another unit. */
function lost(wanted: unknown, found: unknown, path: string): string[] {
  if (typeof wanted === "object" && wanted !== null) {
    if (Object.keys(wanted).length === 0) return [];
    return Object.entries(wanted).flatMap(([name, value]) =>
      lost(value, (found as Record<string, unknown> | undefined)?.[name], `${path}/${name}`),
    );
  }
  const isAmount = /\/(requests|limits|sizeLimit)\b/.test(path) && found !== undefined;
  return wanted === found || isAmount ? [] : [path];
}

test("a NATS server takes the configuration that is written for the deployments", (context) => {
  if (missing("nats-server", context)) return;
  inFolder((folder) => {
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const node = {
      name: "a",
      publicKey: publicKey.export({ format: "pem", type: "spki" }),
      operator: `0x${"11".repeat(20)}`,
    };
    writeFileSync(join(folder, "roster.json"), JSON.stringify({ nodes: [node] }));
    const readme = readFileSync(join(deploy, "README.md"), "utf8").replaceAll("\\\n", " ");
    const commands = [...readme.matchAll(/cairn-coordinator (access --broker nats [^\n`]*)/g)].map(
      ([, words = ""]) => words,
    );
    assert.equal(commands.length, 2);
    for (const [index, words] of commands.entries()) {
      const out = join(folder, String(index));
      const args = withValues(words.trim().split(/\s+/), { roster: join(folder, "roster.json"), out });
      const written = run(process.execPath, [program, ...args]);
      assert.equal(written.status, 0, written.stderr);
      for (const server of ["nats-0", "nats-1", "nats-2"]) {
        const checked = run("nats-server", ["-t", "-c", join(out, `${server}.conf`)]);
        assert.equal(checked.status, 0, checked.stderr);
        assert.match(readFileSync(join(out, `${server}.conf`), "utf8"), /store_dir: "\/data\//);
      }
      assert.ok(readdirSync(out).includes("coordinator.creds"));
    }
  });
});

test("every backup of a PostgreSQL ledger and the drill behind it do their work, with exactly the settings that are written there", async () => {
  const isOn = (line: readonly string[]) => line[0] === "ledger" && line.some((word) => word.includes("postgres://"));
  const drills = deployedLines(deploy).filter(({ line }) => isOn(line));
  assert.deepEqual(
    drills.map(({ file, line }) => `${file} ${line[1]}`),
    ["kubernetes/overlays/cluster", "compose/compose.yaml", "systemd/backup.env.example"].flatMap((file) => [
      `${file} backup`,
      `${file} verify`,
    ]),
  );
  const server = await openPostgres();
  const folder = mkdtempSync(join(tmpdir(), "cairn-deploy-"));
  try {
    const { url, remove } = await openTemporaryPostgresLedger(server);
    const password = join(folder, "password");
    writeFileSync(password, "secret", { mode: 0o600 });
    for (const [index, { file, line }] of drills.entries()) {
      const out = join(folder, String(index - (index % 2)));
      mkdirSync(out, { recursive: true });
      const words = withValues(line, { ledger: url, out, from: out, "ledger-password-file": password });
      const { status, stderr } = run(process.execPath, [program, ...words]);
      assert.equal(status, 0, `${file}: ${stderr}`);
      assert.ok(readdirSync(out).some((name) => name.endsWith(".cairn-ledger")));
    }
    await remove();
  } finally {
    await server.remove();
    rmSync(folder, { recursive: true });
  }
});
