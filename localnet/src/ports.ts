/** Finds ports to listen on at 127.0.0.1. */
import { createServer } from "node:net";
import { LocalnetFault } from "./fault.ts";
import type { PortWish } from "./settings.ts";

export const host = "127.0.0.1";
const highestPort = 65_535;
/** How far from a default port its replacement may lie. */
const reach = 100;

/** Whether nothing listens at the port; on all addresses counts as well. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const probe = createServer();
    probe.once("error", () => done(false));
    probe.listen({ port, host, exclusive: true }, () => probe.close(() => done(true)));
  });
}

/**
 * A port for each wish, none twice; `notes` says which had to move. Throws LocalnetFault `port-in-use` when a port that was asked
 * for is taken, or none is free near a default.
 */
export async function choosePorts<K extends string>(
  wishes: Readonly<Record<K, PortWish>>,
  free: (port: number) => Promise<boolean> = isFree,
): Promise<{ readonly ports: Readonly<Record<K, number>>; readonly notes: readonly string[] }> {
  const entries = Object.entries(wishes) as [K, PortWish][];
  const reserved = new Set(entries.filter(([, wish]) => wish.explicit).map(([, wish]) => wish.port));
  const chosen: Partial<Record<K, number>> = {};
  const notes: string[] = [];
  for (const [key, wish] of entries) {
    const port = wish.explicit ? await asked(wish, free) : await nextFree(wish, reserved, free);
    reserved.add(port);
    chosen[key] = port;
    if (port !== wish.port)
      notes.push(`port ${wish.port} is in use: ${wish.part} takes ${port} (--${wish.flag} chooses)`);
  }
  return { ports: chosen as Record<K, number>, notes };
}

async function asked(wish: PortWish, free: (port: number) => Promise<boolean>): Promise<number> {
  if (await free(wish.port)) return wish.port;
  throw new LocalnetFault(
    "port-in-use",
    `port ${wish.port}, asked for ${wish.part} by --${wish.flag}, is in use`,
    `end what listens there, or move ${wish.part} with --${wish.flag} PORT`,
  );
}

async function nextFree(
  wish: PortWish,
  reserved: ReadonlySet<number>,
  free: (port: number) => Promise<boolean>,
): Promise<number> {
  const last = Math.min(wish.port + reach, highestPort);
  for (let port = wish.port; port <= last; port += 1) if (!reserved.has(port) && (await free(port))) return port;
  throw new LocalnetFault(
    "port-in-use",
    `no port from ${wish.port} to ${last} is free for ${wish.part}`,
    `name one with --${wish.flag} PORT`,
  );
}
