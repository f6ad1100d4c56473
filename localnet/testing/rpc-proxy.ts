/** Stands between the coordinator and the chain, and can lose what goes to and fro at the one moment that matters. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { epochRewardsAbi } from "@cairn/contracts/abi";
import { Interface, Transaction } from "ethers";

/** `swallow`: the transaction does not reach the chain. `withhold`: it does, but nobody is told. */
export type Mode = "swallow" | "withhold";
export type Call = "postRoot" | "claim";

export type RpcProxy = {
  readonly url: string;
  /** From now on transactions of this kind are caught; everything else passes. */
  catch(call: Call, mode: Mode): void;
  release(): void;
  /** Transactions caught so far. */
  readonly caught: number;
  close(): void;
};

const contract = new Interface(epochRewardsAbi);

/** What the transaction in a JSON-RPC request calls; undefined when the request sends none. */
function calledBy(body: Buffer): string | undefined {
  const { method, params } = JSON.parse(body.toString()) as { method: string; params: readonly string[] };
  const raw = method === "eth_sendRawTransaction" ? params[0] : undefined;
  return raw === undefined ? undefined : contract.parseTransaction(Transaction.from(raw))?.name;
}

export async function startRpcProxy(target: string): Promise<RpcProxy> {
  let trap: { readonly call: Call; readonly mode: Mode } | undefined;
  let caught = 0;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const mode = trap && calledBy(body) === trap.call ? trap.mode : undefined;
    if (mode === "swallow") {
      caught += 1;
      return;
    }
    const answer = await fetch(target, { method: "POST", body, headers: { "content-type": "application/json" } });
    const text = await answer.text();
    if (mode === "withhold") caught += 1;
    else response.setHeader("content-type", "application/json").end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    catch(call, mode) {
      trap = { call, mode };
    },
    release() {
      trap = undefined;
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
