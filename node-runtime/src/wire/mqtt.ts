/**
 * The connection to the broker: MQTT 3.1.1, clean session. Every attempt is a new client of mqtt.js with a fresh credentials, so
 * nothing is kept across connections but what the edge store keeps.
 */
import { connect, type MqttClient } from "mqtt";
import type { Log, Publish, Surroundings } from "../model.ts";

export type LinkOptions = {
  /** mqtt://HOST:PORT or mqtts://HOST:PORT of one broker or of a cluster's servers; after a failed attempt the next is tried. */
  readonly urls: readonly string[];
  readonly clientId: string;
  /** PEM of the authority to trust with mqtts; the system's when left out. */
  readonly ca?: Buffer;
  /** Called for every attempt; what it throws makes the attempt fail. */
  signIn(): { readonly username: string; readonly password: string };
  readonly will: { readonly topic: string; readonly payload: string };
  /**
   * Topic filters, all subscribed at QoS 0 before `greeting` is published: what the coordinator says is either retained or said again until
   * it is answered, and a cluster keeps a queue for every subscription of a higher quality.
   */
  readonly filters: readonly string[];
  /** Retained; published on every connect. */
  readonly greeting: { readonly topic: string; readonly payload: string };
  /** Jittered delay before attempt 0, 1, 2 ..., ms. */
  backoff(attempt: number): number;
  readonly surroundings: Pick<Surroundings, "later" | "steadyNow">;
  readonly log: Log;
};

export type LinkListener = {
  /** Subscribed and greeted. */
  up(): void;
  down(): void;
  message(topic: string, payload: Buffer, retained: boolean): void;
};

export type Link = {
  readonly publish: Publish;
  /** Says goodbye with the will's message, so that nobody waits for the keepalive to run out; at most 1 s. */
  close(): Promise<void>;
};

const keepaliveSeconds = 15;
const connectTimeoutMs = 10_000;
/** A connection that held this long starts the backoff anew; a broker that accepts and throws out does not. */
const stableMs = 5_000;
const goodbyeMs = 1_000;

/** Connects and keeps connected until close(). */
export function openLink(options: LinkOptions, listener: LinkListener): Link {
  const { surroundings, log } = options;
  let client: MqttClient | undefined;
  let cancelRetry: (() => void) | undefined;
  /** How to fail what the broker has not acknowledged when the connection ends. */
  let pending = new Set<(cause: Error) => void>();
  let attempts = 0;
  /** Which of the brokers is tried. */
  let turn = 0;
  let closed = false;

  function attempt(): void {
    if (closed) return;
    const url = options.urls[turn % options.urls.length] ?? "";
    let account: { readonly username: string; readonly password: string };
    try {
      account = options.signIn();
    } catch (cause) {
      again(url, String(cause));
      return;
    }
    let upAtMs: number | undefined;
    let lost = false;
    pending = new Set();
    const unacknowledged = pending;
    let reason = "the connection was closed";
    const current = connect(url, {
      protocolVersion: 4,
      clientId: options.clientId,
      ...account,
      clean: true,
      keepalive: keepaliveSeconds,
      connectTimeout: connectTimeoutMs,
      reconnectPeriod: 0,
      resubscribe: false,
      queueQoSZero: false,
      // mqtt-packet otherwise fills a table of 65,536 buffers at the first packet: 15 MB that a node has no use for.
      writeCache: false,
      will: { topic: options.will.topic, payload: Buffer.from(options.will.payload), qos: 1, retain: false },
      ...(options.ca ? { ca: options.ca } : {}),
    });
    client = current;

    current.on("message", (topic, payload, packet) => {
      if (!lost) listener.message(topic, payload, packet.retain);
    });
    current.on("connect", () => {
      greet(current)
        .then(() => {
          if (lost) return;
          upAtMs = surroundings.steadyNow();
          log.info({ broker: url }, "connected");
          listener.up();
        })
        .catch((cause) => {
          reason = String(cause);
          current.end(true);
        });
    });
    current.on("error", (cause) => {
      // ECONNREFUSED on several addresses comes as an AggregateError without a message.
      reason = cause.message || String((cause as NodeJS.ErrnoException).code ?? cause);
    });
    current.on("close", () => {
      if (lost) return;
      lost = true;
      current.end(true);
      for (const give of unacknowledged) give(new Error("the connection was lost"));
      if (client === current) client = undefined;
      if (upAtMs !== undefined) {
        if (surroundings.steadyNow() - upAtMs >= stableMs) attempts = 0;
        listener.down();
      }
      if (upAtMs === undefined) turn++;
      if (!closed) again(url, reason);
    });
  }

  function again(url: string, reason: string): void {
    const delayMs = options.backoff(attempts++);
    log.warn({ broker: url, reason, retryInMs: delayMs }, "not connected to the broker");
    cancelRetry = surroundings.later(delayMs, attempt);
  }

  async function greet(current: MqttClient): Promise<void> {
    const granted = await current.subscribeAsync([...options.filters], { qos: 0 });
    const denied = granted.filter(({ qos }) => qos === 128).map(({ topic }) => topic);
    if (denied.length > 0) throw new Error(`the broker denied the subscription to ${denied.join(", ")}`);
    await send(current, options.greeting.topic, options.greeting.payload, true);
  }

  function send(current: MqttClient, topic: string, payload: Uint8Array | string, retain: boolean): Promise<void> {
    const bytes =
      typeof payload === "string" ? payload : Buffer.from(payload.buffer, payload.byteOffset, payload.length);
    const unacknowledged = pending;
    return new Promise((resolve, reject) => {
      unacknowledged.add(reject);
      current.publish(topic, bytes, { qos: 1, retain }, (cause) => {
        unacknowledged.delete(reject);
        if (cause) reject(cause);
        else resolve();
      });
    });
  }

  attempt();

  return {
    publish(topic, payload, { retain = false } = {}) {
      if (!client?.connected) return Promise.reject(new Error("not connected to the broker"));
      return send(client, topic, payload, retain);
    },

    async close() {
      closed = true;
      cancelRetry?.();
      const last = client;
      if (!last) return;
      if (last.connected)
        await new Promise<void>((resolve) => {
          const cancel = surroundings.later(goodbyeMs, resolve);
          send(last, options.will.topic, options.will.payload, false)
            .then(() => last.endAsync())
            .catch((cause) => log.debug({ cause: String(cause) }, "left without a goodbye"))
            .finally(() => {
              cancel();
              resolve();
            });
        });
      last.end(true);
    },
  };
}
