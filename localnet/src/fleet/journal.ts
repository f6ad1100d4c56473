/**
 * What a fleet created and what was acknowledged to it, one JSON object per line: to be compared with what a ledger holds, after
 * everything between them was killed.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { LocalnetFault } from "../fault.ts";

export type JournalEntry = {
  /** `receipted`: a storage receipt, as far as it was to be verified, covers the batch. */
  readonly event: "created" | "receipted";
  /** Unix ms by the fleet's clock. */
  readonly at: number;
  readonly node: string;
  readonly boot: string;
  readonly sequence: number;
  readonly readings: number;
  /** Value and time of the batch's first reading, which stands in the series `sim.counter`. */
  readonly first: number;
  readonly firstAt: number;
};

export type Journal = {
  write(entry: JournalEntry): void;
  close(): void;
};

const flushAfterMs = 100;
const flushCharacters = 65_536;

/** Appends to a file; what is written is in the file after 100 ms, and on close. Throws LocalnetFault `setting-refused`. */
export function openJournal(file: string): Journal {
  let handle: number;
  try {
    handle = openSync(file, "a");
  } catch (cause) {
    throw new LocalnetFault(
      "setting-refused",
      `--journal ${file}: ${(cause as Error).message}`,
      "name a file that can be written",
    );
  }
  let waiting = "";
  let timer: NodeJS.Timeout | undefined;

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    for (let rest: Uint8Array = Buffer.from(waiting); rest.length > 0; ) rest = rest.subarray(writeSync(handle, rest));
    waiting = "";
  }

  return {
    write(entry) {
      waiting += `${JSON.stringify(entry)}\n`;
      if (waiting.length >= flushCharacters) flush();
      else timer ??= setTimeout(flush, flushAfterMs);
    },
    close() {
      flush();
      closeSync(handle);
    },
  };
}

/** A last line that was cut off, because the fleet itself was killed, is left out. */
export function readJournal(file: string): readonly JournalEntry[] {
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.slice(0, -1).map((line) => JSON.parse(line) as JournalEntry);
}
