import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openSerial, type Port, reopenWaitMs, type SerialEdges } from "./serial.ts";

/** A port that does what the test tells it to. */
class ScriptedPort extends EventEmitter implements Port {
  openError: Error | null = null;
  hangsOnClose = false;
  isOpen = false;
  closes = 0;
  open(done: (error: Error | null) => void) {
    setImmediate(() => {
      this.isOpen = this.openError === null;
      done(this.openError);
    });
  }
  close(done: (error: Error | null) => void) {
    this.closes += 1;
    if (this.hangsOnClose) return;
    setImmediate(() => {
      const was = this.isOpen;
      this.isOpen = false;
      if (was) this.emit("close", null);
      done(was ? null : new Error("Port is not open"));
    });
  }
}

type Script = {
  readonly prepare?: (port: ScriptedPort, index: number) => void;
  readonly identify?: () => Promise<string>;
  readonly random?: number;
};

/** Starts a source over scripted ports; it is closed when the test ends, also when it fails. */
function start(t: TestContext, { prepare = () => {}, identify = async () => "same", random = 0 }: Script = {}) {
  const ports: ScriptedPort[] = [];
  const events: string[] = [];
  const edges: SerialEdges = {
    createPort() {
      const port = new ScriptedPort();
      prepare(port, ports.length);
      ports.push(port);
      return port;
    },
    random: () => random,
    identify,
  };
  const source = openSerial({ path: "/dev/test", baudRate: 9600 }, edges);
  t.after(() => source.close());
  source.start({
    bytes: (chunk) => events.push(`bytes ${Buffer.from(chunk).toString()}`),
    state: (state, detail) => events.push(`${state} ${detail}`),
  });
  return { source, ports, events };
}

test("waits before opening again lie between half a second and a ceiling that grows to ten seconds", () => {
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5, 1000].map((failures) => reopenWaitMs(failures, 0)),
    Array(7).fill(500),
  );
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5, 1000].map((failures) => reopenWaitMs(failures, 1)),
    [1000, 2000, 4000, 8000, 10_000, 10_000, 10_000],
  );
});

test("bytes go through, and a port that vanishes is told once and opened again", async (t) => {
  const { source, ports, events } = start(t);
  await sleep(20);
  ports[0]?.emit("data", Buffer.from("one"));
  ports[0]?.emit("close", new Error("EIO: i/o error, read"));
  ports[0]?.emit("error", new Error("late echo of the same trouble"));
  ports[0]?.emit("data", Buffer.from("too late"));
  await sleep(600);
  ports[1]?.emit("data", Buffer.from("two"));
  await source.close();
  assert.deepEqual(events, [
    "open /dev/test at 9600 baud",
    "bytes one",
    "lost /dev/test is gone: was the device unplugged?",
    "open /dev/test at 9600 baud",
    "bytes two",
  ]);
  assert.equal(ports.length, 2);
  assert.equal(ports[1]?.isOpen, false);
});

test("the same reason is told once over many attempts, another one is told", async (t) => {
  const { source, ports, events } = start(t, {
    prepare(port, index) {
      port.openError = new Error(
        index < 2
          ? "Error: No such file or directory, cannot open /dev/test"
          : "Error: Permission denied, cannot open /dev/test",
      );
    },
  });
  await sleep(1150);
  await source.close();
  assert.equal(ports.length, 3);
  assert.deepEqual(events, [
    "lost /dev/test does not exist: is the device plugged in and the path right?",
    "lost /dev/test may not be opened: add this user to the group that owns it (dialout)",
  ]);
});

test("waits grow from failure to failure until bytes come", async (t) => {
  const { source, ports } = start(t, {
    random: 0.5,
    prepare(port, index) {
      port.openError = index < 2 ? new Error("busy") : null;
    },
  });
  // 0.75 s, then 1.25 s.
  await sleep(1700);
  assert.equal(ports.length, 2);
  await sleep(450);
  assert.equal(ports.length, 3);
  ports[2]?.emit("data", Buffer.from("x"));
  ports[2]?.emit("close", new Error("EIO"));
  await sleep(1000);
  assert.equal(ports.length, 4, "after bytes the first wait is short again");
  await source.close();
});

test("a port that was being lost when close came is not opened again", async (t) => {
  const { source, ports, events } = start(t);
  await sleep(20);
  ports[0]?.emit("close", new Error("EIO"));
  await source.close();
  await sleep(700);
  assert.equal(ports.length, 1);
  assert.deepEqual(events, ["open /dev/test at 9600 baud"]);
});

test("a device node that is replaced behind an open port is noticed", async (t) => {
  let node = "first";
  const { source, ports, events } = start(t, { identify: async () => node });
  await sleep(20);
  node = "second";
  await sleep(2100);
  assert.deepEqual(events.slice(0, 2), [
    "open /dev/test at 9600 baud",
    "lost /dev/test is gone: was the device unplugged?",
  ]);
  assert.equal(ports[0]?.isOpen, false, "the old port is closed before a new one is opened");
  await source.close();
});

test("close finishes at once while waiting to open again, while opening, and when never started", async (t) => {
  const failing = start(t, {
    prepare(port) {
      port.openError = new Error("busy");
    },
  });
  await sleep(20);
  const opening = start(t);
  const began = performance.now();
  await Promise.all([failing.source.close(), opening.source.close()]);
  await openSerial({ path: "/dev/test", baudRate: 9600 }).close();
  assert.ok(performance.now() - began < 200);
  await sleep(700);
  assert.equal(failing.ports.length, 1, "no attempt after close");
  assert.equal(opening.ports[0]?.isOpen, false, "a port that opened late was closed");
  assert.deepEqual(opening.events, []);
  await failing.source.close();
});

test("close finishes although the driver hangs", async (t) => {
  const { source, ports } = start(t, {
    prepare(port) {
      port.hangsOnClose = true;
    },
  });
  await sleep(20);
  const began = performance.now();
  await source.close();
  assert.ok(performance.now() - began < 2500);
  assert.equal(ports[0]?.closes, 1);
});

test("settings that the library refuses are told as words", async () => {
  const events: string[] = [];
  const source = openSerial({ path: "/nowhere/ttyUSB0", baudRate: Number.NaN });
  source.start({ bytes: () => {}, state: (state, detail) => events.push(`${state} ${detail}`) });
  await sleep(100);
  await source.close();
  assert.equal(events.length, 1);
  assert.match(events[0] ?? "", /^lost \/nowhere\/ttyUSB0/);
});
