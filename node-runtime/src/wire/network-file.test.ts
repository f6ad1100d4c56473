import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { NetworkDescriptor } from "@cairn/protocol";
import { silent } from "../../testing/surroundings.ts";
import { NodeFault } from "../fault.ts";
import { awaitNetwork } from "./network-file.ts";

const soon = {
  later(_ms: number, task: () => void) {
    const timer = setTimeout(task, 5);
    return () => clearTimeout(timer);
  },
};
const descriptor: NetworkDescriptor = {
  network: "test",
  chainId: 1,
  rewards: `0x${"11".repeat(20)}`,
  verifiers: [`0x${"22".repeat(20)}`],
  coordinatorKey: generateKeyPairSync("ec", { namedCurve: "P-256" })
    .publicKey.export({ format: "pem", type: "spki" })
    .toString(),
  genesisAt: 0,
  slotMs: 60_000,
  slotsPerEpoch: 10,
};

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cairn-network-"));
  file = join(folder, "network.json");
});
afterEach(() => rmSync(folder, { recursive: true }));

test("a descriptor that is not there yet is waited for", async () => {
  const waiting = awaitNetwork(file, soon, silent, new AbortController().signal);
  await new Promise((resolve) => setTimeout(resolve, 30));
  writeFileSync(file, JSON.stringify(descriptor));
  assert.equal((await waiting)?.network, "test");
});

test("a half written descriptor is read again, one that stays wrong is refused with what is wrong", async () => {
  writeFileSync(file, "{");
  const retry = Promise.withResolvers<() => void>();
  const stepwise = {
    later(_ms: number, task: () => void) {
      retry.resolve(task);
      return () => {};
    },
  };
  const waiting = awaitNetwork(file, stepwise, silent, new AbortController().signal);
  const readAgain = await retry.promise;
  writeFileSync(file, JSON.stringify(descriptor));
  readAgain();
  assert.equal((await waiting)?.network, "test");
  writeFileSync(file, JSON.stringify({ ...descriptor, slotMs: 5 }));
  await assert.rejects(
    awaitNetwork(file, soon, silent, new AbortController().signal),
    (fault) => fault instanceof NodeFault && fault.code === "network-refused" && /slotMs/.test(fault.message),
  );
  await assert.rejects(awaitNetwork(folder, soon, silent, new AbortController().signal), NodeFault);
});

test("the wait ends when the daemon stops", async () => {
  const stopping = new AbortController();
  const waiting = awaitNetwork(file, soon, silent, stopping.signal);
  stopping.abort();
  assert.equal(await waiting, undefined);
});
