/**
 * The consuming connection of a coordinator to an MQTT 5 broker. It is written on mqtt-packet, the parser and generator of mqtt.js, because
 * mqtt.js finishes one packet before it looks at the next and so can never have thousands of messages unacknowledged.
 *
 * The session outlives the connection by some minutes: a replica that comes back is sent again what it had not acknowledged. How much may be
 * under way is bounded twice: by the receive maximum, and by not reading the socket while the coordinator is busy.
 */
import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { limits } from "@cairn/protocol";
import {
  generate,
  type IConnackPacket,
  type IDisconnectPacket,
  type IPublishPacket,
  type Packet,
  parser,
} from "mqtt-packet";
import { CoordinatorFault } from "../fault.ts";
import type { BrokerLog } from "./broker-log.ts";
import { pause, reconnectMs, within } from "./reconnect.ts";

export type SubscriptionOptions = {
  /** mqtt://HOST:PORT or mqtts://HOST:PORT, tried in turn. */
  readonly urls: readonly string[];
  /** The same at every start of this replica, and of no other. */
  readonly clientId: string;
  readonly ca?: Buffer;
  readonly filters: readonly string[];
  /** Asked at every attempt. */
  credentials(): { readonly username: string; readonly password: string };
  random(): number;
  readonly log: BrokerLog;
};

export type SubscriptionListener = {
  /**
   * `acknowledge` may be called at any time and in any order; once its connection has ended it does nothing, and the broker sends the
   * message again. While the promise is open no more is read.
   */
  message(topic: string, payload: Buffer, acknowledge: () => void): Promise<void> | undefined;
  /** Every filter is granted. */
  up(): void;
  down(): void;
};

export type Subscription = {
  /** Resolves when all is subscribed, and keeps it so. Tries every address once: throws CoordinatorFault `broker-unreachable` or `broker-refused`. */
  start(): Promise<void>;
  /**
   * Takes its filters back: no message is given to this session any more, which some brokers (Mosquitto) would go on doing while its
   * connection is away. What came before can still be acknowledged. False when the broker did not answer.
   */
  leave(): Promise<boolean>;
  close(): Promise<void>;
};

const receiveMaximum = 2_048;
/**
 * The broker goes on dealing messages out to a session whose connection is away (Mosquitto does): long enough for a restart, no longer.
 */
const sessionSeconds = 60;
const keepaliveSeconds = 15;
/** A broker notices after one and a half keep-alives that a connection is gone, and forgets its session this long after the last word. */
export const absentMs = (1.5 * keepaliveSeconds + sessionSeconds) * 1000;
const connectMs = 10_000;
const leaveMs = 1_000;
/** What a broker may send at most; its own limit on payloads is far below. */
const packetBytes = 4 * limits.messageBytes;
/** MQTT 5 section 2.4. */
const reason = { unsupportedVersion: 0x84, badCredentials: 0x86, notAuthorized: 0x87, takenOver: 0x8e };
const v5 = { protocolVersion: 5 };

/** A subscribed connection. `ended` settles with why it is over. */
type Session = { readonly ended: Promise<CoordinatorFault>; leave(): Promise<boolean>; close(): Promise<void> };

export function openSubscription(options: SubscriptionOptions, listener: SubscriptionListener): Subscription {
  const { urls, log, random } = options;
  const closing = new AbortController();
  let session: Session | undefined;
  let running: Promise<void> | undefined;
  let next = 0;

  const attempt = async (): Promise<Session> => {
    const url = urls[next++ % urls.length] ?? "";
    return connect(url, options, listener);
  };

  async function keepSubscribed(first: Session): Promise<void> {
    let current: Session | undefined = first;
    let attempts = 0;
    while (!closing.signal.aborted) {
      if (current) {
        session = current;
        attempts = 0;
        listener.up();
        const fault = await current.ended;
        listener.down();
        session = undefined;
        current = undefined;
        if (closing.signal.aborted) return;
        log.warn({ code: fault.code, reason: fault.message }, "the subscription to the broker has ended");
      }
      await pause(reconnectMs(attempts++, random()), closing.signal);
      if (closing.signal.aborted) return;
      current = await attempt().catch((cause: unknown) => {
        const fault = afterwards(asFault(cause));
        log.warn({ code: fault.code, reason: fault.message }, "not subscribed at the broker");
        return undefined;
      });
    }
    await current?.close();
  }

  return {
    async start() {
      let fault: unknown;
      for (let tried = 0; tried < urls.length; tried++)
        try {
          running = keepSubscribed(await attempt());
          return;
        } catch (cause) {
          fault = cause;
        }
      throw asFault(fault);
    },
    leave: async () => (await session?.leave()) ?? false,
    async close() {
      closing.abort();
      await session?.close();
      await running;
    },
  };
}

/** A refusal of credentials that were good before means that they are so no more. */
function afterwards(fault: CoordinatorFault): CoordinatorFault {
  if (fault.code !== "broker-refused" || !fault.message.includes(credentialsRefused)) return fault;
  return new CoordinatorFault("broker-credentials-expired", `${fault.message}; they are read again at every attempt`, {
    cause: fault,
  });
}

const credentialsRefused = "does not take the coordinator's credentials";

function asFault(cause: unknown): CoordinatorFault {
  if (cause instanceof CoordinatorFault) return cause;
  return new CoordinatorFault("broker-unreachable", String(cause), { cause });
}

function connect(url: string, options: SubscriptionOptions, listener: SubscriptionListener): Promise<Session> {
  const { clientId, filters } = options;
  const { username, password } = options.credentials();
  const socket = openSocket(url, options.ca);
  const packets = parser(v5);
  const ended = Promise.withResolvers<CoordinatorFault>();
  const subscribed = Promise.withResolvers<Session>();
  const unsubscribed = Promise.withResolvers<void>();
  let over = false;
  let leaving = false;
  let held = 0;
  let heardAt = performance.now();
  let keepalive: NodeJS.Timeout | undefined;
  let acknowledged: number[] = [];
  const unreachable = (why: string, cause?: unknown) =>
    new CoordinatorFault("broker-unreachable", `${url}: ${why}`, { cause });
  let why: CoordinatorFault | undefined;

  const timeout = setTimeout(() => fail(unreachable(`no subscription within ${connectMs / 1000} s`)), connectMs);

  function fail(fault: CoordinatorFault): void {
    why ??= fault;
    socket.destroy();
  }

  function finish(): void {
    if (over) return;
    over = true;
    clearTimeout(timeout);
    clearInterval(keepalive);
    const fault = why ?? unreachable("the connection was closed");
    subscribed.reject(fault);
    ended.resolve(fault);
  }

  /** Acknowledgements of one turn of the event loop leave in one write. */
  function acknowledge(messageId: number): void {
    if (over) return;
    if (acknowledged.length === 0) setImmediate(writeAcknowledged);
    acknowledged.push(messageId);
  }

  function writeAcknowledged(): void {
    const ids = acknowledged;
    acknowledged = [];
    if (over || ids.length === 0) return;
    const bytes = Buffer.alloc(ids.length * 4);
    // PUBACK, MQTT 5 section 3.4: without a reason code it means success.
    for (const [index, id] of ids.entries()) bytes.writeUInt32BE(((0x4002 << 16) | id) >>> 0, index * 4);
    socket.write(bytes);
  }

  function take(packet: Packet): void {
    heardAt = performance.now();
    if (packet.cmd === "publish") takeMessage(packet);
    else if (packet.cmd === "connack") {
      const refusal = connackFault(url, username, packet);
      if (refusal) fail(refusal);
      else subscribe(packet.properties?.serverKeepAlive ?? keepaliveSeconds);
    } else if (packet.cmd === "suback") {
      const refused = filters.filter((_, index) => (Number(packet.granted[index] ?? 0x80) & 0x80) !== 0);
      clearTimeout(timeout);
      if (refused.length === 0) subscribed.resolve({ ended: ended.promise, leave, close });
      else fail(new CoordinatorFault("broker-refused", `${url} refuses to subscribe ${refused.join(", ")}`));
    } else if (packet.cmd === "unsuback") unsubscribed.resolve();
    else if (packet.cmd === "disconnect") fail(partingWords(url, packet));
  }

  function takeMessage({ topic, payload, messageId, qos }: IPublishPacket): void {
    let open = qos > 0 && messageId !== undefined;
    const busy = listener.message(topic, Buffer.isBuffer(payload) ? payload : Buffer.from(payload), () => {
      if (open && messageId !== undefined) acknowledge(messageId);
      open = false;
    });
    if (busy) hold(busy);
  }

  function subscribe(aliveSeconds: number): void {
    if (aliveSeconds > 0) keepalive = setInterval(() => stayAlive(aliveSeconds * 1000), aliveSeconds * 500);
    const subscriptions = filters.map((topic) => ({ topic, qos: 1 as const, nl: false, rap: true, rh: 2 }));
    socket.write(generate({ cmd: "subscribe", messageId: 1, subscriptions }, v5));
  }

  function stayAlive(ms: number): void {
    // What is not read cannot be heard.
    if (held === 0 && performance.now() - heardAt > 1.5 * ms) fail(unreachable("it fell silent"));
    else socket.write(generate({ cmd: "pingreq" }, v5));
  }

  function hold(busy: Promise<void>): void {
    held += 1;
    socket.pause();
    const release = () => {
      held -= 1;
      heardAt = performance.now();
      if (held === 0 && !leaving) socket.resume();
    };
    busy.then(release, release);
  }

  async function leave(): Promise<boolean> {
    if (over) return false;
    let isTold = false;
    socket.write(generate({ cmd: "unsubscribe", messageId: 2, unsubscriptions: [...filters] }, v5));
    const told = unsubscribed.promise.then(() => {
      isTold = true;
    });
    await within(leaveMs, Promise.race([told, ended.promise]));
    return isTold;
  }

  async function close(): Promise<void> {
    if (over) return;
    leaving = true;
    socket.pause();
    writeAcknowledged();
    // The session stays for its time: what is not acknowledged is for whoever comes back under this name.
    socket.end(generate({ cmd: "disconnect", reasonCode: 0 }, v5));
    const patience = setTimeout(() => socket.destroy(), 1_000);
    socket.resume();
    await ended.promise;
    clearTimeout(patience);
  }

  packets.on("packet", (packet) => {
    if (!leaving && !over && why === undefined) take(packet);
  });
  packets.on("error", (cause) => fail(unreachable(`what it sends is not MQTT: ${cause.message}`, cause)));
  socket.on("data", (chunk) => packets.parse(chunk));
  socket.on("error", (cause: NodeJS.ErrnoException) => {
    // ECONNREFUSED on several addresses comes as an AggregateError without a message.
    why ??= unreachable(cause.message || String(cause.code), cause);
  });
  socket.on("close", finish);
  socket.on(url.startsWith("mqtts:") ? "secureConnect" : "connect", () => {
    socket.write(
      generate(
        {
          cmd: "connect",
          clientId,
          protocolId: "MQTT",
          protocolVersion: 5,
          clean: false,
          keepalive: keepaliveSeconds,
          username,
          password: Buffer.from(password),
          properties: { sessionExpiryInterval: sessionSeconds, receiveMaximum, maximumPacketSize: packetBytes },
        },
        v5,
      ),
    );
  });
  return subscribed.promise;
}

function openSocket(url: string, ca: Buffer | undefined): Socket {
  const { protocol, hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, "");
  if (protocol === "mqtt:") return connectPlain({ host, port: Number(port || 1883), noDelay: true });
  const socket = connectTls({ host, port: Number(port || 8883), servername: host, ...(ca ? { ca } : {}) });
  socket.setNoDelay(true);
  return socket;
}

/** Why the broker does not let us in; undefined when it does. */
function connackFault(url: string, username: string, packet: IConnackPacket): CoordinatorFault | undefined {
  const { reasonCode = 0, returnCode = 0, properties } = packet;
  // What speaks MQTT 3.1.1 only answers with its own codes.
  const code = reasonCode || returnCode;
  const refused = (why: string) => new CoordinatorFault("broker-refused", `${url} ${why}`);
  if (code === reason.badCredentials || code === reason.notAuthorized || code === 4 || code === 5)
    return refused(`${credentialsRefused} (${username})`);
  if (code === 1 || code === reason.unsupportedVersion)
    return refused("does not speak MQTT 5, which shared subscriptions need");
  if (code !== 0)
    return new CoordinatorFault("broker-unreachable", `${url} refuses the connection, reason 0x${code.toString(16)}`);
  return properties?.sharedSubscriptionAvailable === false ? refused("has no shared subscriptions") : undefined;
}

function partingWords(url: string, { reasonCode = 0 }: IDisconnectPacket): CoordinatorFault {
  if (reasonCode === reason.takenOver)
    return new CoordinatorFault(
      "broker-refused",
      `${url}: another replica took over the session; every replica needs a name of its own`,
    );
  if (reasonCode === reason.notAuthorized || reasonCode === reason.badCredentials)
    return new CoordinatorFault("broker-credentials-expired", `${url} ended the connection: not authorized any more`);
  return new CoordinatorFault(
    "broker-unreachable",
    `${url} ended the connection with reason 0x${reasonCode.toString(16)}`,
  );
}
