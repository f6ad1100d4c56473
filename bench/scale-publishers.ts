/**
 * Nodes that publish at QoS 1, each with one message under way, over raw sockets. The first line on standard input is the JSON
 * of a PublisherPlan, answered by {"ready":true} when all are connected; each line with a number after it makes each of them publish so
 * many messages, answered by {"published":..} when all are acknowledged.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { connectPacket, packet, packetTypes, publishAtQos1, takePackets, text } from "./mqtt-packets.ts";

export type PublisherPlan = {
  readonly port: number;
  readonly payloadBytes: number;
  readonly nodes: readonly { readonly topic: string; readonly username: string; readonly password: string }[];
};

type Publisher = { publish(count: number): Promise<void> };

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const plan = JSON.parse((await lines.next()).value ?? "") as PublisherPlan;
const payload = Buffer.alloc(plan.payloadBytes, 0x61);

async function openPublisher({ topic, username, password }: PublisherPlan["nodes"][number]): Promise<Publisher> {
  const socket: Socket = connect({ port: plan.port, host: "127.0.0.1", noDelay: true });
  const connected = Promise.withResolvers<void>();
  const message = packet(publishAtQos1, text(topic), Buffer.of(0, 1), payload);
  let pending: Buffer | undefined;
  let left = 0;
  let done = () => {};
  const send = () => {
    left -= 1;
    socket.write(message);
  };
  socket.on("error", connected.reject);
  socket.on("close", () => {
    throw new Error("the broker closed a connection of the load");
  });
  socket.on("data", (chunk) => {
    pending = takePackets(pending, chunk, (first, body) => {
      const type = first >> 4;
      if (type === packetTypes.connack && body[1] !== 0) throw new Error(`${username} was refused: ${body[1]}`);
      if (type === packetTypes.connack) connected.resolve();
      else if (type !== packetTypes.puback) return;
      else if (left > 0) send();
      else done();
    });
  });
  await once(socket, "connect");
  socket.write(connectPacket(username, username, password));
  await connected.promise;
  return {
    publish(count) {
      left = count;
      return new Promise((resolve) => {
        done = resolve;
        send();
      });
    },
  };
}

const publishers: Publisher[] = [];
for (const node of plan.nodes) publishers.push(await openPublisher(node));
const say = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`);
say({ ready: true });
for await (const line of { [Symbol.asyncIterator]: () => lines }) {
  const each = Number(line);
  await Promise.all(publishers.map((publisher) => publisher.publish(each)));
  say({ published: each * publishers.length });
}
process.exit();
