/**
 * NATS with JetStream. Nodes speak MQTT to its gateway; what they publish is kept in the network's own stream, from which all coordinators
 * pull through one durable consumer, and acknowledge what is committed. What is retained is set through the gateway; receipts are
 * published natively.
 *
 * A stream or consumer that was removed under us is reported (`broker-stream-lost`), and made anew once it is certain to be absent: what
 * was in it and not committed is lost with it, but nodes keep what they have no receipt for and send it again, and what is pulled twice
 * is admitted once. One that is there but is not as we make it is left alone.
 *
 * A PUBACK of the gateway is not storage in the stream: `drained` speaks of what the stream has.
 */
import { limits, natsNamesOf, nodeChannels, type Topics } from "@cairn/protocol";
import {
  AckPolicy,
  type ClusterInfo,
  connect,
  credsAuthenticator,
  DeliverPolicy,
  DiscardPolicy,
  ErrorCode,
  Events,
  type JetStreamManager,
  type JsMsg,
  type NatsConnection,
  NatsError,
  nanos,
  RetentionPolicy,
  type Status,
  StorageType,
  type StreamInfo,
} from "nats";
import { CoordinatorFault } from "../fault.ts";
import type { Broker, BrokerListener } from "./broker.ts";
import type { BrokerLog } from "./broker-log.ts";
import { checkMark, encodeMark, type FoundingMark } from "./founding-mark.ts";
import { openPublisher } from "./mqtt-publisher.ts";
import { pullMessages } from "./nats-pull.ts";
import { pause, reconnectMs, within } from "./reconnect.ts";

export type NatsBrokerOptions = {
  /** nats://HOST:PORT or tls://HOST:PORT of all servers. */
  readonly urls: readonly string[];
  /** mqtt://HOST:PORT or mqtts://HOST:PORT of their gateways. */
  readonly gateway: readonly string[];
  /** Name of this replica. */
  readonly clientId: string;
  readonly ca?: Buffer;
  readonly topics: Topics;
  readonly network: string;
  readonly mark: FoundingMark;
  /** Whether this replica takes nodes' messages in. */
  readonly takesIn: boolean;
  /** Servers that keep each message: 1, or 3 in a cluster. */
  readonly replicas: number;
  /** For how long, and how many bytes, the stream keeps what nobody pulled; the oldest go first. */
  readonly keepMs?: number;
  readonly keepBytes?: number;
  /** Asked at every attempt: user name and token for the gateway, and the text of the native connection's .creds file. */
  credentials(): { readonly username: string; readonly password: string; readonly creds: string };
  now(): number;
  random(): number;
  readonly log: BrokerLog;
};

/** A message that nobody acknowledged for so long is given to another replica. */
const ackWaitMs = 5_000;
/** A replica that is cut off from the ledger lets go of what it holds after this. */
const longestHoldMs = 10_000;
/** Messages under way to all replicas together. */
const mostUnacknowledged = 8_192;
const defaultKeepMs = 3_600_000;
const defaultKeepBytes = 1_073_741_824;
const watchMs = 2_000;
const pollMs = 100;
/** How long a server may be at the removal of a stream. */
const removalMs = 1_000;
/** A cluster may take this long after its start until the stream, its consumer and the gateway answer. */
const startMs = 60_000;
const requestMs = 5_000;
const flushMs = 1_000;
/** JetStream's own code for "system temporarily unavailable". */
const temporarilyUnavailable = 10_008;

export async function openNatsBroker(options: NatsBrokerOptions, listener: BrokerListener): Promise<Broker> {
  const { topics, network, mark, log, now, random, takesIn } = options;
  const { stream, consumer, inboxPrefix } = natsNamesOf(network);
  const closing = new AbortController();
  const leaving = new AbortController();
  /** Handed on and not committed, with when it came and when JetStream was last told that somebody is at it. */
  const open = new Map<JsMsg, { readonly since: number; readonly told: number }>();
  let connection: NatsConnection | undefined;
  let manager: JetStreamManager | undefined;
  let running: Promise<unknown> = Promise.resolve();
  let connected = false;
  let leader: string | null = null;
  let pulling = false;
  let since: number | null = null;
  let lastCreds = new Uint8Array();
  /** The servers have said that the credentials are not good (any more), and have not taken them since. */
  let unauthorized = false;

  const gateway = openPublisher({
    urls: options.gateway,
    clientId: `${options.clientId}-publishes`,
    // What NATS 2.9 speaks.
    protocolVersion: 4,
    ...(options.ca ? { ca: options.ca } : {}),
    credentials: options.credentials,
    now,
    random,
    log,
  });

  /** A file that is just being replaced does not end the connection for good: the last one is tried again. */
  function creds(): Uint8Array {
    try {
      lastCreds = new TextEncoder().encode(options.credentials().creds);
    } catch (cause) {
      log.warn({ reason: String(cause) }, "the broker credentials cannot be read");
    }
    return lastCreds;
  }

  function changed(): void {
    if (missing() !== null) since = null;
    else since ??= now();
  }

  /** What is not there that receiving needs. */
  function missing(): string | null {
    if (!connected) return `the connection to ${options.urls.join(", ")} has ended`;
    if (leader === null) return `the stream ${stream} has no leader`;
    if (takesIn && !pulling) return `the consumer ${consumer} of the stream ${stream} does not answer`;
    return null;
  }

  /** Something went away or came back: nodes may have lost their connection, even if we did not. */
  function disturbed(reason: string): void {
    log.warn({ reason }, "the broker was disturbed");
    if (since !== null) since = now();
  }

  async function followStatus(nc: NatsConnection): Promise<void> {
    for await (const status of nc.status()) noteStatus(status);
  }

  function noteStatus({ type, data }: Status): void {
    if (type === Events.Disconnect) {
      connected = false;
      changed();
      log.warn({ server: data }, "the connection to the broker has ended");
    } else if (type === Events.Reconnect) {
      connected = true;
      unauthorized = false;
      // Who leads is asked again before anything counts as received.
      leader = null;
      changed();
      log.info({ server: data }, "connected to the broker again");
    } else if (type === Events.Update && typeof data === "object" && data !== null && !("permissionContext" in data)) {
      // A server that joins takes no node's connection away.
      const { deleted = [] } = data as { deleted?: string[] };
      if (deleted.length > 0) disturbed(`servers went away: ${deleted.join(", ")}`);
    } else if (type === Events.Error && isAuthorization(data)) {
      unauthorized = true;
      log.error(
        { code: "broker-credentials-expired", reason: data },
        "the broker does not take the credentials any more; they are read again at every attempt",
      );
    }
  }

  async function ready(): Promise<void> {
    const jsm = manager ?? fail("not connected");
    await ensureStream(jsm);
    // Servers tell of a stream that was just made, perhaps by another replica, before it has a leader.
    if (leader === null) fail(`the stream ${stream} has no leader`);
    if (takesIn) await ensureConsumer(jsm);
  }

  async function ensureStream(jsm: JetStreamManager): Promise<void> {
    const info = await jsm.streams.info(stream).catch(absent);
    if (info) return judgeStream(info);
    const made = await jsm.streams.add({
      name: stream,
      description: encodeMark(mark),
      subjects: subjectsOf(topics),
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      discard: DiscardPolicy.Old,
      num_replicas: options.replicas,
      max_age: nanos(options.keepMs ?? defaultKeepMs),
      max_bytes: options.keepBytes ?? defaultKeepBytes,
      max_msg_size: limits.messageBytes + 1_024,
    });
    log.info({ stream, replicas: options.replicas }, "the stream was made");
    judgeStream(made);
  }

  function judgeStream({ config, cluster }: StreamInfo): void {
    checkMark(config.description ?? "", mark, `the stream ${stream}`);
    const wanted = subjectsOf(topics).join(" ");
    if ([...config.subjects].sort().join(" ") !== wanted)
      throw new CoordinatorFault(
        "broker-stream-lost",
        `the stream ${stream} is not as it was made: it takes ${config.subjects.join(" ")}, not ${wanted}`,
      );
    if (config.num_replicas !== options.replicas)
      log.warn(
        { stream, has: config.num_replicas, asked: options.replicas },
        "the stream has another number of replicas",
      );
    noteLeader(leaderOf(cluster));
  }

  function noteLeader(now: string | null): void {
    if (leader !== null && now !== null && leader !== now) disturbed(`the stream's leader is ${now}, it was ${leader}`);
    leader = now;
    changed();
  }

  async function ensureConsumer(jsm: JetStreamManager): Promise<void> {
    let info = await jsm.consumers.info(stream, consumer).catch(absent);
    if (!info) {
      info = await jsm.consumers.add(stream, {
        durable_name: consumer,
        ack_policy: AckPolicy.Explicit,
        ack_wait: nanos(ackWaitMs),
        max_ack_pending: mostUnacknowledged,
        deliver_policy: DeliverPolicy.All,
        max_deliver: -1,
      });
      log.info({ stream, consumer }, "the consumer was made");
    } else if (info.config.ack_policy !== AckPolicy.Explicit || info.config.deliver_subject !== undefined)
      throw new CoordinatorFault("broker-stream-lost", `the consumer ${consumer} of ${stream} is not as it was made`);
    if (leaderOf(info.cluster) === null) fail(`the consumer ${consumer} of the stream ${stream} has no leader`);
  }

  /** Pulls until it leaves; whatever ends a pull is found out and mended before the next. */
  async function consume(nc: NatsConnection): Promise<void> {
    let attempts = 0;
    while (!leaving.signal.aborted) {
      try {
        await pullMessages(nc.jetstream(), { stream, consumer, ended: leaving.signal }, take, () => {
          attempts = 0;
          pulling = true;
          changed();
        });
      } catch (cause) {
        pulling = false;
        changed();
        if (!leaving.signal.aborted) await mend(cause);
      }
      if (!leaving.signal.aborted) await pause(reconnectMs(attempts++, random()), leaving.signal);
    }
  }

  async function mend(cause: unknown): Promise<void> {
    const gone = isAbsent(cause);
    if (gone)
      log.error(
        { code: "broker-stream-lost", stream, consumer, reason: String(cause) },
        "the stream or its consumer is gone; it is made anew, and nodes send again what has no receipt",
      );
    else log.warn({ reason: String(cause) }, "pulling from the stream has ended and is begun again");
    try {
      // The consumers of a stream go first, its files last: what is made too early goes with them.
      if (gone) await pause(removalMs, closing.signal);
      await ready();
    } catch (trouble) {
      const fault = faultOf(trouble, stream);
      log.error({ code: fault.code, reason: fault.message }, "nothing can be pulled from the stream");
    }
  }

  function take(message: JsMsg): Promise<void> | undefined {
    const since = performance.now();
    open.set(message, { since, told: since });
    const committed = () => {
      open.delete(message);
      if (!connection?.isClosed()) message.ack();
    };
    const topic = message.subject.replaceAll(".", "/");
    const { buffer, byteOffset, length } = message.data;
    const payload = Buffer.from(buffer, byteOffset, length);
    const parsed = topics.parseFromNode(topic);
    if (!parsed) {
      const detail = topic.slice(0, 120);
      listener.refused(null, topic, payload, { code: "topic-unknown", detail }, committed);
      return undefined;
    }
    const { nodeId, channel } = parsed;
    if (length > limits.messageBytes) {
      const detail = `${length} bytes`;
      listener.refused(nodeId, topic, payload, { code: "payload-too-large", detail }, committed);
      return undefined;
    }
    // A server's clock that is wrong must not open a slot again that is over by ours.
    const receivedAt = Math.min(now(), Math.floor(message.info.timestampNanos / 1e6));
    return listener.arrived({ sender: nodeId, channel, topic, payload, receivedAt }, committed);
  }

  /** What waits here for its commit is not given to another replica meanwhile; what waits too long is, in case only we cannot commit. */
  function keepHold(): void {
    if (!connected) return;
    const at = performance.now();
    for (const [message, { since, told }] of open) {
      // The map is in the order of arrival, or of the last time they were named.
      if (told > at - ackWaitMs / 3) break;
      open.delete(message);
      if (since < at - longestHoldMs) continue;
      open.set(message, { since, told: at });
      message.working();
    }
  }

  async function watch(): Promise<void> {
    while (!closing.signal.aborted) {
      await pause(watchMs, closing.signal);
      if (closing.signal.aborted || !connected || !manager) continue;
      try {
        const { cluster } = await manager.streams.info(stream);
        noteLeader(leaderOf(cluster));
      } catch (cause) {
        leader = null;
        changed();
        if (isAbsent(cause) && !takesIn) await mend(cause);
        else log.warn({ reason: String(cause) }, "the stream does not answer");
      }
    }
  }

  async function connectOnce(): Promise<NatsConnection> {
    try {
      return await connect({
        servers: [...options.urls],
        name: options.clientId,
        authenticator: credsAuthenticator(creds),
        inboxPrefix,
        timeout: requestMs,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 500,
        reconnectJitter: 500,
        reconnectJitterTLS: 1_000,
        ignoreAuthErrorAbort: true,
        pingInterval: 5_000,
        maxPingOut: 2,
        ...(options.ca ? { tls: { ca: options.ca.toString() } } : {}),
      });
    } catch (cause) {
      throw connectFault(cause, options.urls, options.credentials().creds, now());
    }
  }

  async function start(): Promise<undefined> {
    const nc = await connectOnce();
    connection = nc;
    connected = true;
    void followStatus(nc);
    const deadline = performance.now() + startMs;
    await patiently(deadline, async () => {
      manager ??= await nc.jetstreamManager({ timeout: requestMs });
      await ready();
    });
    await patiently(deadline, () => gateway.start());
    const holds = setInterval(keepHold, ackWaitMs / 3);
    closing.signal.addEventListener("abort", () => clearInterval(holds), { once: true });
    running = Promise.all([watch(), takesIn ? consume(nc) : undefined]);
    while (missing() !== null && mayWait(deadline)) await pause(pollMs, closing.signal);
    const lacking = missing();
    if (lacking !== null) fail(lacking);
    return undefined;
  }

  /** Again and again until it succeeds: servers that have just started do not answer at once. */
  async function patiently(deadline: number, attempt: () => Promise<void>): Promise<void> {
    for (let attempts = 0; ; attempts++)
      try {
        await attempt();
        if (closing.signal.aborted) fail("closed while it was starting");
        return;
      } catch (cause) {
        const fault = faultOf(cause, stream);
        if (unauthorized) throw expired(options.credentials().creds);
        if (fault.code !== "broker-unreachable" || !mayWait(deadline)) throw fault;
        log.warn({ reason: fault.message }, "the broker is not ready yet; it is asked again");
        await pause(reconnectMs(attempts, random()), closing.signal);
      }
  }

  function mayWait(deadline: number): boolean {
    return performance.now() < deadline && !closing.signal.aborted;
  }

  async function close(): Promise<void> {
    leaving.abort();
    closing.abort();
    since = null;
    await within(requestMs, running);
    if (connection && !connection.isClosed()) {
      // Acknowledgements that are still in the buffer.
      if (connected) await within(flushMs, connection.flush());
      await connection.close();
    }
    await gateway.close();
  }

  /** Everything up to this sequence is acknowledged, or was thrown away by the stream's limits. */
  async function isDrained(jsm: JetStreamManager, last: number): Promise<boolean> {
    const { ack_floor } = await jsm.consumers.info(stream, consumer);
    if (ack_floor.stream_seq >= last) return true;
    const { state } = await jsm.streams.info(stream);
    return state.first_seq > last;
  }

  return {
    heldForAbsentMs: 0,
    async start() {
      try {
        return await start();
      } catch (cause) {
        await close();
        throw cause;
      }
    },
    publish(topic, payload, { retain = false, qos } = {}) {
      if (retain) gateway.publish(topic, payload, { retain, ...(qos === undefined ? {} : { qos }) });
      else if (connection && connected && !connection.isClosed())
        connection.publish(topic.replaceAll("/", "."), payload);
    },
    // The broker decides who stays connected; a penalty is the refusal of what is sent meanwhile.
    disconnect() {},
    receivingSince() {
      const publishing = gateway.connectedSince();
      return since === null || publishing === null ? null : Math.max(since, publishing);
    },
    async leave() {
      leaving.abort();
      return true;
    },
    async drained(patienceMs) {
      const deadline = performance.now() + patienceMs;
      let last: number | undefined;
      while (!closing.signal.aborted) {
        try {
          if (manager && connected) {
            last ??= (await manager.streams.info(stream)).state.last_seq;
            if (await isDrained(manager, last)) return true;
          }
        } catch (cause) {
          log.warn({ reason: String(cause) }, "the stream does not say how far it is acknowledged");
        }
        const left = deadline - performance.now();
        if (left <= 0) return false;
        await pause(Math.min(pollMs, left), closing.signal);
      }
      return false;
    },
    close,
  };
}

/** Subjects of all nodes' channels, sorted. */
function subjectsOf(topics: Topics): string[] {
  return nodeChannels.map((channel) => topics.anyNode(channel).replaceAll("/", ".").replaceAll("+", "*")).sort();
}

function fail(message: string): never {
  throw new CoordinatorFault("broker-unreachable", message);
}

/** Null while there is none. */
function leaderOf(cluster: ClusterInfo | undefined): string | null {
  return cluster === undefined ? "alone" : (cluster.leader ?? null);
}

/** For what is asked about and is not there. */
function absent(cause: unknown): undefined {
  if (isAbsent(cause)) return undefined;
  throw cause;
}

function isAbsent(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  // JetStream's own codes for "stream not found" and "consumer not found".
  if (cause instanceof NatsError && [10_059, 10_014].includes(cause.api_error?.err_code ?? 0)) return true;
  return /stream not found|consumer not found|consumer deleted/i.test(cause.message);
}

function isAuthorization(data: unknown): boolean {
  return data === ErrorCode.AuthorizationViolation || data === ErrorCode.AuthenticationExpired;
}

function connectFault(cause: unknown, urls: readonly string[], creds: string, nowMs: number): CoordinatorFault {
  const { code, message } = cause as { code?: string; message?: string };
  if (!isAuthorization(code) && code !== ErrorCode.BadCreds && code !== ErrorCode.BadAuthentication)
    return new CoordinatorFault("broker-unreachable", `${urls.join(", ")}: ${message}`, { cause });
  const expiresAt = expiryOf(creds);
  if (expiresAt !== undefined && expiresAt <= nowMs) return expired(creds, cause);
  return new CoordinatorFault("broker-refused", `${urls.join(", ")} does not take the coordinator's credentials`, {
    cause,
  });
}

function expired(creds: string, cause?: unknown): CoordinatorFault {
  const at = expiryOf(creds);
  const when = at === undefined ? "" : ` at ${new Date(at).toISOString()}`;
  return new CoordinatorFault("broker-credentials-expired", `the broker credentials have expired${when}`, { cause });
}

/** When the token in a .creds file expires, unix ms. */
function expiryOf(creds: string): number | undefined {
  const claims = /BEGIN NATS USER JWT-+\s+[^.\s]+\.([^.\s]+)\./.exec(creds)?.[1];
  if (claims === undefined) return undefined;
  try {
    const { exp } = JSON.parse(Buffer.from(claims, "base64url").toString()) as { exp?: number };
    return exp === undefined ? undefined : exp * 1000;
  } catch {
    // Not a token: the server has said what it thinks of it.
    return undefined;
  }
}

function faultOf(cause: unknown, stream: string): CoordinatorFault {
  if (cause instanceof CoordinatorFault) return cause;
  const { code, message, api_error } = cause as Partial<NatsError>;
  const reason = api_error?.description ?? message ?? String(cause);
  // Servers that are too few to have a leader answer with the code of those without JetStream.
  const disabled = code === ErrorCode.JetStreamNotEnabled && api_error?.err_code !== temporarilyUnavailable;
  if (code === ErrorCode.PermissionsViolation || disabled)
    return new CoordinatorFault(
      "broker-refused",
      `the broker refuses the coordinator its stream ${stream}: ${reason}`,
      {
        cause,
      },
    );
  return new CoordinatorFault("broker-unreachable", `the stream ${stream}: ${reason}`, { cause });
}
