import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { type NodeId, topicsOf } from "@cairn/protocol";
import { type Device, makeDevice, reading } from "../../testing/devices.ts";
import { founding, slotTime } from "../../testing/founding.ts";
import { slotRow } from "../../testing/inputs.ts";
import type { Arrival } from "../model.ts";
import { type Judges, startJudges } from "./judges.ts";

const thread = new URL("../admission-thread.ts", import.meta.url);
const topics = topicsOf(founding.network);
const device = makeDevice();
const running: Judges[] = [];
after(() => Promise.all(running.map((judges) => judges.close())));

describe("judges in threads of their own", () => {
  test("answer every arrival with its own verdict, however many come in one turn", async () => {
    const judges = start(2);
    judges.setKeys([keyOf(device)]);
    const sequences = Array.from({ length: 200 }, (_, index) => index + 1);
    const inputs = await Promise.all(
      sequences.map((sequence) =>
        judges.judge(batch(sequence, sequence % 3 === 0 ? Buffer.from("no batch") : undefined)),
      ),
    );
    for (const [index, input] of inputs.entries()) {
      const sequence = index + 1;
      assert.equal(input.receivedAt, sequence);
      if (sequence % 3 === 0) assert.partialDeepStrictEqual(input, { kind: "refused", bytes: "no batch".length });
      else assert.ok(input.kind === "batch" && input.payload.seq === sequence && input.readings === 1);
    }
  });

  test("take a thousand arrivals and more at once with the help of further threads, which know what the first knows", async () => {
    const judges = start(3);
    judges.setKeys([keyOf(device)]);
    const inputs = await Promise.all(
      Array.from({ length: 4 }, async (_, wave) => {
        for (let waited = 0; waited < wave; waited++) await turn();
        return Promise.all(Array.from({ length: 1_200 }, () => judges.judge(batch(1))));
      }),
    );
    assert.ok(inputs.flat().every(({ kind }) => kind === "batch"));
    assert.equal(inputs.flat().length, 4_800);
  });

  test("take arrivals of many turns, and leave the payload with the one who asked", async () => {
    const judges = start(3);
    judges.setKeys([keyOf(device)]);
    for (let sequence = 1; sequence <= 9; sequence++) {
      const arrival = batch(sequence);
      const before = Buffer.from(arrival.payload);
      const judged = judges.judge(arrival);
      await turn();
      assert.equal((await judged).kind, "batch");
      assert.deepEqual(arrival.payload, before);
    }
  });

  test("know the keys that they were told of before the arrival, and keep those told earlier", async () => {
    const judges = start(2);
    const code = async (arrival: Arrival) => {
      const input = await judges.judge(arrival);
      return input.kind === "refused" ? input.rejection.code : input.kind;
    };
    assert.equal(await code(batch(1)), "key-unknown");
    judges.setKeys([keyOf(device)]);
    assert.deepEqual([await code(batch(1)), await code(batch(2))], ["batch", "batch"]);
    const other = makeDevice();
    judges.setKeys([keyOf(other)]);
    assert.deepEqual([await code(batch(3)), await code(batch(4))], ["batch", "batch"]);
    assert.equal(await code(arrivalOf(other, "batch", other.batch())), "batch");
  });

  test("answer for the newest set of beacons alone", async () => {
    const judges = start(1);
    judges.setKeys([keyOf(device)]);
    const [older, newer] = [slotRow(4), slotRow(5)];
    const code = async (row: typeof older) => {
      const input = await judges.judge({
        ...arrivalOf(device, "evidence", device.evidence(row)),
        receivedAt: slotTime(4),
      });
      return input.kind === "refused" ? input.rejection.code : input.kind;
    };
    judges.setBeacons([older]);
    assert.deepEqual([await code(older), await code(newer)], ["evidence", "nonce-unknown"]);
    judges.setBeacons([newer]);
    assert.deepEqual([await code(older), await code(newer)], ["nonce-unknown", "evidence"]);
  });

  test("say so when a thread dies, and what it held is not answered", async () => {
    const dying = new URL(
      `data:text/javascript,${encodeURIComponent(
        "import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => { throw new Error('it broke'); });",
      )}`,
    );
    const died = Promise.withResolvers<unknown>();
    const judges = startJudges(dying, 1, { time: founding.time }, died.resolve);
    running.push(judges);
    let answered = false;
    void judges.judge(batch(1)).then(() => {
      answered = true;
    });
    assert.match(String(await died.promise), /it broke/);
    await turn();
    assert.equal(answered, false);
  });
});

function start(count: number): Judges {
  const judges = startJudges(thread, count, { time: founding.time }, (error) => {
    throw error;
  });
  running.push(judges);
  return judges;
}

function keyOf({ nodeId, publicKey }: Device): readonly [NodeId, string] {
  return [nodeId, publicKey];
}

/** Arrivals are told apart by their time. */
function batch(sequence: number, payload = device.batch({ sequence, readings: [reading("a.b", sequence)] })): Arrival {
  return { ...arrivalOf(device, "batch", payload), receivedAt: sequence };
}

function arrivalOf({ nodeId }: Device, channel: Arrival["channel"], payload: Buffer): Arrival {
  return { sender: nodeId, channel, topic: topics.node(nodeId, channel), payload, receivedAt: slotTime(0) };
}
