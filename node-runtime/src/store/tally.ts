/** Durable counts by name, raised in the transaction that they count. */
import type { Database } from "./sqlite.ts";

export function createTally(db: Database) {
  const raise = db.prepare(
    "INSERT INTO tally (name, count) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET count = count + excluded.count",
  );
  const select = db.prepare("SELECT name, count FROM tally ORDER BY name");
  let counts = new Map<string, number>();

  /** Reads the counts again: after a rolled back transaction they were too high. */
  function reload(): void {
    counts = new Map((select.all() as { name: string; count: number }[]).map(({ name, count }) => [name, count]));
  }
  reload();

  return {
    reload,
    add(name: string, count: number): void {
      if (count === 0) return;
      raise.run(name, count);
      counts.set(name, (counts.get(name) ?? 0) + count);
    },
    all: (): Record<string, number> => Object.fromEntries(counts),
  };
}
