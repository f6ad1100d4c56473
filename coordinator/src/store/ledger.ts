/** Opens the ledger that an address names: `sqlite:PATH` or `postgres://USER@HOST:PORT/DATABASE`. */
import { existsSync } from "node:fs";
import { CoordinatorFault } from "../fault.ts";
import type { Founding, Ledger } from "../model.ts";

/** A ledger that is not opened yet. `password`: of a PostgreSQL address that holds none. */
export type LedgerAddress = { readonly url: string; readonly password?: string };

/** The terms on which the network in this ledger was founded; undefined for a new one. Throws CoordinatorFault `ledger-...`. */
export async function foundingIn(address: LedgerAddress): Promise<Founding | undefined> {
  if (isPostgres(address.url)) {
    const { postgresFoundingOf } = await import("./postgres/postgres-ledger.ts");
    return postgresFoundingOf(withPassword(address));
  }
  const { foundingOf } = await import("./sqlite/sqlite-ledger.ts");
  return foundingOf(pathOf(address.url));
}

/** Opens it for the network of `founding`, or founds it there. Throws CoordinatorFault `ledger-...`. */
export async function openLedger(address: LedgerAddress, founding: Founding): Promise<Ledger> {
  if (isPostgres(address.url)) {
    const { openPostgresLedger } = await import("./postgres/postgres-ledger.ts");
    return openPostgresLedger(withPassword(address), founding);
  }
  const { openSqliteLedger } = await import("./sqlite/sqlite-ledger.ts");
  return openSqliteLedger(pathOf(address.url), founding);
}

/** Opening a SQLite ledger would make it. Throws CoordinatorFault `file-missing`, `setting-refused`. */
export function checkThere(url: string): void {
  if (isPostgres(url) || existsSync(pathOf(url))) return;
  throw new CoordinatorFault("file-missing", `there is no ledger ${pathOf(url)}`);
}

/** The file of a SQLite address. Throws CoordinatorFault `setting-refused`. */
export function pathOf(url: string): string {
  if (url.startsWith("sqlite:") && url.length > "sqlite:".length) return url.slice("sqlite:".length);
  const scheme = url.split(":", 1)[0];
  throw new CoordinatorFault("setting-refused", `${scheme}:... is no ledger: sqlite:PATH or postgres://... is needed`);
}

/** The address with its password in place, as the driver takes it. Throws CoordinatorFault `setting-refused`. */
export function withPassword({ url, password }: LedgerAddress): string {
  if (!URL.canParse(url)) throw new CoordinatorFault("setting-refused", "the ledger's address cannot be read");
  const parsed = new URL(url);
  if (password !== undefined && parsed.password === "") parsed.password = encodeURIComponent(password);
  return parsed.toString();
}

export function isPostgres(url: string): boolean {
  return /^postgres(ql)?:\/\//.test(url);
}
