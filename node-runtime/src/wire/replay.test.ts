import assert from "node:assert/strict";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { loopGapMs, openReplay, readRecordingFile, recordingLimit } from "./replay.ts";

const folder = mkdtempSync(join(tmpdir(), "cairn-replay-"));
after(() => rmSync(folder, { recursive: true }));

type Event = { readonly after: number; readonly what: string; readonly atMs?: number };

/** Starts a replay, closed when the test ends; `events` grows as it plays. */
function play(t: TestContext, chunks: readonly (readonly [number, string])[], loop?: boolean) {
  const events: Event[] = [];
  const source = openReplay({
    name: "test",
    chunks: chunks.map(([atMs, text]) => ({ atMs, bytes: Buffer.from(text) })),
    ...(loop === undefined ? {} : { loop }),
  });
  t.after(() => source.close());
  const began = performance.now();
  source.start({
    bytes: (chunk, atMs) =>
      events.push({ after: performance.now() - began, what: Buffer.from(chunk).toString(), atMs }),
    state: (state, detail) => events.push({ after: performance.now() - began, what: `${state}: ${detail}` }),
  });
  return { source, events, what: () => events.map(({ what }) => what) };
}

test("chunks come in order at their own times and the end is told", async (t) => {
  const { source, events, what } = play(
    t,
    [
      [0, "a"],
      [120, "b"],
      [120, "c"],
      [300, "d"],
    ],
    false,
  );
  const before = Date.now();
  await sleep(450);
  await source.close();
  assert.deepEqual(what(), ["open: replay of test", "a", "b", "c", "d", "lost: the recording has ended"]);
  for (const [index, due] of [
    [1, 0],
    [2, 120],
    [3, 120],
    [4, 300],
  ] as const) {
    const late = (events[index]?.after ?? 0) - due;
    assert.ok(late > -2 && late < 100, `chunk ${index} was ${late} ms late`);
    assert.ok(Math.abs((events[index]?.atMs ?? 0) - before - due) < 150);
  }
});

test("many short waits do not add up to drift", async (t) => {
  const { source, events } = play(
    t,
    Array.from({ length: 200 }, (_, index) => [index * 3, "x"] as const),
    false,
  );
  await sleep(760);
  await source.close();
  assert.equal(events.length, 202);
  const late = (events[200]?.after ?? 0) - 199 * 3;
  assert.ok(late > -2 && late < 60, `the last chunk was ${late} ms late`);
});

test("it begins again a second after the end", async (t) => {
  const { source, events, what } = play(t, [
    [0, "a"],
    [50, "b"],
  ]);
  await sleep(50 + loopGapMs + 200);
  await source.close();
  assert.deepEqual(what(), ["open: replay of test", "a", "b", "a", "b"]);
  const pause = (events[3]?.after ?? 0) - (events[1]?.after ?? 0);
  assert.ok(Math.abs(pause - (50 + loopGapMs)) < 100, `${pause} ms from beginning to beginning`);
});

test("after a standstill it goes on from where it was instead of hurrying", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const { source, what } = play(t, [
    [0, "a"],
    [1000, "b"],
    [2000, "c"],
    [60_000, "d"],
  ]);
  const pass = (ms: number) => {
    now += ms;
    t.mock.timers.tick(ms);
  };
  t.mock.timers.tick(0);
  assert.deepEqual(what().slice(1), ["a"]);
  now += 30_000;
  pass(1000);
  assert.deepEqual(what().slice(1), ["a", "b"]);
  pass(999);
  assert.deepEqual(what().slice(1), ["a", "b"]);
  pass(1);
  assert.deepEqual(what().slice(1), ["a", "b", "c"]);
  await source.close();
});

test("nothing comes after close, also when close is called while chunks are given out", async (t) => {
  const seen: string[] = [];
  const source = openReplay({
    name: "test",
    chunks: [0, 0, 10].map((atMs) => ({ atMs, bytes: Buffer.from("x") })),
    loop: false,
  });
  t.after(() => source.close());
  source.start({
    bytes(chunk) {
      seen.push(Buffer.from(chunk).toString());
      void source.close();
    },
    state() {},
  });
  await sleep(60);
  assert.deepEqual(seen, ["x"]);
  await source.close();
  source.start({ bytes: () => seen.push("again"), state: () => seen.push("again") });
  await sleep(20);
  assert.deepEqual(seen, ["x"]);
});

test("a recording is read as text, and a bad file is named", async () => {
  const good = join(folder, "good.jsonl");
  writeFileSync(good, '{"b":"ÿ"}\n');
  assert.equal(await readRecordingFile(good), '{"b":"ÿ"}\n');
  const missing = join(folder, "missing.jsonl");
  await assert.rejects(
    readRecordingFile(missing),
    (error: Error) => error.message.includes(missing) && /ENOENT/.test(error.message),
  );
  const binary = join(folder, "binary.jsonl");
  writeFileSync(binary, Buffer.from([0xff, 0xfe]));
  await assert.rejects(readRecordingFile(binary), /binary\.jsonl: .*(encoded|valid)/);
  await assert.rejects(readRecordingFile(folder), /not a file|EISDIR/);
  const large = join(folder, "large.jsonl");
  writeFileSync(large, "");
  truncateSync(large, recordingLimit + 1);
  await assert.rejects(readRecordingFile(large), /67108865 bytes, at most 67108864 are read/);
});
