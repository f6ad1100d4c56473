/** How near the ledger on PostgreSQL comes to COPY, and what a row costs on either side; beside it the same load on SQLite. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openPostgres, type Postgres } from "@cairn/neighbours";
import type { LedgerLoad } from "../coordinator/testing/ledger-load.ts";
import { type Child, startChild } from "./child.ts";
import { familyCpuOf, spent } from "./cpu.ts";

/** `client`, `server`: us of CPU time per row; SQLite is all client. */
export type WriteCost = { readonly rowsPerSecond: number; readonly client: number; readonly server: number };
export type WriterRound = { readonly writer: WriteCost; readonly copy: WriteCost; readonly sqlite: WriteCost };

export type WriterCase = {
  /** Each writes so many groups of the same form, one after the other. */
  run(groups: number): Promise<WriterRound>;
  close(): Promise<void>;
};

const program = new URL("../coordinator/testing/ledger-load.ts", import.meta.url);

/** Process id of the server: the parent of all its others. */
export async function postmasterOf(server: Postgres, url: string): Promise<number> {
  const [row] = await server.query<{ text: string }>(url, "select pg_read_file('postmaster.pid') as text");
  return Number(row?.text.split("\n")[0]);
}

export async function openWriterCase(warmUpGroups: number): Promise<WriterCase> {
  const folder = mkdtempSync(join(tmpdir(), "cairn-bench-writer-"));
  const server = await openPostgres({ folder: tmpdir() });
  const url = await server.createDatabase();
  const postmaster = await postmasterOf(server, url);
  const loads = {
    postgres: startChild(program, [url]),
    sqlite: startChild(program, [`sqlite:${join(folder, "ledger.sqlite")}`]),
  };

  async function write(load: Child, what: "ledger" | "copy", groups: number): Promise<WriteCost> {
    load.tell(`${what} ${groups}`);
    await load.hear();
    // Full-page images after a checkpoint are to fall on all alike.
    await server.query(url, "checkpoint");
    let done: LedgerLoad = { rows: 0, seconds: 0, cpuUs: 0 };
    const us = await spent(
      () => ({ server: load === loads.postgres ? familyCpuOf(postmaster) : 0 }),
      async () => {
        load.tell("go");
        done = await load.hear();
      },
    );
    const { rows, seconds, cpuUs } = done;
    return { rowsPerSecond: rows / seconds, client: cpuUs / rows, server: (us.server ?? 0) / rows };
  }

  const made: WriterCase = {
    run: async (groups) => ({
      writer: await write(loads.postgres, "ledger", groups),
      copy: await write(loads.postgres, "copy", groups),
      sqlite: await write(loads.sqlite, "ledger", groups),
    }),
    async close() {
      await Promise.all(Object.values(loads).map((load) => load.end()));
      await server.remove();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    await made.run(warmUpGroups);
    return made;
  } catch (cause) {
    await made.close();
    throw cause;
  }
}
