/** Server-sent events to open pages. A page that does not read fast enough is let go; it comes back and is sent the whole state. */
import type { ServerResponse } from "node:http";
import type { LiveEvents, NodeId } from "@cairn/protocol";

export type LiveHub = {
  /** Pages connected now. */
  readonly size: number;
  /** Nodes whose readings a page looks at. */
  watched(): readonly NodeId[];
  /** False when no more pages are taken. A page that has left meanwhile takes no room. */
  add(response: ServerResponse, nodeId: NodeId | null, first: { fleet: LiveEvents["fleet"] }): boolean;
  send<E extends keyof LiveEvents>(event: E, data: LiveEvents[E], onlyNode?: string): void;
  close(): void;
};

/** Bytes that may wait in a page's connection. */
const backlogBytes = 1_048_576;
const heartbeatMs = 15_000;

export function createLiveHub(mostPages: number): LiveHub {
  const pages = new Map<ServerResponse, NodeId | null>();

  function write(response: ServerResponse, text: string): void {
    if (response.writableLength > backlogBytes) drop(response);
    else response.write(text);
  }

  function drop(response: ServerResponse): void {
    pages.delete(response);
    response.destroy();
  }

  const heartbeat = setInterval(() => {
    for (const response of pages.keys()) write(response, ": alive\n\n");
  }, heartbeatMs);

  return {
    get size() {
      return pages.size;
    },
    watched: () => [...new Set([...pages.values()].filter((nodeId) => nodeId !== null))],
    add(response, nodeId, first) {
      if (response.destroyed) return true;
      if (pages.size >= mostPages) return false;
      response.writeHead(200, {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
      });
      response.on("close", () => pages.delete(response));
      pages.set(response, nodeId);
      write(response, `retry: 1000\n\n${frame("fleet", first.fleet)}`);
      return true;
    },
    send(event, data, onlyNode) {
      if (pages.size === 0) return;
      const text = frame(event, data);
      for (const [response, nodeId] of pages) if (onlyNode === undefined || nodeId === onlyNode) write(response, text);
    },
    close() {
      clearInterval(heartbeat);
      for (const response of pages.keys()) {
        pages.delete(response);
        response.end();
      }
    },
  };
}

function frame(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
