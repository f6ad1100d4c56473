/** The PostgreSQL ledger in a database of its own, on a private server, for the suite that judges it. */
import type { Postgres } from "@cairn/neighbours";
import type { Founding, Ledger } from "../src/model.ts";
import { openPostgresLedger, type PostgresOptions } from "../src/store/postgres/postgres-ledger.ts";
import { founding } from "./founding.ts";
import type { OpenedStore } from "./ledger/opened-store.ts";

export { openPostgres, type Postgres } from "@cairn/neighbours";

export type TemporaryPostgresLedger = OpenedStore & { readonly url: string };

/** An empty ledger in a database of its own. */
export async function openTemporaryPostgresLedger(
  server: Postgres,
  { terms = founding, options = {} }: { terms?: Founding; options?: PostgresOptions } = {},
): Promise<TemporaryPostgresLedger> {
  const url = await server.createDatabase();
  const instances: Ledger[] = [];
  const instance = async (as: Founding) => {
    const ledger = await openPostgresLedger(url, as, options);
    instances.push(ledger);
    return ledger;
  };
  const closeAll = async () => {
    for (const ledger of instances.splice(0)) await ledger.close();
  };
  return {
    url,
    ledger: await instance(terms),
    async reopen(as = terms) {
      await closeAll();
      return instance(as);
    },
    beside: () => instance(terms),
    // The database goes with its server.
    remove: closeAll,
  };
}
