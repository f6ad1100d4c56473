import assert from "node:assert/strict";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { EpochRow } from "@cairn/protocol";
import { awaitHealth, coordinatorClient, eventNames } from "./coordinator.ts";
import { watchEpochs } from "./epochs.ts";
import type { EpochNews } from "./report.ts";

async function named(...chunks: string[]): Promise<string[]> {
  const body = new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
      controller.close();
    },
  });
  const names: string[] = [];
  for await (const name of eventNames(new Response(body))) names.push(name);
  return names;
}

describe("a stream of events", () => {
  test("gives each event's name once it is complete, however the bytes are cut", async () => {
    const text =
      "retry: 1000\n\nevent: fleet\ndata: {}\n\n: alive\n\nevent: epoch\r\ndata: {}\r\n\r\nevent: epoch\ndata: cut";
    assert.deepEqual(await named(text), ["fleet", "epoch"]);
    assert.deepEqual(await named(...text), ["fleet", "epoch"]);
  });
  test("that is refused throws", async () => {
    await assert.rejects(eventNames(new Response("", { status: 503 })).next(), /503/);
  });
});

const row = (epoch: number, state: EpochRow["state"]): EpochRow => ({
  ...{ epoch, firstSlot: 0, slotCount: 3, opensAt: 0, closedAt: 1, state, nodes: 1 },
  ...{ slotsCredited: 3, slotsExpected: 3, slotsVoid: 0, total: "1", root: null, evidence: "0x", transaction: null },
  claims: [],
});

/** A scripted coordinator: the test changes `epochs` and sends events. */
class Twin {
  epochs: EpochRow[] = [];
  readonly streams = new Set<ServerResponse>();
  readonly #server: Server = createServer((request, response) => {
    if (request.url?.startsWith("/api/v1/epochs")) response.end(JSON.stringify({ epochs: this.epochs.toReversed() }));
    else if (request.url === "/api/v1/health")
      response.end(
        JSON.stringify({ status: "ok", readingsStored: 1, batchesStored: 1, queueDepth: 0, refusalsShed: 0 }),
      );
    else {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("event: fleet\ndata: {}\n\n");
      this.streams.add(response);
    }
  });

  async listen(port = 0): Promise<number> {
    await new Promise<void>((done) => this.#server.listen(port, "127.0.0.1", done));
    return (this.#server.address() as AddressInfo).port;
  }

  event(): void {
    for (const stream of this.streams) stream.write("event: epoch\ndata: {}\n\n");
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 20) {
    assert.ok(waited < 10_000, "waited 10 s in vain");
    await sleep(20);
  }
}

const texts = (news: readonly EpochNews[]) =>
  news.map((each) => (each.kind === "settled" ? `${each.row.epoch}` : `void ${each.first}-${each.last}`));

describe("the watch over the epochs", () => {
  test("tells each end once and in order, and nothing of what had ended before", async (t) => {
    const twin = new Twin();
    const client = coordinatorClient(`http://127.0.0.1:${await twin.listen()}`);
    t.after(() => twin.close());
    twin.epochs = [row(1, "settled"), row(2, "void"), row(3, "posted")];
    const news: EpochNews[] = [];
    const watch = await watchEpochs(client, 2, (each) => news.push(each));
    t.after(() => watch.close());
    await until(() => twin.streams.size === 1);
    twin.epochs = [row(3, "settled"), row(4, "void"), row(5, "closed")];
    twin.event();
    await until(() => news.length === 2);
    twin.event();
    twin.epochs = [row(3, "settled"), row(4, "void"), row(5, "settled"), row(6, "settled")];
    twin.event();
    await watch.enough;
    assert.deepEqual(texts(news), ["3", "void 4-4", "5"]);
    assert.deepEqual(
      watch.settled.map(({ epoch }) => epoch),
      [3, 5],
    );
  });

  test("goes on after the coordinator was away, and catches up on what ended meanwhile", async (t) => {
    const first = new Twin();
    const port = await first.listen();
    const news: EpochNews[] = [];
    const watch = await watchEpochs(coordinatorClient(`http://127.0.0.1:${port}`), undefined, (each) =>
      news.push(each),
    );
    t.after(() => watch.close());
    await until(() => first.streams.size === 1);
    await first.close();
    const second = new Twin();
    second.epochs = [row(1, "settled")];
    await second.listen(port);
    t.after(() => second.close());
    await until(() => news.length === 1);
    assert.deepEqual(texts(news), ["1"]);
  });
});

describe("waiting for the coordinator", () => {
  test("ends when it is well", async (t) => {
    const twin = new Twin();
    t.after(() => twin.close());
    const health = await awaitHealth(coordinatorClient(`http://127.0.0.1:${await twin.listen()}`), 5_000);
    assert.equal(health.readingsStored, 1);
  });
  test("is given up in time, with words", async () => {
    await assert.rejects(awaitHealth(coordinatorClient("http://127.0.0.1:9"), 200), {
      code: "part-broken",
      message: "the coordinator is not up after 0.2 s",
    });
  });
});
