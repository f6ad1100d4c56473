import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseRecording } from "./recording.ts";

const header = '{"format":"cairn-recording/1","device":"a receiver","baudRate":9600,"note":""}';

function refusal(text: string): string {
  const result = parseRecording(text);
  assert.ok(!result.ok, "taken");
  return result.rejection.detail;
}

test("every byte survives being written and read", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 20 }), (chunks) => {
      const lines = chunks.map((bytes, at) => JSON.stringify({ t: at * 7, b: Buffer.from(bytes).toString("latin1") }));
      const result = parseRecording([header, ...lines, ""].join("\n"));
      assert.ok(result.ok);
      assert.deepEqual(
        result.value.chunks.map(({ atMs, bytes }) => [atMs, [...bytes]]),
        chunks.map((bytes, at) => [at * 7, [...bytes]]),
      );
    }),
  );
});

test("the header's facts are kept", () => {
  const result = parseRecording(`${header}\n{"t":0,"b":"x"}`);
  assert.ok(result.ok);
  const { device, baudRate, note } = result.value;
  assert.deepEqual({ device, baudRate, note }, { device: "a receiver", baudRate: 9600, note: "" });
});

test("a bad recording is refused with the line and the reason", () => {
  const chunk = '{"t":5,"b":"x"}';
  assert.match(refusal(""), /^line 1: not complete JSON/);
  assert.match(refusal("hello"), /^line 1: not complete JSON/);
  assert.match(refusal(header.replace("/1", "/2")), /^line 1: header: \/format/);
  assert.match(refusal(header.replace("9600", "0")), /^line 1: header: \/baudRate/);
  assert.match(refusal(`${header}\n`), /^line 2: there is no chunk/);
  assert.match(refusal(`${header}\n${chunk}\n${chunk.slice(0, -4)}`), /^line 3: not complete JSON/);
  assert.match(refusal(`${header}\n${chunk}\n\n${chunk}`), /^line 3: not complete JSON/);
  assert.match(refusal(`${header}\n${chunk}\n{"t":4,"b":"x"}`), /^line 3: time goes back from 5 to 4 ms/);
  assert.match(refusal(`${header}\n{"t":-1,"b":"x"}`), /^line 2: chunk: \/t/);
  assert.match(refusal(`${header}\n{"t":1.5,"b":"x"}`), /^line 2: chunk: \/t/);
  assert.match(refusal(`${header}\n{"t":1,"b":""}`), /^line 2: chunk: \/b/);
  assert.match(refusal(`${header}\n{"t":1,"b":"\u0100"}`), /^line 2: \/b holds a character that is no byte/);
  assert.match(refusal(`${header}\n{"t":1,"b":"x","c":1}`), /^line 2: chunk: /);
});

test("any text is taken or refused, and never throws", () => {
  fc.assert(
    fc.property(fc.string(), fc.json(), (text, json) => {
      parseRecording(text);
      parseRecording(`${header}\n${json}`);
    }),
  );
});
