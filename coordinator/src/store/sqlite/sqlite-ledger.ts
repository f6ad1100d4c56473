/** The ledger on SQLite: one file, one writer, group commits. Questions are asked on a connection of their own. */
import { Kysely, SqliteDialect, sql } from "kysely";
import type { DutyWrites, Enrolment, Founding, Ledger } from "../../model.ts";
import { checkFounding, decodeFounding, encodeFounding } from "../founding.ts";
import { createQueries } from "../queries.ts";
import type { Tables } from "../tables.ts";
import { prepareAdmission } from "./admission.ts";
import { faultOf, openDatabase, openReader, preparingOnce, type Sqlite, sqliteClock } from "./database.ts";
import { prepareDuties } from "./duties.ts";
import { prepareEpochs } from "./epochs.ts";
import { prepareRetention } from "./retention.ts";

/** A ledger's methods without the promise and without the transaction around each. */
type Bodies<Methods> = {
  readonly [Name in keyof Methods]: Methods[Name] extends (...args: infer Args) => Promise<infer Answer>
    ? (...args: Args) => Answer
    : never;
};

/**
 * Opens the ledger in `path` for the network of `founding`, or founds it there.
 * Throws CoordinatorFault: `ledger-foreign` when the file belongs to another network or to other terms, and what `openDatabase` throws.
 */
export function openSqliteLedger(path: string, founding: Founding): Ledger {
  const database = openDatabase(path);
  found(database, founding);
  const reader = new Kysely<Tables>({
    dialect: new SqliteDialect({ database: async () => preparingOnce(openReader(path)) }),
  });
  const admit = prepareAdmission(database);
  const { checkFence, ...duties } = prepareDuties(database);
  const writes: Bodies<DutyWrites> = {
    ...prepareEpochs(database),
    setStatus: prepareStatus(database),
    prune: prepareRetention(database),
  };
  const atomically = database.transaction((body: () => unknown) => body());

  /** Each body as one transaction, which `check` ends by throwing. */
  const committed = <Methods>(bodies: Bodies<Methods>, check = () => {}) =>
    eachMethod<Methods>(bodies, async (body) => {
      return atomically.immediate(() => {
        check();
        return body();
      });
    });

  return {
    ...eachMethod<ReturnType<typeof createQueries>>(
      createQueries(reader, sql<number>`${sql.raw(sqliteClock)}`),
      async (ask) => ask(),
    ),
    ...committed<Pick<Ledger, "takeDuty" | "releaseDuty" | "noteReplica">>(duties),
    ...committed<Pick<Ledger, "enrol">>({ enrol: prepareEnrolment(database) }),
    ...committed<DutyWrites>(writes),
    under: (fence) => committed<DutyWrites>(writes, () => checkFence(fence)),
    ...eachMethod<Pick<Ledger, "admit">>({ admit }, async (body) => body()),
    async close() {
      // The reader first: whoever closes last puts the log away.
      await reader.destroy();
      database.pragma("wal_checkpoint(truncate)");
      database.close();
    },
  };
}

/** The methods called through `call`, with what SQLite throws turned into faults. */
function eachMethod<Methods>(methods: object, call: (body: () => unknown) => Promise<unknown>): Methods {
  const through =
    (method: (...args: unknown[]) => unknown) =>
    (...args: unknown[]) =>
      call(() => method(...args)).catch((cause: unknown) => {
        throw faultOf(cause);
      });
  return Object.fromEntries(Object.entries(methods).map(([name, method]) => [name, through(method)])) as Methods;
}

function prepareEnrolment(database: Sqlite): Bodies<Pick<Ledger, "enrol">>["enrol"] {
  const put = database.prepare(
    `insert into node (node_id, name, operator, public_key, evidence_level, enrolled_at) values (?, ?, ?, ?, ?, ?)
     on conflict (node_id) do update set name = excluded.name, operator = excluded.operator, evidence_level = excluded.evidence_level`,
  );
  return (nodes: readonly Enrolment[], at) => {
    for (const { nodeId, name, operator, publicKey, evidenceLevel } of nodes)
      put.run(nodeId, name, operator, publicKey.export({ format: "pem", type: "spki" }), evidenceLevel, at);
  };
}

function prepareStatus(database: Sqlite): Bodies<DutyWrites>["setStatus"] {
  const put = database.prepare("update node set state = ?, state_since = ?, state_reason = ? where node_id = ?");
  return (changes) => {
    for (const { nodeId, status } of changes) put.run(status.state, status.since, status.reason, nodeId);
  };
}

/** Writes the founding terms into a new ledger; refuses a ledger that was founded on others. */
function found(database: Sqlite, founding: Founding): void {
  try {
    database
      .transaction(() => {
        const known = foundingText(database);
        if (known !== undefined) checkFounding(known, founding);
        else database.prepare("insert into network values (1, ?)").run(encodeFounding(founding));
      })
      .immediate();
  } catch (cause) {
    database.close();
    throw faultOf(cause);
  }
}

/** The terms on which the network in this ledger file was founded; undefined for a new file. */
export function foundingOf(path: string): Founding | undefined {
  const database = openDatabase(path);
  const text = foundingText(database);
  database.close();
  return text === undefined ? undefined : decodeFounding(text);
}

function foundingText(database: Sqlite): string | undefined {
  return database.prepare<[], string>("select founding from network").pluck().get();
}
