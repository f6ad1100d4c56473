import assert from "node:assert/strict";
import { test } from "node:test";
import type { JetStreamClient, JsMsg } from "nats";
import { pullMessages } from "./nats-pull.ts";

/** What one request brings: texts, then its end; or silence until it is stopped. */
type Answer = { readonly texts: readonly string[]; readonly silent?: boolean };

function scripted(answers: Answer[]) {
  let requests = 0;
  const client = {
    consumers: {
      get: async () => ({
        async fetch() {
          const { texts, silent } = answers[requests++] ?? { texts: [], silent: true };
          const stopped = Promise.withResolvers<void>();
          return {
            stop: () => stopped.resolve(),
            async *[Symbol.asyncIterator]() {
              for (const text of texts) yield { text };
              if (silent) await stopped.promise;
            },
          };
        },
      }),
    },
  };
  return { client: client as unknown as JetStreamClient, requests: () => requests };
}
const textOf = (message: JsMsg) => (message as unknown as { text: string }).text;
const from = (ended: AbortSignal) => ({ stream: "S", consumer: "c", ended });

test("one request follows the other, in order, and the consumer is told to be found once", async () => {
  const ended = new AbortController();
  const { client, requests } = scripted([{ texts: ["1", "2"] }, { texts: [] }, { texts: ["3"] }]);
  const taken: string[] = [];
  let begun = 0;
  const take = (message: JsMsg) => {
    taken.push(textOf(message));
    if (taken.length === 3) ended.abort();
    return undefined;
  };
  await pullMessages(client, from(ended.signal), take, () => begun++);
  assert.deepEqual([taken, begun, requests()], [["1", "2", "3"], 1, 3]);
});

test("a request that falls silent past its time is given up and told", async () => {
  const { client } = scripted([{ texts: ["1"] }, { texts: [], silent: true }]);
  const started = performance.now();
  await assert.rejects(
    pullMessages(
      client,
      from(new AbortController().signal),
      () => undefined,
      () => {},
    ),
    /not answered/,
  );
  assert.ok(performance.now() - started < 8_000);
});

test("while the coordinator is busy nothing more is handed on, and the silence is not the broker's", async () => {
  const ended = new AbortController();
  const gate = Promise.withResolvers<void>();
  const { client } = scripted([{ texts: ["1", "2"] }]);
  const taken: string[] = [];
  const pulling = pullMessages(
    client,
    from(ended.signal),
    (message) => {
      taken.push(textOf(message));
      if (taken.length === 2) ended.abort();
      return taken.length === 1 ? gate.promise : undefined;
    },
    () => {},
  );
  await new Promise((resolve) => setTimeout(resolve, 6_000));
  assert.deepEqual(taken, ["1"]);
  gate.resolve();
  await pulling;
  assert.deepEqual(taken, ["1", "2"]);
});
