/**
 * Access for NATS 2.9 and later: the permissions that users' tokens carry, and the configuration of each server. MQTT topics are subjects
 * here, with dots for slashes (docs.nats.io: MQTT, JWT authentication, JetStream clustering). Run against nats-server 2.9.10.
 *
 * NATS does not tie an MQTT client id to its user: an enrolled node that uses the id of another ends that one's connection. It can
 * neither read nor write anything by that, and the other comes back.
 */
import { accessOf, type NodeId, natsNamesOf, topicFor } from "@cairn/protocol";
import type { NatsPermissions, NatsServer, NatsServers, Place } from "../model.ts";
import { packetBytes } from "./access-limits.ts";

const subject = (topic: string, node: NodeId | "+") => topicFor(topic, node).split("/").join(".").replaceAll("+", "*");

/** For a node's token: MQTT at QoS 0 needs no rights on JetStream's own subjects. */
export function natsNode(network: string, nodeId: NodeId): NatsPermissions {
  const { node } = accessOf(network);
  return {
    pub: { allow: node.publish.map((topic) => subject(topic, nodeId)) },
    sub: { allow: node.subscribe.map((topic) => subject(topic, nodeId)) },
  };
}

/** For the coordinators' native connection: the topics, its own stream and nothing else of JetStream. */
export function natsCoordinator(network: string): NatsPermissions {
  const { coordinator } = accessOf(network);
  const { stream, consumer: consumerName, inboxPrefix } = natsNamesOf(network);
  const api = ["STREAM.INFO", "STREAM.CREATE"].map((verb) => `$JS.API.${verb}.${stream}`);
  const consumer = ["CONSUMER.INFO", "CONSUMER.DURABLE.CREATE", "CONSUMER.MSG.NEXT"].map(
    (verb) => `$JS.API.${verb}.${stream}.${consumerName}`,
  );
  return {
    pub: {
      allow: [
        ...coordinator.publish.map((topic) => subject(topic, "+")),
        "$JS.API.INFO",
        ...api,
        ...consumer,
        // Newer clients name the consumer and its filter in the subject.
        `$JS.API.CONSUMER.CREATE.${stream}.>`,
        `$JS.ACK.${stream}.${consumerName}.>`,
      ],
    },
    sub: { allow: [...coordinator.subscribe.map((topic) => subject(topic, "+")), `${inboxPrefix}.>`] },
  };
}

/** For the coordinators' connection to the MQTT gateway, which sets what is retained. */
export function natsGateway(network: string): NatsPermissions {
  const { coordinator } = accessOf(network);
  return {
    pub: { allow: coordinator.publish.map((topic) => subject(topic, "+")) },
    sub: { allow: [`${subject(`cairn/1/${network}/coordinator/+`, "+")}`] },
  };
}

/** The configuration of one server. Tokens in it are public: they are signed, and hold no key. */
export function natsConfiguration(all: NatsServers, server: NatsServer): string {
  const { network, servers, replicas, folder, tls } = all;
  const at = ({ host, port }: Place) => `${host}:${port}`;
  const secured = tls ? `\n  tls { cert_file: "${tls.certFile}", key_file: "${tls.keyFile}" }` : "";
  const routes = servers.filter(({ name }) => name !== server.name).map(({ route }) => `"nats://${at(route)}"`);
  const cluster =
    servers.length < 2
      ? ""
      : `
# Only the servers themselves may reach this port.
cluster {
  name: "cairn-${network}"
  listen: "${at(server.route)}"
  routes: [ ${routes.join(", ")} ]
}
`;
  return `# Cairn network ${network}: NATS 2.9. Written by cairn-coordinator, changes are lost.
server_name: "${server.name}"
# Coordinators.
listen: "${at(server.client)}"
max_payload: ${packetBytes}

jetstream {
  store_dir: "${folder}/${server.name}"
}

# Nodes. Their sessions are clean and their subscriptions of QoS 0: neither costs a stream.
mqtt {
  host: "${server.mqtt.host}"
  port: ${server.mqtt.port}
  stream_replicas: ${replicas}
  ack_wait: "10s"
  max_ack_pending: 1000${secured}
}
${cluster}
operator: ${all.operatorToken}
system_account: ${all.systemAccount}
resolver: MEMORY
resolver_preload: {
${all.accounts.map(({ id, token }) => `  ${id}: ${token}`).join("\n")}
}
`;
}
