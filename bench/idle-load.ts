/**
 * Connections that do nothing: each signs in as a simulated node, subscribes to what a node does and is silent. Argument: JSON of IdlePlan.
 * A line with a number on standard input has it open connections until there were so many, answered by {"open":..}, how many there are.
 */
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { simulatedKey } from "@cairn/localnet";
import { encodeCredential, topicsOf } from "@cairn/protocol";
import { connectPacket, packetTypes, subscribePacket, takePackets } from "./mqtt-packets.ts";

export type IdlePlan = {
  readonly port: number;
  readonly network: string;
  readonly seed: string;
};

/** That are being opened at a time. */
const atOnce = 200;

const plan = JSON.parse(process.argv[2] ?? "") as IdlePlan;
const topics = topicsOf(plan.network);
const open = new Set<Socket>();
/** All sockets read into these bytes, one after the other. */
const readInto = Buffer.allocUnsafeSlow(65_536);

/** Resolves when the subscriptions are answered. */
function openIdle(index: number): Promise<void> {
  const { nodeId, sign } = simulatedKey(plan.seed, index);
  const credential = encodeCredential(plan.network, nodeId, Date.now(), sign);
  return new Promise((resolve, reject) => {
    let pending: Buffer | undefined;
    const handle = (first: number, body: Buffer) => {
      const type = first >> 4;
      if (type === packetTypes.connack && body[1] !== 0) reject(new Error(`${nodeId} was refused: ${body[1]}`));
      if (type === packetTypes.suback) resolve();
    };
    const socket = connect({
      ...{ port: plan.port, host: "127.0.0.1", noDelay: true },
      onread: {
        buffer: readInto,
        callback(length) {
          pending = takePackets(pending, readInto.subarray(0, length), handle);
          return true;
        },
      },
    });
    socket.on("error", reject);
    socket.on("close", () => {
      open.delete(socket);
      reject(new Error(`the connection of ${nodeId} was closed`));
    });
    socket.once("connect", () => {
      open.add(socket);
      socket.write(connectPacket(nodeId, nodeId, credential));
      socket.write(subscribePacket(topics.receipt(nodeId), topics.anyBeacon));
    });
  });
}

let next = 0;
async function openUpTo(connections: number): Promise<void> {
  while (next < connections) await openIdle(next++);
}
for await (const line of createInterface({ input: process.stdin })) {
  await Promise.all(Array.from({ length: atOnce }, () => openUpTo(Number(line))));
  process.stdout.write(`${JSON.stringify({ open: open.size })}\n`);
}
process.exit();
