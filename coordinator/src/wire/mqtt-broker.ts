/**
 * Any MQTT 5 broker with shared subscriptions: Mosquitto, EMQX, HiveMQ, VerneMQ. Coordinators share the nodes' messages; each is
 * acknowledged by whoever took it, once it is committed. What the NodeId in a topic says, the broker's access policy vouches for.
 *
 * MQTT gives no view of the broker's queue: `drained` speaks of what reached this replica.
 */
import { limits, nodeChannels, type Topics } from "@cairn/protocol";
import type { MqttClient } from "mqtt";
import { CoordinatorFault } from "../fault.ts";
import type { Broker, BrokerListener } from "./broker.ts";
import type { BrokerLog } from "./broker-log.ts";
import { checkMark, encodeMark, type FoundingMark } from "./founding-mark.ts";
import { openPublisher } from "./mqtt-publisher.ts";
import { absentMs, openSubscription } from "./mqtt-subscription.ts";
import { createPending } from "./pending.ts";

export type MqttBrokerOptions = {
  /** mqtt://HOST:PORT or mqtts://HOST:PORT, tried in turn. */
  readonly urls: readonly string[];
  /** Name of this replica, the same at every start: the broker knows its unfinished messages by it. */
  readonly clientId: string;
  readonly ca?: Buffer;
  readonly topics: Topics;
  readonly network: string;
  readonly mark: FoundingMark;
  /** Whether this replica takes nodes' messages in; one that does not only publishes. */
  readonly takesIn: boolean;
  /** Asked at every attempt. `shareGroup`: of the coordinators' shared subscriptions, see PasswordAccess. */
  credentials(): { readonly username: string; readonly password: string; readonly shareGroup?: string };
  now(): number;
  random(): number;
  readonly log: BrokerLog;
};

/** How long a retained mark may take to come after its subscription is granted: clusters hand it over from another server. */
const markMs = 1_000;

/** Connects at `start`; what is published with `retain` before is there when it resolves. */
export async function openMqttBroker(options: MqttBrokerOptions, listener: BrokerListener): Promise<Broker> {
  const { urls, clientId, topics, mark, log, now, random, takesIn } = options;
  const ca = options.ca ? { ca: options.ca } : {};
  const pending = createPending();
  let subscribedSince: number | null = null;
  let foreign = false;

  const publisher = openPublisher({
    urls,
    clientId: `${clientId}-publishes`,
    protocolVersion: 5,
    ...ca,
    credentials: options.credentials,
    greet: (client) => checkFounding(client),
    now,
    random,
    log,
  });

  const { shareGroup = `cairn-${options.network}` } = options.credentials();
  const subscription = openSubscription(
    {
      urls,
      clientId,
      ...ca,
      filters: nodeChannels.map((channel) => `$share/${shareGroup}/${topics.anyNode(channel)}`),
      credentials: options.credentials,
      random,
      log,
    },
    {
      message: take,
      up() {
        subscribedSince = now();
      },
      down() {
        subscribedSince = null;
      },
    },
  );

  /** Stays subscribed: a foreign mark that comes later, from a network that started at the same moment, is seen as well. */
  async function checkFounding(client: MqttClient): Promise<void> {
    const heard = Promise.withResolvers<string>();
    client.on("message", (topic, payload) => {
      if (topic !== topics.founding || payload.length === 0) return;
      heard.resolve(payload.toString());
      try {
        checkMark(payload.toString(), mark, `the broker's ${topics.founding}`);
      } catch (cause) {
        if (!foreign && cause instanceof CoordinatorFault)
          log.error({ code: cause.code, reason: cause.message }, "nothing is taken in any more");
        foreign = true;
        void subscription.close();
        client.end(true);
      }
    });
    const [granted] = await client.subscribeAsync(topics.founding, { qos: 1 }).catch((cause: Error) => {
      throw new CoordinatorFault(
        "broker-refused",
        `the broker refuses to subscribe ${topics.founding}: ${cause.message}`,
        {
          cause,
        },
      );
    });
    if (granted === undefined || granted.qos >= 0x80)
      throw new CoordinatorFault("broker-refused", `the broker refuses to subscribe ${topics.founding}`);
    const found = await Promise.race([heard.promise, new Promise<void>((resolve) => setTimeout(resolve, markMs))]);
    if (found !== undefined) return checkMark(found, mark, `the broker's ${topics.founding}`);
    publisher.publish(topics.founding, encodeMark(mark), { retain: true });
  }

  function take(topic: string, payload: Buffer, acknowledge: () => void): Promise<void> | undefined {
    if (foreign) return undefined;
    const done = pending.taken();
    const committed = () => {
      done();
      acknowledge();
    };
    const parsed = topics.parseFromNode(topic);
    if (!parsed) {
      const detail = topic.slice(0, 120);
      listener.refused(null, topic, payload, { code: "topic-unknown", detail }, committed);
      return undefined;
    }
    const { nodeId, channel } = parsed;
    if (payload.length > limits.messageBytes) {
      const detail = `${payload.length} bytes`;
      listener.refused(nodeId, topic, payload, { code: "payload-too-large", detail }, committed);
      return undefined;
    }
    return listener.arrived({ sender: nodeId, channel, topic, payload, receivedAt: now() }, committed);
  }

  return {
    heldForAbsentMs: absentMs,
    async start() {
      try {
        await publisher.start();
        if (takesIn) await subscription.start();
      } catch (cause) {
        await Promise.all([publisher.close(), subscription.close()]);
        throw cause;
      }
      return undefined;
    },
    publish: publisher.publish,
    // The broker decides who stays connected; a penalty is the refusal of what is sent meanwhile.
    disconnect() {},
    receivingSince() {
      const publishing = publisher.connectedSince();
      if (!takesIn || publishing === null) return publishing;
      return subscribedSince === null ? null : Math.max(publishing, subscribedSince);
    },
    drained: (patienceMs) => pending.drained(patienceMs),
    leave: subscription.leave,
    async close() {
      pending.close();
      await Promise.all([subscription.close(), publisher.close()]);
    },
  };
}
