/** The broker inside the coordinator: aedes on a TCP port. It knows who is connected and lets a node use its own topics only. */
import { createServer, type Server, type Socket } from "node:net";
import { limits, type NodeId, type Rejection, type Topics } from "@cairn/protocol";
import { Aedes, type AuthenticateError, type Client } from "aedes";
import type { Broker, BrokerListener } from "./broker.ts";
import { createPacketGuard } from "./packet-guard.ts";
import { createPending } from "./pending.ts";

export type EmbeddedBrokerOptions = {
  readonly topics: Topics;
  /** Where nodes connect; port 0 for any. */
  readonly host: string;
  readonly port: number;
  now(): number;
};

/** Who a connection belongs to, and what it may publish to. */
type Sender = { readonly nodeId: NodeId; readonly own: ReadonlySet<string> };

/** Room beside the payload for topic and packet id. */
const packetBytes = limits.messageBytes + 1024;

/**
 * The broker, not yet listening: messages can be published (and retained) before anyone is let in. `start` throws the listening error of
 * node:net, for example EADDRINUSE.
 */
export async function openEmbeddedBroker(options: EmbeddedBrokerOptions, listener: BrokerListener): Promise<Broker> {
  const { topics, now } = options;
  const senders = new WeakMap<Client, Sender>();
  const pending = createPending();
  let receivingSince: number | null = null;

  const aedes = await Aedes.createBroker({
    concurrency: 1_000,
    connectTimeout: 10_000,
    drainTimeout: 30_000,
    maxClientsIdLength: 64,
    keepaliveLimit: 3_600,

    authenticate(client, username, password, done) {
      const connect = { clientId: client.id, username: username ?? "", password: password?.toString() ?? "" };
      listener.authenticate(connect).then(
        (rejection) => {
          if (rejection === null) {
            const nodeId = client.id as NodeId;
            senders.set(client, { nodeId, own: topics.publishableBy(nodeId) });
            done(null, true);
          } else {
            listener.refused(null, "", Buffer.from(connect.username), rejection);
            done(Object.assign(new Error(rejection.detail), { returnCode: 4 }) as AuthenticateError, null);
          }
        },
        (error) => done(error, null),
      );
    },

    authorizePublish(client, packet, done) {
      const sender = client ? senders.get(client) : undefined;
      if (sender === undefined) return done(new Error("not connected"));
      const payload = Buffer.isBuffer(packet.payload) ? packet.payload : Buffer.from(packet.payload);
      const topic = topics.parseFromNode(packet.topic);
      const rejection = judgeTopic(topic, sender, packet.topic, payload);
      if (rejection) {
        listener.refused(sender.nodeId, packet.topic, payload, rejection);
        return done(new Error(rejection.code));
      }
      if (!topic) return;
      const busy = listener.arrived(
        { sender: sender.nodeId, channel: topic.channel, topic: packet.topic, payload, receivedAt: now() },
        pending.taken(),
      );
      if (busy) busy.then(() => done(null), done);
      else done(null);
    },

    authorizeSubscribe(client, subscription, done) {
      const sender = senders.get(client);
      if (sender && topics.mayNodeSubscribe(sender.nodeId, subscription.topic)) return done(null, subscription);
      const rejection: Rejection = { code: "topic-forbidden", detail: "subscription to a topic of others" };
      listener.refused(sender?.nodeId ?? null, subscription.topic, Buffer.alloc(0), rejection);
      done(null, null);
    },
  });
  // A broken connection is the sender's affair; what it did wrong was recorded where it was seen.
  aedes.on("clientError", () => {});
  aedes.on("connectionError", () => {});

  const clients = new Map<Socket, Client>();
  const server = createServer({ noDelay: true }, (socket) => {
    guard(socket, (bytes) => {
      const client = clients.get(socket);
      const sender = client ? (senders.get(client)?.nodeId ?? null) : null;
      const detail = `an MQTT packet of ${bytes} bytes was announced`;
      listener.refused(sender, "", Buffer.alloc(0), { code: "payload-too-large", detail });
    });
    clients.set(socket, aedes.handle(socket));
    socket.on("close", () => clients.delete(socket));
  });

  return {
    async start() {
      await listen(server, options.host, options.port);
      receivingSince = now();
      const address = server.address();
      return typeof address === "object" && address !== null ? address.port : options.port;
    },
    publish(topic, payload, { retain = false, qos = 1 } = {}) {
      aedes.publish({ cmd: "publish", topic, payload, qos, retain, dup: false }, () => {});
    },
    disconnect(nodeId) {
      for (const [socket, client] of clients) if (senders.get(client)?.nodeId === nodeId) socket.destroy();
    },
    heldForAbsentMs: 0,
    receivingSince: () => receivingSince,
    drained: (patienceMs) => pending.drained(patienceMs),
    // There is no other replica to leave it to.
    leave: async () => true,
    async close() {
      receivingSince = null;
      pending.close();
      const closed = new Promise<void>((resolve) => (server.listening ? server.close(() => resolve()) : resolve()));
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
      for (const socket of clients.keys()) socket.destroy();
      await closed;
    },
  };
}

function judgeTopic(
  topic: ReturnType<Topics["parseFromNode"]>,
  { nodeId, own }: Sender,
  name: string,
  payload: Buffer,
): Rejection | null {
  if (!topic) return { code: "topic-unknown", detail: name.slice(0, 120) };
  if (topic.nodeId !== nodeId || !own.has(name))
    return { code: "topic-forbidden", detail: `the topic of node ${topic.nodeId}` };
  if (payload.length > limits.messageBytes) return { code: "payload-too-large", detail: `${payload.length} bytes` };
  return null;
}

/** Looks at every chunk that the broker reads from the socket and cuts the line at the first packet that is too large. */
function guard(socket: Socket, tooLarge: (bytes: number) => void): void {
  const packets = createPacketGuard(packetBytes);
  const read = socket.read.bind(socket);
  socket.read = (size?: number) => {
    const chunk: Buffer | null = read(size);
    const excess = chunk === null ? 0 : packets.excess(chunk);
    if (excess === 0) return chunk;
    tooLarge(excess);
    socket.destroy();
    return null;
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, backlog: 4_096 }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
