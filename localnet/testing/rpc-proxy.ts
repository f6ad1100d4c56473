/** Stands between the coordinator and the chain, and can lose what goes to and fro at the one moment that matters. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** `swallow`: transactions do not reach the chain. `withhold`: they do, but nobody is told. */
export type Mode = "pass" | "swallow" | "withhold";

export type RpcProxy = {
  readonly url: string;
  mode: Mode;
  /** Transactions that came by in a mode other than `pass`. */
  readonly caught: number;
  close(): void;
};

export async function startRpcProxy(target: string): Promise<RpcProxy> {
  let mode: Mode = "pass";
  let caught = 0;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const isTransaction = body.includes("eth_sendRawTransaction");
    const hold = isTransaction && mode !== "pass";
    if (hold && mode === "swallow") {
      caught += 1;
      return;
    }
    const answer = await fetch(target, { method: "POST", body, headers: { "content-type": "application/json" } });
    const text = await answer.text();
    if (hold) caught += 1;
    else response.setHeader("content-type", "application/json").end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get mode() {
      return mode;
    },
    set mode(next) {
      mode = next;
    },
    get caught() {
      return caught;
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
