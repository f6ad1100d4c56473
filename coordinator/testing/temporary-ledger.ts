/** The SQLite ledger in a folder of its own, for tests that want a real ledger and for the suite that judges it. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Founding, Ledger } from "../src/model.ts";
import { openSqliteLedger } from "../src/store/sqlite/sqlite-ledger.ts";
import { founding } from "./founding.ts";
import type { OpenedStore } from "./ledger/opened-store.ts";

/** Where synchronisation costs nothing: what a killed process leaves behind is the same in memory. */
const memory = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

export type TemporaryLedger = OpenedStore & { readonly path: string };

/** An empty ledger in a temporary folder. */
export async function openTemporaryLedger(terms: Founding = founding): Promise<TemporaryLedger> {
  const folder = mkdtempSync(join(memory, "cairn-ledger-"));
  const path = join(folder, "ledger.sqlite");
  const instances: Ledger[] = [];
  const instance = (as: Founding) => {
    const ledger = openSqliteLedger(path, as);
    instances.push(ledger);
    return ledger;
  };
  const closeAll = async () => {
    for (const ledger of instances.splice(0)) await ledger.close();
  };
  return {
    path,
    ledger: instance(terms),
    async reopen(as = terms) {
      await closeAll();
      return instance(as);
    },
    beside: async () => instance(terms),
    async remove() {
      await closeAll();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
