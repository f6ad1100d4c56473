/**
 * The rules of ARCHITECTURE.md that a machine can hold: who imports whom, where effects live, how files are named and how long
 * they grow. Works on texts, not on a disk, so that its own test can show it small broken trees.
 */
import { posix } from "node:path";
import ts from "typescript";

/** Paths from the repository's root, with forward slashes, and what the files hold. */
export type Tree = ReadonlyMap<string, string>;

/** One broken rule at one place. */
export type Violation = { readonly rule: Rule; readonly file: string; readonly detail: string };

export const rules = {
  arrow:
    "packages import only along the arrows protocol <- programs and contracts/abi <- coordinator, dashboards, localnet; neighbours is for tests and the laboratory",
  door: "a package is entered only through its one door, and relative imports never leave a package",
  manifest: "what a package imports of this house stands in its package.json",
  "one-door": "a package.json offers at most one door in its exports",
  stage:
    "in node-runtime/src and coordinator/src every file is of a stage, or is main, pipeline, settings, model, fault, admission-thread, command-line or a command",
  "stage-arrow":
    "a stage imports itself, model and fault; only pipeline joins stages; main imports pipeline, settings, the commands and, to open the edges, wire, store and validate; a command what it needs; admission-thread imports validate",
  model: "model.ts of a staged package holds types only and imports nothing but types",
  sql: "SQL and its drivers stay in store/",
  pure: "validate/ and decide/ have no clock, no randomness and no I/O",
  name: "no file or class is named utils, helpers, common, shared, misc, base or manager",
  length: "no source file has more than 600 lines",
} as const;
export type Rule = keyof typeof rules;

/** Which doors of other packages each package may use. A package that is not named here may use none. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  "node-runtime": ["protocol"],
  coordinator: ["protocol", "contracts", "neighbours"],
  flows: ["protocol"],
  "dashboards/web": ["protocol"],
  hardware: ["protocol"],
  localnet: ["protocol", "contracts", "neighbours"],
};
/** The page takes types only: what it imported at run time, every visitor would download. */
const typesOnly = "dashboards/web";

const stagedPackages = ["node-runtime", "coordinator"];
const stages = ["wire", "validate", "store", "decide", "act"] as const;
const besideStages = [
  "main",
  "pipeline",
  "settings",
  "model",
  "fault",
  "admission-thread",
  "command-line",
  "access-command",
  "ledger-command",
  "size-command",
] as const;
type Part = (typeof stages)[number] | (typeof besideStages)[number];

const reach: Readonly<Record<Part, readonly Part[]>> = {
  wire: ["wire", "model", "fault"],
  validate: ["validate", "model", "fault"],
  store: ["store", "model", "fault"],
  decide: ["decide", "model", "fault"],
  act: ["act", "model", "fault"],
  pipeline: [...stages, "settings", "model", "fault", "admission-thread"],
  main: [
    "pipeline",
    "settings",
    "model",
    "fault",
    "wire",
    "store",
    "validate",
    "access-command",
    "ledger-command",
    "size-command",
  ],
  "command-line": ["fault"],
  "access-command": ["command-line", "decide", "validate", "wire", "model", "fault"],
  "ledger-command": ["command-line", "decide", "store", "wire", "model", "fault"],
  "size-command": ["decide", "model", "fault"],
  "admission-thread": ["validate", "model", "fault"],
  settings: ["model", "fault"],
  model: [],
  fault: [],
};

const longestFile = 600;
const bannedWords = ["util", "utils", "helper", "helpers", "common", "shared", "misc", "base", "manager", "managers"];
const sqlDrivers = ["better-sqlite3", "pg", "pg-copy-streams", "kysely", "node:sqlite"];
const sqlText =
  /^\s*(?:SELECT\s[\s\S]*\bFROM\b|INSERT\s+(?:OR\s+\w+\s+)?INTO\b|UPDATE\s+\w+\s+SET\b|DELETE\s+FROM\b|(?:CREATE|DROP|ALTER)\s+(?:TABLE|INDEX|TRIGGER|VIEW)\b|PRAGMA\s|BEGIN\s+(?:IMMEDIATE|EXCLUSIVE)\b)/i;
const effectModules =
  /^(?:node:)?(?:fs|fs\/promises|net|tls|dgram|dns|http|https|http2|child_process|worker_threads|cluster|timers|timers\/promises|os|perf_hooks)$|^(?:mqtt|aedes|fastify|serialport|better-sqlite3|pg|pg-copy-streams|nats|mqtt-packet|nkeys\.js|onnxruntime-node|pm2)$/;
const effectNames: Readonly<Record<string, readonly string[]>> = {
  Date: ["now"],
  Math: ["random"],
  performance: ["now", "timeOrigin"],
  process: ["hrtime", "env", "uptime", "cwd"],
  crypto: ["randomBytes", "randomUUID", "randomInt", "getRandomValues", "randomFillSync"],
};
const effectFunctions = [
  "randomBytes",
  "randomUUID",
  "randomInt",
  "randomFillSync",
  "fetch",
  "setTimeout",
  "setInterval",
  "setImmediate",
];

type Package = {
  readonly folder: string;
  readonly name: string;
  /** What others write to import it, "" when it offers nothing. */
  readonly door: string;
  readonly exports: readonly string[];
  readonly dependencies: readonly string[];
};

type Manifest = {
  readonly name?: string;
  readonly exports?: string | Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
};

/** One imported name of a file: `typeOnly` when nothing of it is left at run time. */
type Import = { readonly specifier: string; readonly typeOnly: boolean };

/** Every broken rule of the tree, in the order of its files. The root package.json names the workspaces. */
export function inspect(tree: Tree): readonly Violation[] {
  const packages = packagesOf(tree);
  const violations: Violation[] = [...packages].flatMap((each) =>
    each.exports.length > 1
      ? [
          {
            rule: "one-door" as const,
            file: `${each.folder}/package.json`,
            detail: `exports ${each.exports.join(", ")}`,
          },
        ]
      : [],
  );
  for (const [file, text] of [...tree].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const report = (rule: Rule, detail: string) => violations.push({ rule, file, detail });
    if (!/\.(?:ts|tsx|mts|mjs|cjs|js|sol|css)$/.test(file)) continue;
    checkName(file, report);
    checkLength(text, report);
    if (!/\.(?:ts|tsx|mts|mjs)$/.test(file)) continue;
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
    checkClassNames(source, report);
    const home = packages.find(({ folder }) => file.startsWith(`${folder}/`));
    const imports = importsOf(source);
    if (home !== undefined) checkImports(home, packages, file, imports, report);
    if (home !== undefined && stagedPackages.includes(home.folder) && file.startsWith(`${home.folder}/src/`))
      checkStages(`${home.folder}/src/`, file, source, imports, report);
  }
  return violations;
}

type Report = (rule: Rule, detail: string) => void;

function packagesOf(tree: Tree): readonly Package[] {
  const manifestAt = (path: string) => JSON.parse(tree.get(path) ?? "{}") as Manifest & { workspaces?: string[] };
  return (manifestAt("package.json").workspaces ?? []).map((folder) => {
    const {
      name = folder,
      exports = {},
      dependencies = {},
      devDependencies = {},
    } = manifestAt(`${folder}/package.json`);
    const doors = typeof exports === "string" ? ["."] : Object.keys(exports);
    return {
      folder,
      name,
      door: doors[0] === undefined ? "" : posix.join(name, doors[0]),
      exports: doors,
      dependencies: Object.keys({ ...dependencies, ...devDependencies }),
    };
  });
}

/** Imports, re-exports, dynamic imports and import types with a literal specifier. */
function importsOf(source: ts.SourceFile): readonly Import[] {
  const found: Import[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      const clause = node.importClause;
      const named = clause?.namedBindings;
      const onlyTypes =
        clause !== undefined &&
        (clause.phaseModifier === ts.SyntaxKind.TypeKeyword ||
          (clause.name === undefined &&
            named !== undefined &&
            ts.isNamedImports(named) &&
            named.elements.length > 0 &&
            named.elements.every((element) => element.isTypeOnly)));
      found.push({ specifier: node.moduleSpecifier.text, typeOnly: onlyTypes });
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier && ts.isStringLiteral(node.moduleSpecifier)) {
      found.push({ specifier: node.moduleSpecifier.text, typeOnly: node.isTypeOnly });
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [target] = node.arguments;
      if (target !== undefined && ts.isStringLiteral(target)) found.push({ specifier: target.text, typeOnly: false });
    } else if (
      ts.isImportTypeNode(node) &&
      ts.isLiteralTypeNode(node.argument) &&
      ts.isStringLiteral(node.argument.literal)
    ) {
      found.push({ specifier: node.argument.literal.text, typeOnly: true });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function checkName(file: string, report: Report): void {
  for (const segment of file.split("/")) {
    const words = segment.toLowerCase().split(/[-_.]/);
    const banned = words.find((word) => bannedWords.includes(word));
    if (banned !== undefined) report("name", `"${segment}" holds the word "${banned}"`);
  }
}

function checkClassNames(source: ts.SourceFile, report: Report): void {
  const visit = (node: ts.Node): void => {
    if (ts.isClassLike(node) || ts.isInterfaceDeclaration(node)) {
      const last = (node.name?.text ?? "").split(/(?=[A-Z])/).at(-1) ?? "";
      if (bannedWords.includes(last.toLowerCase())) report("name", `class or interface ${node.name?.text}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
}

function checkLength(text: string, report: Report): void {
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  if (lines > longestFile) report("length", `${lines} lines`);
}

function checkImports(
  home: Package,
  packages: readonly Package[],
  file: string,
  imports: readonly Import[],
  report: Report,
): void {
  for (const { specifier, typeOnly } of imports) {
    if (specifier.startsWith(".")) {
      const target = posix.join(posix.dirname(file), specifier);
      if (!target.startsWith(`${home.folder}/`)) report("door", `${specifier} leaves ${home.folder}`);
      continue;
    }
    const other = packages.find(({ name }) => specifier === name || specifier.startsWith(`${name}/`));
    if (other === undefined || other === home) continue;
    if (!(arrows[home.folder] ?? []).includes(other.folder)) report("arrow", `${home.folder} imports ${specifier}`);
    else if (home.folder === typesOnly && file.startsWith(`${typesOnly}/src/`) && !typeOnly)
      report("arrow", `${specifier} is imported at run time`);
    else if (specifier !== other.door) report("door", `${specifier} is not the door ${other.door}`);
    else if (!home.dependencies.includes(other.name))
      report("manifest", `${other.name} is not a dependency of ${home.name}`);
  }
}

/** The part a path below src/ belongs to: "wire/serial.ts" to wire, "pipeline.test.ts" to pipeline. */
function partOf(path: string): Part | undefined {
  const [first = "", ...rest] = path.split("/");
  if (rest.length > 0) return stages.find((stage) => stage === first);
  return besideStages.find((name) => new RegExp(`^${name}(?:\\.services)?(?:\\.test)?\\.ts$`).test(first));
}

function checkStages(
  src: string,
  file: string,
  source: ts.SourceFile,
  imports: readonly Import[],
  report: Report,
): void {
  const part = partOf(file.slice(src.length));
  if (part === undefined) {
    report("stage", "belongs to no stage");
    return;
  }
  const isTest = /\.test\.ts$/.test(file);
  for (const { specifier } of imports) {
    const target = specifier.startsWith(".") ? posix.join(posix.dirname(file), specifier) : "";
    if (!target.startsWith(src)) {
      if (target !== "" && !isTest) report("stage-arrow", `${specifier} is outside of src/`);
      continue;
    }
    const other = partOf(target.slice(src.length));
    if (/\.test\.ts$/.test(target)) report("stage-arrow", `${specifier} is a test`);
    else if (other === undefined || !(reach[part].includes(other) || (isTest && other === part)))
      report("stage-arrow", `${part} imports ${specifier}`);
  }
  if (part === "model" && !isTest) checkModel(source, imports, report);
  if (part !== "store") checkSql(source, imports, report);
  if ((part === "validate" || part === "decide") && !isTest) checkPure(source, imports, report);
}

function checkModel(source: ts.SourceFile, imports: readonly Import[], report: Report): void {
  for (const { specifier, typeOnly } of imports) if (!typeOnly) report("model", `imports ${specifier} at run time`);
  for (const statement of source.statements) {
    const erased =
      ts.isTypeAliasDeclaration(statement) ||
      ts.isInterfaceDeclaration(statement) ||
      ts.isImportDeclaration(statement) ||
      (ts.isExportDeclaration(statement) && (statement.isTypeOnly || statement.moduleSpecifier !== undefined));
    if (!erased) report("model", `run-time code: ${statement.getText().split("\n")[0] ?? ""}`);
  }
}

function checkSql(source: ts.SourceFile, imports: readonly Import[], report: Report): void {
  for (const { specifier, typeOnly } of imports)
    if (sqlDrivers.includes(specifier) && !typeOnly) report("sql", `imports ${specifier}`);
  const visit = (node: ts.Node): void => {
    const text = ts.isStringLiteralLike(node) || ts.isTemplateHead(node) ? node.text : "";
    if (sqlText.test(text)) report("sql", `text "${text.trim().slice(0, 40)}"`);
    ts.forEachChild(node, visit);
  };
  visit(source);
}

function checkPure(source: ts.SourceFile, imports: readonly Import[], report: Report): void {
  for (const { specifier, typeOnly } of imports)
    if (effectModules.test(specifier) && !typeOnly) report("pure", `imports ${specifier}`);
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression)) {
      const owner = node.expression.text;
      if (Object.hasOwn(effectNames, owner) && effectNames[owner]?.includes(node.name.text))
        report("pure", `${owner}.${node.name.text}`);
    }
    const called = ts.isCallExpression(node) || ts.isNewExpression(node) ? node.expression : undefined;
    if (called !== undefined && ts.isIdentifier(called)) {
      const withoutArguments = (node as ts.CallExpression | ts.NewExpression).arguments?.length === 0;
      if (effectFunctions.includes(called.text)) report("pure", `${called.text}()`);
      if (called.text === "Date" && (ts.isCallExpression(node) || withoutArguments)) report("pure", "the current date");
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
}
