/** Access files for EMQX 5.8 (docs.emqx.com: MQTT, shared subscription, built-in database, ACL file). Not run here. */
import { createHash } from "node:crypto";
import { accessOf, topicFor } from "@cairn/protocol";
import type { AccessFile, Account, PasswordAccess } from "../model.ts";
import { inflightMessages, packetBytes, queuedMessages, sessionSeconds } from "./access-limits.ts";

export function emqxFiles(access: PasswordAccess): readonly AccessFile[] {
  const { network, nodes, coordinator, salt } = access;
  const policy = accessOf(network);
  const list = (topics: readonly string[]) => topics.map((topic) => `"${topic}"`).join(", ");
  const all = (topics: readonly string[]) => list(topics.map((topic) => topicFor(topic, "+")));
  const own = (topics: readonly string[]) => list(topics.map((topic) => topic.replace("{node}", "$" + "{username}")));
  const who = `{username, "${coordinator.username}"}`;
  const anyNode = '{username, {re, "^[0-9a-f]{40}$"}}';
  const rules = [
    `{allow, ${who}, publish, [${all(policy.coordinator.publish)}]}.`,
    `{allow, ${who}, subscribe, [${all(policy.coordinator.subscribe)}]}.`,
    `{allow, ${anyNode}, publish, [${own(policy.node.publish)}]}.`,
    `{allow, ${anyNode}, subscribe, [${own(policy.node.subscribe)}]}.`,
    "{deny, all}.",
  ];
  const users = [...nodes, coordinator].map((account) => user(account, salt()));
  return [
    { path: "emqx.conf", text: configuration(access), secret: false },
    { path: "acl.conf", text: `${rules.join("\n")}\n`, secret: false },
    { path: "users.csv", text: `user_id,password_hash,salt,is_superuser\n${users.join("")}`, secret: true },
  ];
}

/** SHA-256 over the password and then the salt's text, as `salt_position = suffix` asks for. */
function user({ username, password }: Account, salt: Buffer): string {
  const suffix = salt.toString("hex");
  return `${username},${createHash("sha256").update(password).update(suffix).digest("hex")},${suffix},false\n`;
}

function configuration({ network, folder, listen, tls }: PasswordAccess): string {
  const bind = ({ host, port }: { host: string; port: number }) => `"${host}:${port}"`;
  const nodes = tls
    ? `listeners.ssl.nodes {
  bind = ${bind(listen.nodes)}
  zone = nodes
  ssl_options { certfile = "${tls.certFile}", keyfile = "${tls.keyFile}", verify = verify_none }
}`
    : `listeners.tcp.nodes {
  bind = ${bind(listen.nodes)}
  zone = nodes
}`;
  return `# Cairn network ${network}: EMQX 5.8. Written by cairn-coordinator, changes are lost.
# To be included from the cluster's own emqx.conf, which names the nodes of the cluster and their cookie.
mqtt {
  max_packet_size = "${packetBytes / 1_024}KB"
  max_topic_levels = 8
  retain_available = true
  wildcard_subscription = true
  shared_subscription = true
  # All messages of one node go to one coordinator while it is there: its batches stay in order.
  shared_subscription_strategy = hash_clientid
  max_inflight = ${inflightMessages}
  max_mqueue_len = ${queuedMessages}
  session_expiry_interval = ${sessionSeconds}s
}

# The user name is the client id of a node: nobody can take over the session of another.
zones.nodes.mqtt.use_username_as_clientid = true
zones.coordinators.mqtt.use_username_as_clientid = false

listeners.tcp.default.enable = false
listeners.ssl.default.enable = false
listeners.ws.default.enable = false
listeners.wss.default.enable = false
${nodes}
# A network that only coordinators can reach.
listeners.tcp.coordinators {
  bind = ${bind(listen.coordinators)}
  zone = coordinators
}

# Users of the file are added at the start; a changed password is brought in with POST
# /api/v5/authentication/password_based:built_in_database/import_users?type=hash
authentication = [
  {
    mechanism = password_based
    backend = built_in_database
    user_id_type = username
    password_hash_algorithm { name = sha256, salt_position = suffix }
    bootstrap_file = "${folder}/users.csv"
    bootstrap_type = hash
  }
]

authorization {
  no_match = deny
  deny_action = ignore
  sources = [ { type = file, enable = true, path = "${folder}/acl.conf" } ]
}
`;
}
