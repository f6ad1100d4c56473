/** cairn-coordinator ledger: moves a network to another engine, backs it up, restores it, and proves that a backup can be restored. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Given, type Option, readOptions, refused, usageOf } from "./command-line.ts";
import { closeEpoch } from "./decide/epoch-close.ts";
import { CoordinatorFault } from "./fault.ts";
import { backupLedger, restoreLedger, verifyBackup } from "./store/backup.ts";
import { copyLedger } from "./store/copy.ts";
import type { Progress, TableDigest } from "./store/copy-rows.ts";
import { checkThere, foundingIn, isPostgres, pathOf, withPassword } from "./store/ledger.ts";
import { readSecret } from "./wire/files.ts";

const backupEnding = ".cairn-ledger";

const password: Option = { help: "file with the database's password, mode 0600", value: "FILE", fallback: "" };
const address = "sqlite:PATH or postgres://USER@HOST:PORT/DATABASE";
const json: Option = { help: "one JSON line on standard output at the end, progress on standard error" };

const commands = {
  copy: {
    what: "moves a network from SQLite to PostgreSQL and compares every row; cut at any point, the same command goes on",
    options: {
      from: { help: "the ledger that is there: sqlite:PATH; a coordinator may run on it", value: "ADDRESS" },
      to: {
        help: "an empty database, or one that holds an earlier copy: postgres://USER@HOST:PORT/DATABASE",
        value: "ADDRESS",
      },
      "ledger-password-file": password,
      json,
    },
    run: copy,
  },
  backup: {
    what: "writes a ledger into one file, while coordinators may run on it",
    options: {
      ledger: { help: address, value: "ADDRESS" },
      out: {
        help: "the file to write, which must not be there yet, or a folder for a file named by network and time",
        value: "PATH",
      },
      "ledger-password-file": password,
      json,
    },
    run: backup,
  },
  restore: {
    what: "brings a backup into a new file or an empty database, and compares what it then holds",
    options: {
      from: { help: "the backup, or a folder whose newest one is taken", value: "PATH" },
      ledger: { help: `where to: ${address}`, value: "ADDRESS" },
      "ledger-password-file": password,
      json,
    },
    run: restore,
  },
  verify: {
    what: "the drill: restores a backup aside, compares it with what was noted when it was taken, and removes it again",
    options: {
      from: { help: "the backup, or a folder whose newest one is taken", value: "PATH" },
      ledger: { help: `the ledger that it is of, by whose side PostgreSQL restores it: ${address}`, value: "ADDRESS" },
      folder: {
        help: "SQLite: where there is room to restore it; beside the backup if not said",
        value: "DIR",
        fallback: "",
      },
      "ledger-password-file": password,
      json,
    },
    run: verify,
  },
} as const satisfies Record<string, Command>;

type Command = {
  readonly what: string;
  readonly options: Readonly<Record<string, Option>>;
  run(given: Given<string>, say: (line: string) => void): Promise<Outcome>;
};

/** `lines` in words, `data` for --json. */
type Outcome = { readonly lines: readonly string[]; readonly data: object };

/** Returns the exit code. Throws CoordinatorFault `setting-refused`, `file-missing`, `key-exposed` and `ledger-...`. */
export async function ledgerCommand([name = "", ...args]: readonly string[]): Promise<number> {
  const command: Command | undefined = Object.hasOwn(commands, name)
    ? commands[name as keyof typeof commands]
    : undefined;
  if (!command) {
    if (name !== "" && name !== "--help")
      throw refused(`ledger ${name} is no command: ${Object.keys(commands).join(", ")} are`);
    for (const [each, { what, options }] of Object.entries(commands))
      process.stdout.write(`${usageOf(`ledger ${each}`, what, options)}\n`);
    return 0;
  }
  const given = readOptions(`ledger ${name}`, command.options, args);
  if (!given) {
    process.stdout.write(usageOf(`ledger ${name}`, command.what, command.options));
    return 0;
  }
  const asJson = given.has("json");
  const say = (line: string) => void (asJson ? process.stderr : process.stdout).write(`${line}\n`);
  const { lines, data } = await command.run(given, say);
  for (const line of lines) say(line);
  if (asJson) process.stdout.write(`${JSON.stringify(data)}\n`);
  return 0;
}

async function copy(given: Given<string>, say: (line: string) => void): Promise<Outcome> {
  const to = urlOf(given, "to");
  if (!isPostgres(to))
    throw refused("--to is to be postgres://...: there is nothing beyond it that a ledger would move to");
  const { tables, written, replayed } = await copyLedger({
    from: pathOf(given.text("from")),
    to,
    progress: progressTo(say),
    outcomeOf: closeEpoch,
  });
  const replay = replayed
    ? replayed.kept
      ? `epoch ${replayed.epoch} computed anew from the copied facts: the same root ${replayed.root}`
      : `epoch ${replayed.epoch} was not computed anew: its evidence is no longer kept`
    : "no epoch is closed yet: none was computed anew";
  return {
    lines: [
      `${written} rows written, ${rowsIn(tables)} rows in ${tables.length} tables compared: the same on both sides`,
      replay,
      "next: stop the coordinators on the old ledger, run this once more for what came since, then start them with --ledger on the new one",
    ],
    data: { written, tables, replayed },
  };
}

async function backup(given: Given<string>, say: (line: string) => void): Promise<Outcome> {
  const ledger = urlOf(given, "ledger");
  checkThere(ledger);
  const out = given.text("out");
  let file = out;
  if (isFolder(out)) {
    const { network } = (await foundingIn({ url: ledger })) ?? { network: "unfounded" };
    const time = new Date().toISOString().replace(/[-:]/g, "").slice(0, 15);
    file = join(out, `${network}-${time}Z${backupEnding}`);
  }
  const made = await backupLedger(ledger, file, progressTo(say));
  return { lines: [`${file} holds the ledger: ${rowsIn(made.tables)} rows`], data: { file, ...made } };
}

async function restore(given: Given<string>, say: (line: string) => void): Promise<Outcome> {
  const file = newestAt(given.text("from"));
  const made = await restoreLedger(file, urlOf(given, "ledger"), progressTo(say));
  return {
    lines: [`${file} restored and compared: ${rowsIn(made.tables)} rows, as it noted`],
    data: { file, ...made },
  };
}

async function verify(given: Given<string>, say: (line: string) => void): Promise<Outcome> {
  const url = urlOf(given, "ledger");
  checkThere(url);
  const file = newestAt(given.text("from"));
  const founding = await foundingIn({ url });
  if (!founding) throw refused(`--ledger ${given.text("ledger")} holds no network that the backup could be of`);
  const folder = given.text("folder");
  const drill = { ...(folder ? { folder } : {}), ...(isPostgres(url) ? { server: url } : {}) };
  const made = await verifyBackup(file, founding, drill, progressTo(say));
  return {
    lines: [`${file} can be restored: ${rowsIn(made.tables)} rows came back as they were`],
    data: { file, ...made },
  };
}

function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

/** The backup itself, or the newest in a folder. Throws CoordinatorFault `file-missing`. */
function newestAt(path: string): string {
  if (!isFolder(path)) return path;
  const newest = readdirSync(path)
    .filter((name) => name.endsWith(backupEnding))
    .sort((a, b) => statSync(join(path, a)).mtimeMs - statSync(join(path, b)).mtimeMs)
    .at(-1);
  if (newest === undefined) throw new CoordinatorFault("file-missing", `there is no *${backupEnding} in ${path}`);
  return join(path, newest);
}

/** The address with its password; what holds one is not printed. */
function urlOf(given: Given<string>, name: string): string {
  const url = given.text(name);
  const file = given.text("ledger-password-file");
  if (!isPostgres(url)) return url;
  return withPassword({ url, ...(file ? { password: readSecret(file, "database's password").trim() } : {}) });
}

function rowsIn(tables: readonly TableDigest[]): number {
  return tables.reduce((sum, { rows }) => sum + rows, 0);
}

/** A line for every tenth of a table. */
function progressTo(say: (line: string) => void): Progress {
  let last = "";
  return ({ doing, table, rows, of }) => {
    const tenth = of > 0 ? Math.floor((10 * rows) / of) : 10;
    const line = `${doing} ${table}: ${tenth * 10} %`;
    if (line !== last) say(`${line} (${rows} of ${of})`);
    last = line;
  };
}
