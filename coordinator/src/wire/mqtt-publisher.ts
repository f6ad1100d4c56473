/**
 * The publishing connection of a coordinator to an MQTT broker, or to the MQTT gateway of NATS. What is retained is kept here too, and
 * published again whenever the connection is new: a broker that lost its memory has it back before nodes ask for it.
 */
import { connect, type MqttClient } from "mqtt";
import { CoordinatorFault } from "../fault.ts";
import type { BrokerLog } from "./broker-log.ts";
import { pause, reconnectMs, within } from "./reconnect.ts";

export type PublisherOptions = {
  /** mqtt://HOST:PORT or mqtts://HOST:PORT, tried in turn. */
  readonly urls: readonly string[];
  readonly clientId: string;
  /** 5 where the broker speaks it: only then a refused publication is told. */
  readonly protocolVersion: 4 | 5;
  readonly ca?: Buffer;
  /** Asked at every attempt. */
  credentials(): { readonly username: string; readonly password: string };
  /** On a new connection, before anything is published. What it throws ends the connection. */
  greet?(client: MqttClient): Promise<void>;
  now(): number;
  random(): number;
  readonly log: BrokerLog;
};

export type Publisher = {
  /** Resolves when connected, greeted and all that is retained is acknowledged; stays connected then. Throws CoordinatorFault `broker-...`. */
  start(): Promise<void>;
  publish(topic: string, payload: Buffer | string, options?: { retain?: boolean; qos?: 0 | 1 }): void;
  /** Unix ms; null while there is no connection. */
  connectedSince(): number | null;
  close(): Promise<void>;
};

const connectMs = 10_000;
const keepaliveSeconds = 15;
/** What may wait in the socket before publications of QoS 0 are dropped, bytes: they are sent at most once anyway. */
const writeBacklog = 8 * 1024 * 1024;
const goodbyeMs = 1_000;

export function openPublisher(options: PublisherOptions): Publisher {
  const { urls, log, now, random } = options;
  const retained = new Map<string, { payload: Buffer | string; qos: 0 | 1 }>();
  const closing = new AbortController();
  let client: MqttClient | undefined;
  let since: number | null = null;
  let running: Promise<void> | undefined;
  let next = 0;

  /** Resolves to a promise of the connection's end. */
  async function attempt(): Promise<{ ended: Promise<string> }> {
    const url = urls[next++ % urls.length] ?? "";
    const { username, password } = options.credentials();
    const fresh = connect(url, {
      protocolVersion: options.protocolVersion,
      clientId: options.clientId,
      username,
      password,
      clean: true,
      keepalive: keepaliveSeconds,
      connectTimeout: connectMs,
      reconnectPeriod: 0,
      resubscribe: false,
      queueQoSZero: false,
      ...(options.ca ? { ca: options.ca } : {}),
    });
    let reason = "the connection was closed";
    fresh.on("error", (cause: Error & { code?: unknown }) => {
      reason = cause.message || String(cause.code);
    });
    const ended = new Promise<string>((resolve) => fresh.once("close", () => resolve(reason)));
    try {
      await connected(fresh, url, username);
      await options.greet?.(fresh);
      await publishRetained(fresh, url);
    } catch (cause) {
      fresh.end(true);
      throw cause;
    }
    client = fresh;
    since = now();
    return { ended };
  }

  async function publishRetained(fresh: MqttClient, url: string): Promise<void> {
    const sent = [...retained].map(async ([topic, { payload }]) => {
      try {
        await fresh.publishAsync(topic, payload, { qos: 1, retain: true });
      } catch (cause) {
        throw publishFault(url, topic, cause);
      }
    });
    const lost = new Promise<never>((_, reject) =>
      fresh.once("close", () => reject(new CoordinatorFault("broker-unreachable", `${url}: the connection was lost`))),
    );
    await Promise.race([Promise.all(sent), lost]);
  }

  async function keepConnected(first: { ended: Promise<string> }): Promise<void> {
    let current: { ended: Promise<string> } | undefined = first;
    let attempts = 0;
    while (!closing.signal.aborted) {
      if (current) {
        const upAt = performance.now();
        const reason = await current.ended;
        client = undefined;
        since = null;
        current = undefined;
        // A broker that accepts and throws out is no reason to hurry.
        if (performance.now() - upAt > connectMs) attempts = 0;
        if (closing.signal.aborted) return;
        log.warn({ reason }, "the publishing connection to the broker has ended");
      }
      await pause(reconnectMs(attempts++, random()), closing.signal);
      if (closing.signal.aborted) return;
      current = await attempt().catch((cause: unknown) => {
        const fault = asFault(cause);
        const code = fault.code === "broker-refused" ? "broker-credentials-expired" : fault.code;
        if (code === "broker-foreign") log.error({ code, reason: fault.message }, "not publishing");
        else log.warn({ code, reason: fault.message }, "not connected to publish; credentials are read again");
        return undefined;
      });
    }
  }

  return {
    async start() {
      let fault: unknown;
      for (let tried = 0; tried < urls.length; tried++)
        try {
          running = keepConnected(await attempt());
          return;
        } catch (cause) {
          fault = cause;
        }
      throw asFault(fault);
    },
    publish(topic, payload, { retain = false, qos = retain ? 1 : 0 } = {}) {
      if (retain && payload.length === 0) retained.delete(topic);
      else if (retain) retained.set(topic, { payload, qos: 1 });
      if (!client?.connected) return;
      if (!retain && qos === 0 && client.stream.writableLength > writeBacklog) return;
      client.publish(topic, payload, { qos, retain }, (cause) => {
        if (cause && client?.connected)
          log.error({ topic, reason: publishFault("", topic, cause).message }, "not published");
      });
    },
    connectedSince: () => since,
    async close() {
      closing.abort();
      const last = client;
      if (last) await within(goodbyeMs, last.endAsync());
      last?.end(true);
      await running;
    },
  };
}

function connected(client: MqttClient, url: string, username: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let reason: Error & { code?: unknown } = new Error("the connection was closed");
    client.once("connect", () => resolve());
    client.on("error", (cause) => {
      reason = cause;
    });
    client.once("close", () => {
      // MQTT 3.1.1 section 3.2.2.3 and MQTT 5 section 3.2.2.2: user name, password or rights.
      const refused = [4, 5, 0x86, 0x87].includes(Number(reason.code));
      const text = reason.message || String(reason.code);
      reject(
        refused
          ? new CoordinatorFault("broker-refused", `${url} does not take the coordinator's credentials (${username})`, {
              cause: reason,
            })
          : new CoordinatorFault("broker-unreachable", `${url}: ${text}`, { cause: reason }),
      );
    });
  });
}

/** MQTT 5 tells in the acknowledgement that a topic is not for us. */
function publishFault(url: string, topic: string, cause: unknown): CoordinatorFault {
  const { code, message } = cause as { code?: unknown; message?: string };
  if (code === 0x87 || code === 0x90)
    return new CoordinatorFault("broker-refused", `${url} refuses a publication on ${topic}: ${message}`, { cause });
  return new CoordinatorFault("broker-unreachable", `${url}: ${message}`, { cause });
}

function asFault(cause: unknown): CoordinatorFault {
  if (cause instanceof CoordinatorFault) return cause;
  return new CoordinatorFault("broker-unreachable", String(cause), { cause });
}
