/** Connections to PostgreSQL: a pool, transactions that are tried again on a conflict, and what can go wrong as faults. */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { CoordinatorFault } from "../../fault.ts";

export type PostgresOptions = {
  /** Most connections of this process. */
  readonly connections?: number;
  readonly connectionTimeoutMs?: number;
  /** The server ends a statement that takes longer. */
  readonly statementTimeoutMs?: number;
  /** The server ends a statement that waits longer for another transaction. */
  readonly lockTimeoutMs?: number;
  /** The server ends a transaction of a process that stopped in the middle of it, and frees its locks. */
  readonly idleInTransactionTimeoutMs?: number;
  /** How the connections are named in pg_stat_activity. */
  readonly applicationName?: string;
};

const defaults: Required<PostgresOptions> = {
  connections: 10,
  connectionTimeoutMs: 5_000,
  statementTimeoutMs: 30_000,
  lockTimeoutMs: 10_000,
  idleInTransactionTimeoutMs: 30_000,
  applicationName: "cairn-coordinator",
};

/** The server's own time, whole unix ms: of the moment, not of the transaction's start. */
export const postgresClock = "floor(extract(epoch from clock_timestamp()) * 1000)::bigint";

/** Statements that are part of one transaction. */
export type Transaction = {
  /** `name`: the statement is parsed and planned once per connection. */
  rows<Row extends object>(text: string, values?: readonly unknown[], name?: string): Promise<readonly Row[]>;
  /** Rows that the statement wrote. */
  run(text: string, values?: readonly unknown[], name?: string): Promise<number>;
  /** `text`: copy ... from stdin. */
  copy(text: string, bytes: Buffer): Promise<void>;
};

export type Postgres = {
  readonly pool: pg.Pool;
  /** Commits what the body did. On a conflict with another transaction the body runs again, from a state without its writes. */
  transaction<T>(body: (transaction: Transaction) => Promise<T>): Promise<T>;
  /** Statements that must not be part of a transaction. */
  alone<T>(body: (connection: Transaction) => Promise<T>): Promise<T>;
};

/** Runs of one transaction while others are in its way. */
const attempts = 8;
const backoffMs = 20;
/** What the network may take beyond the server's own limit for a statement. */
const networkMs = 5_000;

/** Connects at the first statement, and again after the server was away. */
export function openPool(url: string, options: PostgresOptions): Postgres {
  const { connections, connectionTimeoutMs, applicationName, ...timeouts } = { ...defaults, ...options };
  const pool = new pg.Pool({
    connectionString: url,
    // Dropping a partition takes one beside the one that holds the fence.
    max: Math.max(2, connections),
    connectionTimeoutMillis: connectionTimeoutMs,
    application_name: applicationName,
    statement_timeout: timeouts.statementTimeoutMs,
    lock_timeout: timeouts.lockTimeoutMs,
    idle_in_transaction_session_timeout: timeouts.idleInTransactionTimeoutMs,
    query_timeout: timeouts.statementTimeoutMs + networkMs,
    keepAlive: true,
    types: { getTypeParser },
    onConnect: prepareConnection,
  });
  // A connection that breaks while nobody uses it is replaced by the next one that is wanted.
  pool.on("error", () => {});

  async function connected<T>(body: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await pool.connect();
    let broken = false;
    try {
      return await body(client);
    } catch (cause) {
      broken = !isRefusal(cause) || (await isStuck(client));
      throw cause;
    } finally {
      client.release(broken);
    }
  }

  return {
    pool,
    async transaction(body) {
      for (let attempt = 1; ; attempt++) {
        let begun = true;
        try {
          return await connected(async (client) => {
            begun = false;
            await client.query("begin");
            begun = true;
            const result = await body(statementsOf(client));
            await client.query("commit");
            return result;
          });
        } catch (cause) {
          // A connection of the pool that broke unnoticed is as good as a conflict: nothing was asked of it yet.
          if (attempt === attempts || (begun && !isConflict(cause))) throw cause;
          await sleep(backoffMs * attempt * (0.5 + Math.random()));
        }
      }
    },
    alone: (body) => connected((client) => body(statementsOf(client))),
  };
}

/** Ends a transaction that failed; whether the connection is of no use any more. */
async function isStuck(client: pg.PoolClient): Promise<boolean> {
  return client.query("rollback").then(
    () => false,
    () => true,
  );
}

function statementsOf(client: pg.PoolClient): Transaction {
  const query = <Row extends object>(text: string, values: readonly unknown[] = [], name?: string) =>
    client.query<Row>({ text, values: [...values], ...(name === undefined ? {} : { name }) });
  return {
    rows: async <Row extends object>(text: string, values?: readonly unknown[], name?: string) =>
      (await query<Row>(text, values, name)).rows,
    run: async (text, values, name) => (await query(text, values, name)).rowCount ?? 0,
    copy: (text, bytes) =>
      new Promise((resolve, reject) => {
        const stream = client.query(copyFrom(text));
        stream.once("finish", resolve).on("error", reject);
        stream.end(bytes);
      }),
  };
}

async function prepareConnection(client: pg.ClientBase): Promise<void> {
  // Between two statements of a transaction nobody listens, and the next statement fails by itself.
  client.on("error", () => {});
  // An acknowledged commit is on the disk, whatever this server's default is; and rows that are asked for by key are mostly in memory.
  await client.query(
    `select set_config('random_page_cost', '1.1', false),
       case when current_setting('synchronous_commit') = 'off' then set_config('synchronous_commit', 'on', false) end`,
  );
}

/** Numbers come as numbers, as from SQLite: what is beyond 2^53 is in text. */
const getTypeParser: typeof pg.types.getTypeParser = ((oid: number, format?: "text" | "binary") =>
  (oid === pg.types.builtins.INT8 || oid === pg.types.builtins.NUMERIC) && format !== "binary"
    ? Number
    : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser;

/** The server answered, with a refusal; or it was not the server's matter at all. The connection is as good as before. */
function isRefusal(cause: unknown): boolean {
  return cause instanceof pg.DatabaseError ? !isGone(cause) : cause instanceof CoordinatorFault || !isNetworks(cause);
}

/** Errors of the driver and of the network carry no SQLSTATE. */
function isNetworks(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  const { code = "" } = cause as { code?: string };
  return (
    /^E[A-Z]+$/.test(code) ||
    /^(Connection terminated|Client has encountered a connection error|Query read timeout|timeout exceeded when trying|timeout expired|The server does not support SSL)/.test(
      cause.message,
    ) ||
    /pool after calling end|Client was closed/.test(cause.message)
  );
}

/** 08: connection; 57P: shutdown, crash, starting up; 25P03: the transaction was idle for too long. */
function isGone({ code = "", severity }: pg.DatabaseError): boolean {
  return /^(08...|57P0[1-5]|25P03)$/.test(code) || severity === "FATAL" || severity === "PANIC";
}

/** 40001: serialization failure, 40P01: deadlock. Nothing was written, and the other transaction has gone on. */
function isConflict(cause: unknown): boolean {
  return cause instanceof pg.DatabaseError && (cause.code === "40001" || cause.code === "40P01");
}

/**
 * 53: out of disk, memory or connections; 55P03 and 57014: waited or ran for too long; 25006: a standby that takes no writes (yet);
 * 40: conflicts without end.
 */
const tryAgain = /^(53...|55P03|57014|25006|40...)$/;
/** 22: the value is out of its type's range or form; 23: it breaks a constraint; 54: it is too large. */
const valueRefused = /^(22...|23...|54...)$/;
/** 42: the schema is not what the statement expects, or this role may not use it. */
const schemaRefused = /^42(?!501)...$/;

/** The driver has none to give. */
const passwordWanted = /client password must be a (non-empty )?string$/;

/** What PostgreSQL or its driver threw, as a fault of the ledger; anything else as it is. */
export function faultOf(cause: unknown): unknown {
  if (cause instanceof CoordinatorFault) return cause;
  if (cause instanceof AggregateError && cause.errors.some(isNetworks)) return unreachable(cause);
  if (cause instanceof Error && passwordWanted.test(cause.message))
    return new CoordinatorFault("setting-refused", "the database asks for a password: give --ledger-password-file", {
      cause,
    });
  if (!(cause instanceof pg.DatabaseError)) return isNetworks(cause) ? unreachable(cause as Error) : cause;
  const { code = "" } = cause;
  const message = `${cause.message} (${code})`;
  if (tryAgain.test(code)) return unreachable(cause, message);
  if (valueRefused.test(code))
    return new CoordinatorFault("input-unstorable", `an input cannot be stored: ${message}`, { cause });
  if (schemaRefused.test(code))
    return new CoordinatorFault("ledger-damaged", `the ledger's schema is damaged: ${message}`, { cause });
  // 28: who connects is not let in; 3D: there is no such database. Waiting does not help.
  if (isGone(cause) && !/^(28|3D)/.test(code)) return unreachable(cause, message);
  return new CoordinatorFault("ledger-unreadable", `the ledger's database refuses: ${message}`, { cause });
}

function unreachable(cause: Error, message = cause.message || String((cause as { code?: string }).code)) {
  return new CoordinatorFault(
    "ledger-unreachable",
    `the ledger's database cannot be reached, or does not answer in time: ${message}`,
    { cause },
  );
}
