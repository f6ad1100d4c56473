/**
 * A serial port that stays open: when it cannot be opened or vanishes (a USB plug pulled, a driver reset), it is opened again
 * with jittered, growing waits until close(). Trouble is told as state, in words; nothing throws.
 */
import { stat } from "node:fs/promises";
import { SerialPort } from "serialport";
import type { ByteSource } from "../model.ts";

export type SerialOptions = {
  /** Device node, better one under /dev/serial/by-id, which stays the same when plugs change places. */
  readonly path: string;
  /** Bits per second; 8 data bits, no parity, one stop bit. */
  readonly baudRate: number;
};

/** What is used of a port of the library `serialport`: real ones, and its own twin in tests. */
export type Port = {
  open(done: (error: Error | null) => void): void;
  close(done: (error: Error | null) => void): void;
  on(event: "data", listener: (chunk: Uint8Array) => void): unknown;
  on(event: "close" | "error", listener: (error: Error | null) => void): unknown;
  on(event: "end", listener: () => void): unknown;
};

/** The effects that tests replace. `random`: 0 to 1. */
export type SerialEdges = {
  readonly createPort: (options: SerialOptions) => Port;
  readonly random: () => number;
  /** What identifies the device node now; undefined when it is gone. */
  readonly identify: (path: string) => Promise<string | undefined>;
};

const shortestWaitMs = 500;
const longestWaitMs = 10_000;
/** How often the device node is looked at while the port is open, ms. */
const lookEveryMs = 2000;
/** close() does not wait longer than this for a driver that hangs, ms. */
const closeWithinMs = 2000;

const realEdges: SerialEdges = {
  createPort: ({ path, baudRate }) => new SerialPort({ path, baudRate, autoOpen: false }),
  random: Math.random,
  identify: async (path) => {
    try {
      const { dev, ino, rdev } = await stat(path);
      return `${dev} ${ino} ${rdev}`;
    } catch {
      return undefined;
    }
  },
};

/**
 * Wait before attempt `failures` + 1, ms: evenly between 0.5 s and a ceiling that doubles from 1 s to 10 s, so that the ports of
 * a hub that went away together do not come back in step.
 */
export function reopenWaitMs(failures: number, random: number): number {
  const ceiling = Math.min(longestWaitMs, 2 * shortestWaitMs * 2 ** Math.min(failures, 10));
  return shortestWaitMs + random * (ceiling - shortestWaitMs);
}

/** Bytes of one serial port, as they come. See `ByteSource`: start() once, close() always finishes and may be called again. */
export function openSerial(options: SerialOptions, edges: SerialEdges = realEdges): ByteSource {
  const { path } = options;
  let listener: Parameters<ByteSource["start"]>[0] | undefined;
  let session: { readonly end: () => Promise<void> } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let failures = 0;
  let told = "";

  const lost = (reason: string) => {
    session = undefined;
    if (closed) return;
    // The same reason again at every attempt would only fill the log.
    if (told !== reason) listener?.state("lost", reason);
    told = reason;
    timer = setTimeout(attempt, reopenWaitMs(failures, edges.random()));
    failures += 1;
  };

  const attempt = () => {
    session = runSession(options, edges, {
      open() {
        told = "";
        listener?.state("open", `${path} at ${options.baudRate} baud`);
      },
      bytes(chunk) {
        failures = 0;
        listener?.bytes(chunk, Date.now());
      },
      lost,
    });
  };

  return {
    name: path,
    start(to) {
      if (closed || listener) return;
      listener = to;
      attempt();
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await session?.end();
      session = undefined;
    },
  };
}

type SessionListener = { open(): void; bytes(chunk: Uint8Array): void; lost(reason: string): void };

/** One port object from open to its end; `lost` is called exactly once, unless end() came first. */
function runSession(options: SerialOptions, edges: SerialEdges, listener: SessionListener): { end(): Promise<void> } {
  const { path } = options;
  let over = false;
  let look: NodeJS.Timeout | undefined;
  let port: Port;
  const opening = Promise.withResolvers<boolean>();

  /** Closes the port if it was opened; waits no longer than `closeWithinMs`. */
  const release = async () => {
    over = true;
    clearTimeout(look);
    const closing = opening.promise.then((opened) =>
      opened ? new Promise<void>((resolve) => port.close(() => resolve())) : undefined,
    );
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const limit = setTimeout(resolve, closeWithinMs);
    await Promise.race([closing, late]);
    clearTimeout(limit);
  };
  const lose = (reason: string) => {
    if (over) return;
    void release().then(() => listener.lost(reason));
  };

  /**
   * The library reads on and on without waiting when a terminal is hung up between its poll and its read (read then gives 0
   * bytes, not an error), and no event comes. A device node that is gone or is another one shows it.
   */
  const keepLooking = (known: string | undefined) => {
    look = setTimeout(async () => {
      const now = await edges.identify(path);
      if (over) return;
      if (now !== known) lose(gone(path));
      else keepLooking(known);
    }, lookEveryMs);
  };

  try {
    port = edges.createPort(options);
    port.on("data", (chunk) => {
      if (!over) listener.bytes(chunk);
    });
    port.on("error", (error) => lose(inWords(path, error)));
    port.on("close", (error) => lose(inWords(path, error)));
    port.on("end", () => lose(gone(path)));
    port.open((error) => {
      opening.resolve(error === null);
      if (error) return lose(inWords(path, error));
      if (over) return;
      listener.open();
      void edges.identify(path).then((known) => {
        if (!over) keepLooking(known);
      });
    });
  } catch (error) {
    opening.resolve(false);
    lose(inWords(path, error));
  }
  return { end: release };
}

function gone(path: string): string {
  return `${path} is gone: was the device unplugged?`;
}

/** The system's message, and what to do about the common ones. */
function inWords(path: string, error: unknown): string {
  const message = error instanceof Error ? error.message.replace(/^Error:? */, "") : "closed";
  if (/no such file/i.test(message)) return `${path} does not exist: is the device plugged in and the path right?`;
  if (/permission denied/i.test(message))
    return `${path} may not be opened: add this user to the group that owns it (dialout)`;
  if (/\b(EIO|ENXIO|EBADF|ENODEV)\b|bad file descriptor/i.test(message)) return gone(path);
  if (/cannot lock/i.test(message)) return `${path} is in use by another program`;
  return `${path}: ${message}`;
}
