/**
 * Checks of what lies in deploy/ that need no container engine: Kubernetes objects against their schemas and each other, systemd units by the names of their
 * directives, command lines against the coordinator's settings. Works on parsed objects and texts, so that its test can show it broken ones.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, normalize } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { schemaProblems } from "./deploy-schemas.ts";

type Fields = { readonly [name: string]: unknown };
export type KubernetesObject = Fields & { readonly kind: string; readonly metadata: { readonly name: string } };

/** Reads a value along a path of names and places; undefined where it ends early. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((each, name) => (each as Fields | undefined)?.[name], value);
}

function list(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value : [];
}

/** All objects that a kustomization leads to, generated ones included. Throws an Error naming a file that is missing. */
export function kustomized(folder: string): KubernetesObject[] {
  const file = join(folder, "kustomization.yaml");
  if (!existsSync(file)) throw new Error(`${file} is missing`);
  const kustomization = parse(readFileSync(file, "utf8"), { strict: true }) as Fields;
  const known = ["apiVersion", "kind", "namespace", "resources", "configMapGenerator", "secretGenerator", "images"];
  const unknown = Object.keys(kustomization).filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`${file}: ${unknown.join(", ")} is not understood here`);
  const objects = ((kustomization.resources ?? []) as string[]).flatMap((resource) => {
    const path = normalize(join(folder, resource));
    if (!existsSync(path)) throw new Error(`${file}: ${resource} is missing`);
    return resource.endsWith(".yaml") ? documents(path) : kustomized(path);
  });
  const generators = [
    ...list(kustomization.configMapGenerator).map((each) => ({ ...each, kind: "ConfigMap" }) as Fields),
    ...list(kustomization.secretGenerator).map((each) => ({ ...each, kind: "Secret" }) as Fields),
  ];
  const generated = generators.map((generator): KubernetesObject => {
    const literals = (generator.literals ?? []) as string[];
    const files = ((generator.files ?? []) as string[]).map((name) => {
      if (!existsSync(join(folder, name))) throw new Error(`${file}: ${name} is missing`);
      return [name.split("/").at(-1) ?? name, readFileSync(join(folder, name), "utf8")] as const;
    });
    const texts: [string, string][] = [...literals.map((each) => each.split(/=(.*)/s)), ...files].map(
      ([name = "", text = ""]) => [name, generator.kind === "Secret" ? Buffer.from(text).toString("base64") : text],
    );
    const data = Object.fromEntries(texts);
    return { apiVersion: "v1", kind: String(generator.kind), metadata: { name: String(generator.name) }, data };
  });
  return [...objects, ...generated];
}

function documents(path: string): KubernetesObject[] {
  return parseAllDocuments(readFileSync(path, "utf8"), { strict: true }).map((document) => {
    const [error] = [...document.errors, ...document.warnings];
    if (error) throw new Error(`${path}: ${error.message}`);
    return document.toJS() as KubernetesObject;
  });
}

type Pod = {
  readonly owner: string;
  readonly labels: Fields;
  readonly spec: Fields;
  readonly claims: readonly string[];
};

/** The pods that the objects make. `claims`: volumes that a StatefulSet brings along. */
export function podsOf(objects: readonly KubernetesObject[]): Pod[] {
  return objects.flatMap((object) => {
    const template = at(object, "spec", "template") ?? at(object, "spec", "jobTemplate", "spec", "template");
    if (template === undefined) return [];
    return [
      {
        owner: `${object.kind} ${object.metadata.name}`,
        labels: (at(template, "metadata", "labels") ?? {}) as Fields,
        spec: (at(template, "spec") ?? {}) as Fields,
        claims: list(at(object, "spec", "volumeClaimTemplates")).map((claim) => String(at(claim, "metadata", "name"))),
      },
    ];
  });
}

const containersOf = (pod: Pod) => [...list(pod.spec.initContainers), ...list(pod.spec.containers)];
const portsOf = (pod: Pod) => containersOf(pod).flatMap((container) => list(container.ports));

/** Whether labels fit a selector's matchLabels; an empty selector fits all. */
function fits(selector: unknown, labels: Fields): boolean {
  return Object.entries((at(selector, "matchLabels") ?? {}) as Fields).every(([name, value]) => labels[name] === value);
}

/** What is wrong between the objects of one deployment, in words; empty when nothing is. */
export function kubernetesProblems(objects: readonly KubernetesObject[]): string[] {
  const problems: string[] = [];
  const names = new Set<string>();
  for (const object of objects) {
    const { kind, metadata } = object;
    const name = `${kind} ${metadata?.name}`;
    problems.push(...schemaProblems(object));
    if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(metadata?.name ?? ""))
      problems.push(`${name}: no name for an object`);
    if (names.has(name)) problems.push(`${name} is there twice`);
    names.add(name);
  }
  const pods = podsOf(objects);
  for (const object of objects) problems.push(...objectProblems(object, pods));
  for (const pod of pods) problems.push(...podProblems(pod, objects));
  return problems;
}

function objectProblems(object: KubernetesObject, pods: readonly Pod[]): string[] {
  const name = `${object.kind} ${object.metadata.name}`;
  const problems: string[] = [];
  const spec = object.spec;
  if (object.kind === "Deployment" || object.kind === "StatefulSet") {
    const pod = pods.find(({ owner }) => owner === name);
    if (at(spec, "selector", "matchLabels") === undefined || !fits(at(spec, "selector"), pod?.labels ?? {}))
      problems.push(`${name}: its selector does not fit its own pods`);
    const others = pods.filter(({ owner, labels }) => owner !== name && fits(at(spec, "selector"), labels));
    if (others.length > 0) problems.push(`${name}: its selector fits pods of ${others.map(({ owner }) => owner)}`);
  }
  if (object.kind === "Deployment" && at(spec, "strategy", "rollingUpdate", "maxUnavailable") !== 1)
    problems.push(`${name}: an update does not take them one at a time`);
  if (object.kind === "Service") {
    const chosen = pods.filter(({ labels }) => fits({ matchLabels: at(spec, "selector") }, labels));
    if (chosen.length === 0) problems.push(`${name}: its selector fits no pod`);
    for (const port of list(at(spec, "ports")))
      for (const pod of chosen)
        if (!portsOf(pod).some((own) => own.name === port.targetPort))
          problems.push(`${name}: ${pod.owner} has no port ${port.targetPort}`);
  }
  if (object.kind === "PodDisruptionBudget") {
    const chosen = pods.filter(({ labels }) => fits(at(spec, "selector"), labels));
    if (chosen.length !== 1) problems.push(`${name}: its selector fits pods of ${chosen.length} owners`);
    if (at(spec, "maxUnavailable") !== 1) problems.push(`${name}: maxUnavailable is not 1`);
  }
  if (object.kind === "NetworkPolicy") problems.push(...policyProblems(name, spec, pods));
  return problems;
}

function policyProblems(name: string, spec: unknown, pods: readonly Pod[]): string[] {
  const problems: string[] = [];
  const own = pods.filter(({ labels }) => fits(at(spec, "podSelector"), labels));
  if (own.length === 0) problems.push(`${name}: its selector fits no pod`);
  for (const direction of ["ingress", "egress"])
    for (const rule of list(at(spec, direction))) {
      const peers = list(rule.from ?? rule.to).map(({ podSelector }) => {
        const chosen = pods.filter(({ labels }) => fits(podSelector, labels));
        if (chosen.length === 0) problems.push(`${name}: a peer's selector fits no pod`);
        return chosen;
      });
      for (const { port } of list(rule.ports))
        for (const pod of direction === "ingress" ? own : peers.flat())
          if (typeof port === "string" && !portsOf(pod).some((each) => each.name === port))
            problems.push(`${name}: ${pod.owner} has no port ${port}`);
    }
  return problems;
}

/** Claims that StatefulSets make: one a template and replica. */
function claimsOf(objects: readonly KubernetesObject[]): string[] {
  return objects
    .filter(({ kind }) => kind === "StatefulSet")
    .flatMap((object) =>
      list(at(object, "spec", "volumeClaimTemplates")).flatMap((claim) =>
        Array.from(
          { length: Number(at(object, "spec", "replicas") ?? 1) },
          (_, index) => `${at(claim, "metadata", "name")}-${object.metadata.name}-${index}`,
        ),
      ),
    );
}

function podProblems(pod: Pod, objects: readonly KubernetesObject[]): string[] {
  const problems: string[] = [];
  const report = (problem: string) => void problems.push(`${pod.owner}: ${problem}`);
  const has = (kind: string, name: unknown) =>
    objects.some((each) => each.kind === kind && each.metadata.name === name) ||
    (kind === "PersistentVolumeClaim" && claimsOf(objects).includes(String(name)));
  const needs = (kind: string, name: unknown) => {
    if (name !== undefined && !has(kind, name)) report(`there is no ${kind} ${name}`);
  };
  needs("ServiceAccount", pod.spec.serviceAccountName);
  if (pod.spec.automountServiceAccountToken !== false) report("it is given a token of the cluster");
  const context = pod.spec.securityContext;
  if (at(context, "runAsNonRoot") !== true || !(Number(at(context, "runAsUser")) > 0)) report("it may run as root");
  if (at(context, "seccompProfile", "type") !== "RuntimeDefault") report("it has no seccomp profile");
  const lasts = pod.claims.length > 0 || list(pod.spec.volumes).some((volume) => volume.persistentVolumeClaim);
  if (lasts && at(context, "fsGroupChangePolicy") !== "OnRootMismatch")
    report("every start opens the files of its volume to the group, keys of mode 0600 too");
  const near = list(at(pod.spec, "affinity", "podAffinity", "requiredDuringSchedulingIgnoredDuringExecution"));
  const pods = podsOf(objects);
  for (const { labelSelector } of near)
    if (!pods.some(({ labels }) => fits(labelSelector, labels))) report("it is to be near pods that are not there");
  for (const spread of list(pod.spec.topologySpreadConstraints))
    if (!fits(spread.labelSelector, pod.labels)) report("it spreads over other pods than its own");

  const volumes = new Set(pod.claims);
  for (const volume of list(pod.spec.volumes)) {
    volumes.add(String(volume.name));
    needs("ConfigMap", at(volume, "configMap", "name"));
    needs("Secret", at(volume, "secret", "secretName"));
    needs("PersistentVolumeClaim", at(volume, "persistentVolumeClaim", "claimName"));
    for (const source of list(at(volume, "projected", "sources"))) needs("Secret", at(source, "secret", "name"));
  }
  for (const container of containersOf(pod)) {
    const inside = (problem: string) => report(`container ${container.name}: ${problem}`);
    if (!/^[a-z]/.test(String(container.image ?? ""))) inside("it has no image");
    if (at(container, "resources", "requests", "memory") === undefined) inside("it requests no memory");
    if (at(container, "resources", "limits", "memory") === undefined) inside("its memory has no limit");
    const own = container.securityContext;
    if (at(own, "allowPrivilegeEscalation") !== false) inside("it may gain privileges");
    if (at(own, "readOnlyRootFilesystem") !== true) inside("it may write to its image");
    if (JSON.stringify(at(own, "capabilities", "drop")) !== '["ALL"]') inside("it keeps capabilities");
    for (const { name } of list(container.volumeMounts))
      if (!volumes.has(String(name))) inside(`there is no volume ${name}`);
    for (const source of list(container.envFrom)) {
      needs("ConfigMap", at(source, "configMapRef", "name"));
      needs("Secret", at(source, "secretRef", "name"));
    }
    const variables = new Set([
      ...list(container.env).map(({ name }) => name),
      ...list(container.envFrom).flatMap((source) => {
        const from = objects.find((each) => each.metadata.name === at(source, "configMapRef", "name"));
        return Object.keys((from?.data ?? {}) as Fields);
      }),
    ]);
    for (const [, name = ""] of JSON.stringify(container.args ?? []).matchAll(/\$\((\w+)\)/g))
      if (!variables.has(name)) inside(`there is no variable ${name}`);
    for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"]) {
      const port = at(container, probe, "httpGet", "port") ?? at(container, probe, "tcpSocket", "port");
      if (port !== undefined && !list(container.ports).some((each) => each.name === port))
        inside(`${probe} asks at port ${port}, which it does not have`);
    }
    if (list(pod.spec.containers).includes(container) && pod.spec.restartPolicy === undefined)
      for (const probe of ["readinessProbe", "livenessProbe"])
        if (container[probe] === undefined) inside(`it has no ${probe}`);
  }
  return problems;
}

/** The paths that HTTP probes of containers of an image ask for. */
export function probedPaths(objects: readonly KubernetesObject[], image: string): string[] {
  const containers = podsOf(objects)
    .flatMap(containersOf)
    .filter((container) => container.image === image);
  return containers.flatMap((container) =>
    ["startupProbe", "readinessProbe", "livenessProbe"].flatMap((probe) => {
      const path = at(container, probe, "httpGet", "path");
      return path === undefined ? [] : [String(path)];
    }),
  );
}

/** Command lines of the coordinator in a pod. */
export function commandLines(objects: readonly KubernetesObject[], image: string): string[][] {
  return podsOf(objects)
    .flatMap(containersOf)
    .filter((container) => container.image === image && container.args !== undefined)
    .map((container) => container.args as string[]);
}

/** Names of the settings in a command line: --name=value, --name value. */
export function flagsIn(line: readonly string[]): string[] {
  return line.flatMap((word) => /^--([a-z][a-z-]*)/.exec(word)?.[1] ?? []);
}

/** The line with other values: `--name=value` and `--name value`, where `values` has the name. */
export function withValues(line: readonly string[], values: Readonly<Record<string, string>>): string[] {
  const other = (name = "") => (Object.hasOwn(values, name) ? values[name] : undefined);
  return line.map((word, place) => {
    const [, joined] = /^--([a-z-]+)=/.exec(word) ?? [];
    if (joined !== undefined) return other(joined) === undefined ? word : `--${joined}=${other(joined)}`;
    const [, before] = /^--([a-z-]+)$/.exec(line[place - 1] ?? "") ?? [];
    return (word.startsWith("--") ? undefined : other(before)) ?? word;
  });
}

/** Command lines of the coordinator in deploy/, each with the file that it is from; those of units end where their environment begins. */
export function deployedLines(deploy: string): { readonly file: string; readonly line: readonly string[] }[] {
  const read = (file: string) => readFileSync(join(deploy, file), "utf8");
  const overlays = ["single", "cluster"].map((name) => `kubernetes/overlays/${name}`);
  const image = "cairn-coordinator";
  const compose = parse(read("compose/compose.yaml"), { merge: true, strict: true }) as Fields;
  const services = Object.entries((compose.services ?? {}) as Fields);
  const units = readdirSync(join(deploy, "systemd")).filter((name) => name.endsWith(".service"));
  const program = "/opt/cairn/coordinator/src/main.ts ";
  return [
    ...overlays.flatMap((file) => commandLines(kustomized(join(deploy, file)), image).map((line) => ({ file, line }))),
    ...services
      .filter(([, service]) => String(at(service, "image")).includes(image))
      .map(([, service]) => ({ file: "compose/compose.yaml", line: at(service, "command") as string[] })),
    ...units.flatMap((name) =>
      (parseUnit(read(`systemd/${name}`)).get("Service") ?? [])
        .filter(([directive, value]) => directive === "ExecStart" && value.includes(program))
        .map(([, value]) => ({ file: `systemd/${name}`, line: value.split(program)[1]?.split(/\s+/) ?? [] })),
    ),
    ...Object.entries(environments).flatMap(([name, commands]) =>
      [...read(`systemd/${name}`).matchAll(/^#?CAIRN_(\w+)=(.*)$/gm)].map(([, variable = "", words = ""]) => ({
        file: `systemd/${name}`,
        line: [...(commands[variable] ?? [variable]), ...words.split(" ")],
      })),
    ),
  ];
}

/** By file and variable, the command whose settings it holds. */
const environments: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  "coordinator.env.example": { SETTINGS: ["run"] },
  "backup.env.example": { BACKUP: ["ledger", "backup"], DRILL: ["ledger", "verify"] },
};

export type Unit = ReadonlyMap<string, readonly (readonly [name: string, value: string])[]>;

/** A unit file's sections; lines that end in a backslash go on. Throws an Error naming a line that is neither. */
export function parseUnit(text: string): Unit {
  const sections = new Map<string, (readonly [string, string])[]>();
  let section: (readonly [string, string])[] | undefined;
  for (const line of text.replaceAll("\\\n", " ").split("\n")) {
    if (line === "" || /^[#;]/.test(line)) continue;
    const [, heading] = /^\[(\w+)\]$/.exec(line) ?? [];
    const [, name, value = ""] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (heading !== undefined) {
      section = sections.get(heading) ?? [];
      sections.set(heading, section);
    } else if (name !== undefined && section !== undefined) section.push([name, value]);
    else throw new Error(`neither a section nor a directive: ${line}`);
  }
  return sections;
}

const sandbox =
  "NoNewPrivileges CapabilityBoundingSet AmbientCapabilities ProtectSystem ProtectHome PrivateTmp PrivateDevices PrivateUsers ProtectProc ProcSubset ProtectClock ProtectControlGroups ProtectHostname ProtectKernelLogs ProtectKernelModules ProtectKernelTunables ReadWritePaths RemoveIPC RestrictAddressFamilies RestrictNamespaces RestrictRealtime RestrictSUIDSGID LockPersonality KeyringMode SystemCallArchitectures SystemCallFilter SystemCallErrorNumber UMask";
const directives: Readonly<Record<string, readonly string[]>> = {
  Unit: "Description After Wants StartLimitIntervalSec".split(" "),
  Service:
    `Type User Group EnvironmentFile Environment LoadCredential RuntimeDirectory RuntimeDirectoryMode StateDirectory StateDirectoryMode ExecStartPre ExecStart ExecStopPost ExecReload KillSignal TimeoutStartSec TimeoutStopSec Restart RestartSec RestartSteps RestartMaxDelaySec LimitNOFILE MemoryHigh MemoryMax TasksMax OOMPolicy OOMScoreAdjust Nice IOSchedulingClass ${sandbox}`.split(
      " ",
    ),
  Timer: "OnCalendar RandomizedDelaySec Persistent".split(" "),
  Install: ["WantedBy"],
};

/** Sections and directives (systemd.unit(5), .service(5), .exec(5), .timer(5)) that are not known here: probably misspelt. */
export function unknownDirectives(unit: Unit): string[] {
  return [...unit].flatMap(([section, lines]) => {
    const known = directives[section];
    if (known === undefined) return [`[${section}]`];
    return lines.filter(([name]) => !known.includes(name)).map(([name]) => `[${section}] ${name}`);
  });
}
