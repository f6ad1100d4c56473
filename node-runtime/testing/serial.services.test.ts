/** The serial source against a real terminal pair of the kernel, made by socat; run by `npm run test:services`. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createNmeaFrames } from "../src/validate/nmea-frames.ts";
import { openSerial } from "../src/wire/serial.ts";

const folder = mkdtempSync(join(tmpdir(), "cairn-serial-"));
const device = join(folder, "device");
const port = join(folder, "port");
const running = new Set<ChildProcess>();
after(() => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

/** A cable between `device` and `port`; resolves when both ends are there. */
async function plug(): Promise<ChildProcess> {
  const child = spawn("socat", ["-d", "-d", `pty,raw,echo=0,link=${device}`, `pty,raw,echo=0,link=${port}`]);
  running.add(child);
  let words = "";
  for await (const chunk of child.stderr) {
    words += chunk;
    if (words.includes("starting data transfer")) return child;
  }
  throw new Error(`socat ended: ${words}`);
}

async function unplug(child: ChildProcess): Promise<void> {
  child.kill("SIGTERM");
  await once(child, "exit");
  running.delete(child);
}

async function until(what: string, holds: () => boolean, withinMs = 5000): Promise<void> {
  for (const began = Date.now(); !holds(); await sleep(10))
    if (Date.now() - began > withinMs) throw new Error(`${what} did not happen within ${withinMs} ms`);
}

function listen(t: TestContext) {
  const states: string[] = [];
  const sentences: string[] = [];
  const frames = createNmeaFrames();
  const source = openSerial({ path: port, baudRate: 9600 });
  t.after(() => source.close());
  source.start({
    bytes: (chunk, atMs) => {
      assert.ok(Math.abs(Date.now() - atMs) < 1000);
      sentences.push(...frames.push(chunk));
    },
    state: (state, detail) => states.push(`${state} ${detail}`),
  });
  return { source, states, sentences, frames };
}

const sentence = "$GPTXT,01,01,02,ANTENNA OK*36";

test("bytes come through a real terminal unchanged, and a pulled plug is noticed and survived", async (t) => {
  let cable = await plug();
  const { source, states, sentences, frames } = listen(t);
  await until("the port opening", () => states.length === 1);
  assert.equal(states[0], `open ${port} at 9600 baud`);

  const end = openSync(device, "w");
  for (let index = 0; index < 200; index++) writeSync(end, `${sentence}\r\n`);
  writeSync(end, Buffer.from([0x00, 0x03, 0x11, 0x13, 0x7f, 0xff]));
  await until("all sentences", () => sentences.length === 200 && frames.discards().noise === 6);
  assert.deepEqual(new Set(sentences), new Set([sentence]));

  closeSync(end);
  await unplug(cable);
  await until("the loss being told", () => states.length === 2);
  assert.equal(states[1], `lost ${port} is gone: was the device unplugged?`);
  await sleep(1200);
  cable = await plug();
  await until("the port opening again", () => states.at(-1)?.startsWith("open ") ?? false, 15_000);
  const back = openSync(device, "w");
  writeSync(back, `${sentence}\r\n`);
  await until("a sentence after the return", () => sentences.length === 201);
  closeSync(back);

  await source.close();
  const told = states.length;
  await unplug(cable);
  await sleep(200);
  assert.equal(states.length, told, "nothing is told after close");
});

test("a port that is not there yet is opened when it comes, and one in use says so", async (t) => {
  const early = listen(t);
  await until("the absence being told", () => early.states.length === 1);
  assert.equal(early.states[0], `lost ${port} does not exist: is the device plugged in and the path right?`);
  const cable = await plug();
  await until("the port opening", () => early.states.at(-1)?.startsWith("open ") ?? false, 15_000);

  const second = listen(t);
  await until("the refusal being told", () => second.states.length === 1);
  assert.equal(second.states[0], `lost ${port} is in use by another program`);
  await second.source.close();
  await early.source.close();
  await unplug(cable);
});

test("an idle open port costs next to no processor time", async (t) => {
  const cable = await plug();
  const { source, states } = listen(t);
  await until("the port opening", () => states.length === 1);
  const before = process.cpuUsage();
  await sleep(1500);
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 300_000, `${user + system} microseconds of 1.5 s`);
  await source.close();
  await unplug(cable);
});
