/** The rows of the outbox: readings in and out by range of ids, one table per priority. */
import { qualities, type Reading, type Unit } from "@cairn/protocol";
import type { Priority } from "../model.ts";
import type { Database, Statement } from "./sqlite.ts";

/** Sent first to last, dropped last to first. */
export const priorities = ["results", "telemetry"] as const satisfies readonly Priority[];

/**
 * What one row costs the file, bytes: header 5, series 2, time 6, value 8, quality 1, row id and length 6, cell pointer 2, and the share
 * of page headers and the tree above. A test holds it against a real file.
 */
export const bytesPerReading = 32;

/** Names are few and fixed by the sensors; a runaway source must not fill the table. */
const seriesLimit = 1_000;

const insertWidth = 50;

type ReadingTable = {
  insertMany: (values: (number | string)[]) => void;
  insertOne: (values: (number | string)[]) => void;
  select: Statement;
  scan: Statement;
  remove: Statement;
  removeOldest: Statement;
};

export function createReadingRows(db: Database) {
  const tables: Record<Priority, ReadingTable> = {
    results: tableOf(db, "results"),
    telemetry: tableOf(db, "telemetry"),
  };
  const ids = new Map<string, number>();
  const names = new Map<number, { series: string; unit: Unit }>();
  const insertSeries = db.prepare("INSERT INTO series (name, unit) VALUES (?, ?)");

  /** Reads the names again: after a rolled back transaction the maps may hold ids that never were. */
  function reload(): void {
    ids.clear();
    names.clear();
    for (const row of db.prepare("SELECT id, name, unit FROM series").raw().all()) {
      const [id, name, unit] = row as [number, string, Unit];
      ids.set(`${name} ${unit}`, id);
      names.set(id, { series: name, unit });
    }
  }
  reload();

  function seriesId({ series, unit }: Reading): number | undefined {
    const key = `${series} ${unit}`;
    const known = ids.get(key);
    if (known !== undefined) return known;
    if (ids.size >= seriesLimit) return undefined;
    const id = Number(insertSeries.run(series, unit).lastInsertRowid);
    ids.set(key, id);
    names.set(id, { series, unit });
    return id;
  }

  return {
    reload,

    /** Writes readings in their order; returns how many: those of a series beyond the limit of 1,000 names are left out. */
    insert(readings: readonly Reading[], priority: Priority): number {
      const table = tables[priority];
      let values: (number | string)[] = [];
      let rows = 0;
      for (const reading of readings) {
        const id = seriesId(reading);
        if (id === undefined) continue;
        values.push(id, reading.at, reading.value, qualities.indexOf(reading.quality));
        rows++;
        if (values.length === insertWidth * 4) {
          table.insertMany(values);
          values = [];
        }
      }
      for (let from = 0; from < values.length; from += 4) table.insertOne(values.slice(from, from + 4));
      return rows;
    },

    read(priority: Priority, first: number, last: number): Reading[] {
      const readings: Reading[] = [];
      for (const row of tables[priority].select.all(first, last)) {
        const [series, at, value, quality] = row as [number, number, number, number];
        const name = names.get(series);
        if (name) readings.push({ ...name, at, value, quality: qualities[quality] ?? "bad" });
      }
      return readings;
    },

    /** The next rows after an id, without their values: [id, series id, at] each. */
    scan(priority: Priority, after: number, limit: number): [number, number, number][] {
      return tables[priority].scan.all(after, limit) as [number, number, number][];
    },

    /** Deletes by range; returns how many rows there were. */
    remove(priority: Priority, first: number, last: number): number {
      return tables[priority].remove.run(first, last).changes;
    },

    /** Deletes the oldest rows of a priority; returns how many there were. */
    removeOldest(priority: Priority, rows: number): number {
      return tables[priority].removeOldest.run(rows - 1).changes;
    },

    count(priority: Priority): number {
      return Number(db.prepare(`SELECT count(*) FROM ${priority}`).raw().all().flat()[0]);
    },
  };
}

function tableOf(db: Database, name: Priority): ReadingTable {
  const insert = `INSERT INTO ${name} (series, at, value, quality) VALUES `;
  const many = db.prepare(insert + Array(insertWidth).fill("(?, ?, ?, ?)").join(", "));
  const one = db.prepare(`${insert}(?, ?, ?, ?)`);
  return {
    insertMany: (values) => many.run(values),
    insertOne: (values) => one.run(values),
    select: db.prepare(`SELECT series, at, value, quality FROM ${name} WHERE id BETWEEN ? AND ? ORDER BY id`).raw(),
    scan: db.prepare(`SELECT id, series, at FROM ${name} WHERE id > ? ORDER BY id LIMIT ?`).raw(),
    remove: db.prepare(`DELETE FROM ${name} WHERE id BETWEEN ? AND ?`),
    removeOldest: db.prepare(
      `DELETE FROM ${name} WHERE id <= coalesce((SELECT id FROM ${name} ORDER BY id LIMIT 1 OFFSET ?), 0)`,
    ),
  };
}
