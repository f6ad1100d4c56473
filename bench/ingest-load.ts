/**
 * The load of the ingest benchmark, in a process of its own: simulated nodes with real keys, each on its own MQTT connection, send
 * signed batches made beforehand and wait for storage receipts. Raw sockets, because a full client would use up the second core.
 *
 * Started with a JSON plan on the command line, or, when that is too long, as the first line of standard input: then a second line lets
 * it begin. Prints one JSON line per state: {"ready":..}, {"done":..}.
 */
import { createPrivateKey } from "node:crypto";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import {
  type BootId,
  encodeBatch,
  encodeCredential,
  limits,
  type NodeId,
  type Reading,
  signerOf,
  topicsOf,
} from "@cairn/protocol";
import {
  connectPacket,
  packet,
  packetTypes,
  publishAtQos1,
  subscribePacket,
  takePackets,
  text,
} from "./mqtt-packets.ts";

export type LoadPlan = {
  readonly port: number;
  readonly network: string;
  /** `password`: what a broker beside the coordinator asks for; the embedded one takes the token. */
  readonly keys: readonly { nodeId: NodeId; privateKey: string; password?: string }[];
  readonly batchesPerKey: number;
  readonly readingsPerBatch: number;
  /** Batches of one node that may wait for their receipt. */
  readonly window: number;
  /** Distinguishes the boots of repeated runs against one coordinator. */
  readonly run: number;
};

const [, , given] = process.argv;
const lines = given === undefined ? createInterface({ input: process.stdin })[Symbol.asyncIterator]() : undefined;
const plan = JSON.parse(given ?? (await lines?.next())?.value ?? "") as LoadPlan;
const topics = topicsOf(plan.network);
const series = ["load.a", "load.b", "load.c", "load.d", "load.e"];

function readingsOf(key: number, sequence: number): Reading[] {
  const perSeries = plan.readingsPerBatch / series.length;
  const start = 1_790_000_000_000 + plan.run * 1_000_000_000 + sequence * perSeries * 1_000;
  return Array.from({ length: plan.readingsPerBatch }, (_, index) => ({
    series: series[index % series.length] ?? "load.a",
    unit: "count",
    at: start + Math.floor(index / series.length) * 1_000,
    value: Math.round(Math.sin(key + sequence * 7 + index) * 10_000) / 100,
    quality: "good",
  }));
}

/** Refusals of a window come together: one sending again answers them all. */
const againMs = 100;
let resent = 0;

class SimulatedNode {
  readonly #batches: Buffer[];
  readonly #connect: Buffer;
  readonly #subscribe: Buffer;
  readonly #done: () => void;
  #socket: Socket | undefined;
  #sent = 0;
  #stored = 0;
  #again: NodeJS.Timeout | undefined;
  #pending: Buffer | undefined;

  constructor({ nodeId, privateKey, password }: LoadPlan["keys"][number], index: number, done: () => void) {
    const signer = signerOf(createPrivateKey(privateKey));
    const boot = Buffer.from(`${nodeId}${plan.run}`).subarray(-16).toString("hex") as BootId;
    const topic = topics.node(nodeId, "batch");
    this.#done = done;
    this.#batches = Array.from({ length: plan.batchesPerKey }, (_, at) => {
      const sequence = at + 1;
      const readings = readingsOf(index, sequence);
      const payload = encodeBatch({ boot, bootCount: plan.run, sequence, dropped: [], readings }, nodeId, signer);
      if (payload.length > limits.messageBytes) throw new Error("a batch of the load is too large");
      const id = 1 + (at % 65_535);
      return packet(publishAtQos1, text(topic), Buffer.of(id >> 8, id & 0xff), payload);
    });
    const credential = password ?? encodeCredential(plan.network, nodeId, Date.now(), signer);
    this.#connect = connectPacket(nodeId, nodeId, credential);
    this.#subscribe = subscribePacket(topics.receipt(nodeId));
  }

  /** Resolves when the broker has answered the subscription. */
  connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port: plan.port, host: "127.0.0.1", noDelay: true });
      this.#socket = socket;
      socket.on("error", reject);
      socket.on("close", () => reject(new Error("the broker closed a connection of the load")));
      socket.on("data", (chunk) => this.#receive(chunk, resolve));
      socket.write(this.#connect);
      socket.write(this.#subscribe);
    });
  }

  send(): void {
    while (this.#sent < this.#batches.length && this.#sent < this.#stored + plan.window) {
      const batch = this.#batches[this.#sent];
      this.#sent += 1;
      if (batch) this.#socket?.write(batch);
    }
  }

  close(): void {
    clearTimeout(this.#again);
    this.#socket?.removeAllListeners().destroy();
  }

  #receive(chunk: Buffer, subscribed: () => void): void {
    this.#pending = takePackets(this.#pending, chunk, (first, body) => this.#packet(first, body, subscribed));
  }

  #packet(first: number, body: Buffer, subscribed: () => void): void {
    const type = first >> 4;
    if (type === packetTypes.suback) subscribed();
    if (type !== packetTypes.publish) return;
    const topicLength = body.readUInt16BE(0);
    const qos = (first >> 1) & 3;
    const receipt = body.subarray(2 + topicLength + (qos > 0 ? 2 : 0)).toString("latin1");
    const claims = JSON.parse(Buffer.from(receipt.split(".")[1] ?? "", "base64url").toString());
    if (this.#stored >= this.#batches.length) return;
    this.#stored = Math.max(this.#stored, claims.upTo);
    if (claims.refused) this.#refused(claims.refused);
    if (this.#stored >= this.#batches.length) this.#done();
    else this.send();
  }

  /** Where replicas share the work, a batch may wait too long for its predecessor: as a node does, it is sent again from there on. */
  #refused({ sequence, code }: { sequence: number; code: string }): void {
    if (code !== "sequence-gap") throw new Error(`batch ${sequence} of the load was refused: ${code}`);
    resent += 1;
    this.#again ??= setTimeout(() => {
      this.#again = undefined;
      this.#sent = Math.min(this.#sent, this.#stored);
      this.send();
    }, againMs);
  }
}

function say(message: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

let left = plan.keys.length;
let startedAt = 0;
const nodes = plan.keys.map(
  (key, index) =>
    new SimulatedNode(key, index, () => {
      left -= 1;
      if (left > 0) return;
      const seconds = (performance.now() - startedAt) / 1000;
      const { user, system } = process.cpuUsage(cpu);
      say({ done: { seconds, cpuSeconds: (user + system) / 1e6, resent } });
      for (const node of nodes) node.close();
    }),
);
for (const node of nodes) await node.connect();
say({ ready: true });
await lines?.next();
process.stdin.destroy();
const cpu = process.cpuUsage();
startedAt = performance.now();
for (const node of nodes) node.send();
