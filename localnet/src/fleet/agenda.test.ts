import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createAgenda } from "./agenda.ts";
import { chanceFor } from "./random.ts";

const clock = () => performance.now();

test("tasks are done in the order of their times, none early, whatever the order they were put down in", async () => {
  const agenda = createAgenda(clock);
  const chance = chanceFor("agenda", "order");
  const begin = clock();
  const done: number[] = [];
  for (let task = 0; task < 500; task++) {
    const atMs = begin + chance() * 80;
    agenda.at(atMs, () => {
      assert.ok(clock() >= atMs);
      done.push(atMs);
    });
  }
  await sleep(150);
  assert.equal(done.length, 500);
  assert.deepEqual(
    done,
    [...done].sort((a, b) => a - b),
  );
  agenda.close();
});

test("what is cancelled, or still due at the close, is never done", async () => {
  const agenda = createAgenda(clock);
  const done: string[] = [];
  const cancelled = agenda.at(clock() + 10, () => done.push("cancelled"));
  agenda.at(clock() + 10, () => done.push("kept"));
  agenda.at(clock() + 60, () => done.push("after the close"));
  agenda.cancel(cancelled);
  await sleep(40);
  agenda.close();
  await sleep(40);
  assert.deepEqual(done, ["kept"]);
});

test("a task may put down the next one, earlier than any that waits", async () => {
  const agenda = createAgenda(clock);
  const done: string[] = [];
  agenda.at(clock() + 60, () => done.push("late"));
  agenda.at(clock() + 5, () => agenda.at(clock() + 5, () => done.push("early")));
  await sleep(100);
  assert.deepEqual(done, ["early", "late"]);
  agenda.close();
});
