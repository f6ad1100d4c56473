/** The ledger on PostgreSQL: several coordinators write at the same time, each commit is durable before it is answered. */
import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient, sql } from "kysely";
import { CoordinatorFault } from "../../fault.ts";
import type { DutyWrites, Enrolment, Fence, Founding, Ledger } from "../../model.ts";
import { checkFounding, decodeFounding, encodeFounding } from "../founding.ts";
import { createQueries, type Queries } from "../queries.ts";
import type { Tables } from "../tables.ts";
import { createAdmission } from "./admission.ts";
import { faultOf, openPool, type Postgres, type PostgresOptions, postgresClock, type Transaction } from "./database.ts";
import { checkFence, createDuties } from "./duties.ts";
import { closeEpoch, closeSlot, openSlot, recordIntent, reopen, resolveIntent } from "./epochs.ts";
import { openPartitions, type Partitions } from "./partitions.ts";
import { prune, type Run } from "./retention.ts";
import { migrate } from "./schema.ts";

export type { PostgresOptions } from "./database.ts";

/**
 * Opens the ledger in the database at `url` (postgres://...) for the network of `founding`, or founds it there. The database itself has
 * to be there. Throws CoordinatorFault: `ledger-foreign` when it belongs to another network or to other terms, `ledger-unreachable`,
 * `ledger-unreadable`, `ledger-newer`, `ledger-in-use`, `ledger-damaged`.
 */
export async function openPostgresLedger(
  url: string,
  founding: Founding,
  options: PostgresOptions = {},
): Promise<Ledger> {
  const postgres = openPool(url, options);
  const partitions = openPartitions(postgres);
  try {
    await migrate(postgres);
    await postgres.transaction((tx) => found(tx, founding));
    await partitions.ensureNow();
  } catch (cause) {
    await postgres.pool.end();
    throw openingFault(cause);
  }
  const reader = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: readingPool(postgres) }) });
  const writes = (fence?: Fence): DutyWrites => withFaults(dutyWrites(runUnder(postgres, fence), partitions));
  const rest: Pick<Ledger, "admit" | "enrol"> = {
    admit: createAdmission(postgres, partitions),
    enrol: (nodes, at) => postgres.transaction((tx) => enrol(tx, nodes, at)),
  };
  return {
    ...withFaults<Queries>(createQueries(reader, sql<number>`${sql.raw(postgresClock)}`)),
    ...withFaults(createDuties(postgres)),
    ...withFaults(rest),
    ...writes(),
    under: writes,
    async close() {
      await partitions.settled();
      await postgres.pool.end();
    },
  };
}

/** The terms on which the network in this database was founded; undefined for a database without a ledger. */
export async function postgresFoundingOf(url: string): Promise<Founding | undefined> {
  const postgres = openPool(url, {});
  try {
    return await postgres.transaction(async (tx) => {
      const [table] = await tx.rows("select where to_regclass('network') is not null");
      const text = table && (await foundingText(tx));
      return text === undefined ? undefined : decodeFounding(text);
    });
  } catch (cause) {
    throw openingFault(cause);
  } finally {
    await postgres.pool.end();
  }
}

/** Writes the founding terms into a new ledger; refuses a ledger that was founded on others. */
async function found(tx: Transaction, founding: Founding): Promise<void> {
  await tx.run("insert into network (only_row, founding) values (1, $1) on conflict do nothing", [
    encodeFounding(founding),
  ]);
  const known = await foundingText(tx);
  if (known !== undefined) checkFounding(known, founding);
}

async function foundingText(tx: Transaction): Promise<string | undefined> {
  const [row] = await tx.rows<{ founding: string }>("select founding from network");
  return row?.founding;
}

/** In the order of their ids, as those who write inputs lock them; new nodes in the order of their names. */
async function enrol(tx: Transaction, nodes: readonly Enrolment[], at: number): Promise<void> {
  const last = new Map(nodes.map((node) => [node.nodeId, node]));
  const rows = [...last.values()].map(({ nodeId, name, operator, publicKey, evidenceLevel }) => ({
    node_id: nodeId,
    name,
    operator,
    public_key: publicKey.export({ format: "pem", type: "spki" }),
    evidence_level: evidenceLevel,
  }));
  await lockNodes(tx, rows);
  await tx.run(
    `insert into node (node_id, name, operator, public_key, evidence_level, enrolled_at)
     select node_id, name, operator, public_key, evidence_level, $2 from json_to_recordset($1) as new (
       node_id text, name text, operator text, public_key text, evidence_level text
     )
     on conflict (node_id) do update set
       name = excluded.name, operator = excluded.operator, evidence_level = excluded.evidence_level`,
    [JSON.stringify(rows.sort((a, b) => (a.node_id < b.node_id ? -1 : 1))), at],
  );
}

async function setStatus(tx: Transaction, changes: Parameters<Ledger["setStatus"]>[0]): Promise<void> {
  if (changes.length === 0) return;
  const last = new Map(changes.map(({ nodeId, status }) => [nodeId, status]));
  const rows = [...last].map(([node_id, { state, since, reason }]) => ({ node_id, state, since, reason }));
  await lockNodes(tx, rows);
  await tx.run(
    `update node set state = change.state, state_since = change.since, state_reason = change.reason
     from json_to_recordset($1) as change (node_id text, state text, since bigint, reason text)
     where node.node_id = change.node_id`,
    [JSON.stringify(rows)],
  );
}

async function lockNodes(tx: Transaction, nodes: readonly { node_id: string }[]): Promise<void> {
  await tx.run("select from node where node_id = any ($1) order by id for no key update", [
    nodes.map(({ node_id }) => node_id),
  ]);
}

/** Each write in a transaction of its own, after a look at the fence if there is one. */
function runUnder({ transaction }: Postgres, fence: Fence | undefined): Run {
  if (fence === undefined) return transaction;
  return (body) =>
    transaction(async (tx) => {
      await checkFence(tx, fence);
      return body(tx);
    });
}

function dutyWrites(run: Run, partitions: Partitions): DutyWrites {
  return {
    openSlot: (row) => run((tx) => openSlot(tx, row)),
    closeSlot: (slot, closedAt, voidReason) => run((tx) => closeSlot(tx, slot, closedAt, voidReason)),
    closeEpoch: (outcome, closedAt) => run((tx) => closeEpoch(tx, outcome, closedAt)),
    recordIntent: (intent, at) => run((tx) => recordIntent(tx, intent, at)),
    resolveIntent: (intent, outcome, transaction, at) =>
      run((tx) => resolveIntent(tx, intent, outcome, transaction, at)),
    reopen: (epoch, lost) => run((tx) => reopen(tx, epoch, lost)),
    setStatus: (changes) => run((tx) => setStatus(tx, changes)),
    prune: (retention, now) => prune(run, partitions, retention, now),
  };
}

/** The pool for questions: a connection that broke, or on which an answer is still to come, is not used again. */
function readingPool({ pool }: Postgres): PostgresPool {
  return {
    async connect() {
      const client = await pool.connect();
      let broken = false;
      const query = async (text: string, values: unknown[]) => {
        try {
          return await client.query(text, values);
        } catch (cause) {
          const fault = faultOf(cause);
          broken = fault instanceof CoordinatorFault && fault.code === "ledger-unreachable";
          throw fault;
        }
      };
      return {
        query: query as unknown as PostgresPoolClient["query"],
        release: () => client.release(broken),
      };
    },
    end: () => pool.end(),
  };
}

function withFaults<Methods extends object>(methods: Methods): Methods {
  const through =
    (method: (...args: unknown[]) => Promise<unknown>) =>
    async (...args: unknown[]) => {
      try {
        return await method(...args);
      } catch (cause) {
        throw faultOf(cause);
      }
    };
  return Object.fromEntries(Object.entries(methods).map(([name, method]) => [name, through(method)])) as Methods;
}

/** While a ledger is opened every error is the database's. */
function openingFault(cause: unknown): unknown {
  const fault = faultOf(cause);
  if (fault instanceof CoordinatorFault) return fault;
  return new CoordinatorFault("ledger-unreadable", `the ledger cannot be opened: ${(cause as Error).message}`, {
    cause,
  });
}
