/**
 * A private PostgreSQL server for the tests of one file: its own data folder, port and socket, with synchronisation on. It can be killed
 * and started again, as a machine's life does to it.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { freePorts } from "./program.ts";

export type Postgres = {
  /** Where a database of this server is reached, whether it is there or not. */
  url(database: string): string;
  /** An empty database; its URL. */
  createDatabase(): Promise<string>;
  /** Rows that a query gives. */
  query<Row>(url: string, text: string): Promise<Row[]>;
  /** Ends the server and everything it started with SIGKILL. */
  kill(): Promise<void>;
  /** Starts the server that was killed or stopped, in the same place. */
  start(): Promise<void>;
  /** Ends all connections and then the server. Its data stays. */
  stop(): Promise<void>;
  /** Ends the server and removes its data. */
  remove(): Promise<void>;
  /** What the server has logged. */
  log(): string;
};

/** Where Debian and Ubuntu put the programs of each version. */
const versions = "/usr/lib/postgresql";
/** Where synchronisation costs nothing: what a killed server leaves behind is the same in memory. */
const memory = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const patienceMs = 30_000;

const settings = `
max_connections = 60
shared_buffers = '64MB'
fsync = on
log_min_messages = warning
`;

export type PostgresPlan = {
  /** Where it listens; 127.0.0.1 if not said. */
  readonly host?: string;
  /** Networks that are let in without a password beside loopback, as 10.1.0.0/16. */
  readonly allow?: string;
  /** Where its data folder is made. */
  readonly folder?: string;
  /** How its server is started, when something stands before it that needs root; it then changes to its own user by setpriv. */
  wrap?(command: string, args: readonly string[]): { readonly command: string; readonly args: readonly string[] };
};

/** Throws when no PostgreSQL is installed. */
export async function openPostgres(plan: PostgresPlan = {}): Promise<Postgres> {
  const { host = "127.0.0.1" } = plan;
  const programs = programsFolder();
  const user = serverUser();
  const folder = mkdtempSync(join(plan.folder ?? memory, "cairn-postgres-"));
  const data = join(folder, "data");
  // Not in a file: the disk may be what fails.
  let logged = "";
  if (user) chownSync(folder, user.uid, user.gid);
  const initdb = spawnSync(
    join(programs, "initdb"),
    ["--pgdata", data, "--username", "cairn", "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8"],
    { ...user, cwd: folder, encoding: "utf8" },
  );
  if (initdb.status !== 0) throw new Error(`initdb ended with ${initdb.status}: ${initdb.stdout}${initdb.stderr}`);
  const [port = 0] = await freePorts(1);
  writeFileSync(
    join(data, "postgresql.auto.conf"),
    `${settings}listen_addresses = '${host}'\nport = ${port}\nunix_socket_directories = '${folder}'\n`,
  );

  if (plan.allow) appendFileSync(join(data, "pg_hba.conf"), `host all all ${plan.allow} trust\n`);

  let server: ChildProcess | null = null;
  let databases = 0;
  const url = (database: string) => `postgres://cairn@${host}:${port}/${database}`;
  // A test file that ends in the middle takes its server with it.
  const endWithProcess = () => server?.kill("SIGQUIT");
  process.once("exit", endWithProcess);

  async function query<Row>(at: string, text: string): Promise<Row[]> {
    const client = new pg.Client({ connectionString: at, connectionTimeoutMillis: 30_000 });
    client.on("error", () => {});
    await client.connect();
    try {
      return (await client.query(text)).rows as Row[];
    } finally {
      await client.end();
    }
  }

  const ask = (text: string) => query(url("postgres"), text);

  async function launch(): Promise<void> {
    const binary = join(programs, "postgres");
    const { command, args } =
      plan.wrap && user
        ? plan.wrap("setpriv", [`--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups", binary, "-D", data])
        : { command: binary, args: ["-D", data] };
    const child = spawn(command, [...args], {
      ...(plan.wrap ? {} : user),
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"],
    });
    child.stderr.on("data", (text: Buffer) => {
      logged = (logged + text.toString()).slice(-100_000);
    });
    server = child;
    const deadline = performance.now() + patienceMs;
    while (child.exitCode === null && child.signalCode === null) {
      try {
        await ask("select 1");
        return;
      } catch (cause) {
        if (performance.now() > deadline) throw new Error(`the server does not answer:\n${log()}`, { cause });
        await sleep(20);
      }
    }
    throw new Error(`the server ended at once:\n${log()}`);
  }

  /** What is left of a killed server keeps the next one from starting for a moment. */
  async function start(): Promise<void> {
    const deadline = performance.now() + patienceMs;
    for (;;)
      try {
        return await launch();
      } catch (cause) {
        if (performance.now() > deadline) throw cause;
        await sleep(100);
      }
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const child = server;
    server = null;
    if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    const started = signal === "SIGKILL" ? childrenOf(child.pid) : [];
    child.kill(signal);
    for (const pid of started) killIfThere(pid);
    await ended;
  }

  const log = () => logged;
  await start();
  return {
    url,
    log,
    query,
    start,
    async createDatabase() {
      databases += 1;
      const database = `ledger_${databases}`;
      await ask(`create database ${database}`);
      return url(database);
    },
    kill: () => end("SIGKILL"),
    stop: () => end("SIGINT"),
    async remove() {
      await end("SIGQUIT");
      process.off("exit", endWithProcess);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function programsFolder(): string {
  const installed = existsSync(versions) ? readdirSync(versions) : [];
  const newestFirst = installed.sort((a, b) => Number(b) - Number(a)).map((version) => join(versions, version, "bin"));
  const folder = newestFirst.find((programs) => existsSync(join(programs, "initdb")));
  if (folder === undefined)
    throw new Error(
      `there is no PostgreSQL server under ${versions}: install it (apt-get install postgresql), or run npm run test:services, which does`,
    );
  return folder;
}

/** PostgreSQL does not run as root. */
function serverUser(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const accounts = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"));
  const account = ["postgres", "nobody"].flatMap((name) => accounts.find(([known]) => known === name) ?? []);
  const [, , uid, gid] = account;
  if (uid === undefined || gid === undefined)
    throw new Error("there is no account postgres or nobody to run a server as");
  return { uid: Number(uid), gid: Number(gid) };
}

/** Processes that a process started, where /proc tells. */
function childrenOf(parent: number): number[] {
  if (!existsSync("/proc/self/stat")) return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === parent);
}

function parentOf(pid: number): number | null {
  try {
    // pid (name) state parent; the name may hold anything but is the last in parentheses.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return null;
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
