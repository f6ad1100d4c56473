/**
 * A recording played as if it were a serial port: every chunk at its own time, measured against the monotonic clock, so that
 * neither late timers nor a wall clock that jumps add up to drift.
 *
 * How the parts join (a stage never imports another, so pipeline.ts does it):
 *
 *     const text = await readRecordingFile(path);                       // wire
 *     const recording = parseRecording(text);                           // validate/recording.ts
 *     if (!recording.ok) throw ... `${path}: ${recording.rejection.detail}`
 *     const source = openReplay({ name: path, chunks: recording.value.chunks });
 */
import { open } from "node:fs/promises";
import type { ByteSource } from "../model.ts";

/** Largest recording that is read, bytes. */
export const recordingLimit = 64 * 1024 * 1024;

/** Silence between the end of a recording and its next beginning, ms. */
export const loopGapMs = 1000;

/** Further behind than this (the machine slept, the process was stopped), a replay goes on from where it was instead of hurrying, ms. */
const behindLimitMs = 5000;

/** Reads a recording's text. Throws an Error naming the file when it is missing, unreadable, not UTF-8 or above `recordingLimit`. */
export async function readRecordingFile(path: string): Promise<string> {
  try {
    const file = await open(path, "r");
    try {
      const stat = await file.stat();
      if (!stat.isFile()) throw new Error("not a file");
      if (stat.size > recordingLimit) throw new Error(`${stat.size} bytes, at most ${recordingLimit} are read`);
      return new TextDecoder("utf-8", { fatal: true }).decode(await file.readFile());
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new Error(`recording ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

export type ReplayOptions = {
  /** Shown in logs: the file's name. */
  readonly name: string;
  /** In order of time; `atMs` from the recording's start, ms. Given to the listener as they are: it must not change the bytes. */
  readonly chunks: readonly { readonly atMs: number; readonly bytes: Uint8Array }[];
  /** Begin again, one second after the end; true unless said otherwise. */
  readonly loop?: boolean;
};

/** A source that is open at once and stays so; without `loop` it ends with state "lost" ("the recording has ended"). */
export function openReplay({ name, chunks, loop = true }: ReplayOptions): ByteSource {
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  return {
    name,
    start(listener) {
      if (closed || timer) return;
      const lastAt = chunks.at(-1)?.atMs;
      let origin = performance.now();
      let next = 0;
      const deliver = () => {
        timer = undefined;
        const late = performance.now() - (origin + (chunks[next]?.atMs ?? 0));
        if (late > behindLimitMs) origin += late;
        for (let chunk = chunks[next]; chunk && origin + chunk.atMs <= performance.now(); chunk = chunks[next]) {
          next += 1;
          listener.bytes(chunk.bytes, Date.now());
          if (closed) return;
        }
        if (next === chunks.length) {
          if (!loop || lastAt === undefined) return listener.state("lost", "the recording has ended");
          origin += lastAt + loopGapMs;
          next = 0;
        }
        wait();
      };
      const wait = () => {
        timer = setTimeout(deliver, Math.max(0, origin + (chunks[next]?.atMs ?? 0) - performance.now()));
      };
      listener.state("open", `replay of ${name}`);
      wait();
    },
    async close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
