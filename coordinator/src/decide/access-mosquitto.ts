/** Access files for Mosquitto 2.0 (mosquitto.conf(5), mosquitto_passwd(1)); run against 2.0.11. One server: Mosquitto has no cluster. */
import { pbkdf2Sync } from "node:crypto";
import { accessOf, topicFor } from "@cairn/protocol";
import type { AccessFile, Account, PasswordAccess } from "../model.ts";
import { inflightMessages, packetBytes, queuedBytes, queuedMessages } from "./access-limits.ts";

/** Mosquitto's own default: the passwords are random, so more rounds would only slow down a fleet that reconnects. */
const rounds = 101;

export function mosquittoFiles(access: PasswordAccess): readonly AccessFile[] {
  const { network, nodes, coordinator, salt } = access;
  const policy = accessOf(network);
  const passwords = (accounts: readonly Account[]) => accounts.map((account) => `${line(account, salt())}\n`).join("");
  const nodeRules = [
    ...policy.node.publish.map((topic) => `pattern write ${ofUser(topic)}`),
    ...policy.node.subscribe.map((topic) => `pattern read ${ofUser(topic)}`),
  ];
  const coordinatorRules = [
    `user ${coordinator.username}`,
    ...policy.coordinator.publish.map((topic) => `topic write ${topicFor(topic, "+")}`),
    ...policy.coordinator.subscribe.map((topic) => `topic read ${topicFor(topic, "+")}`),
  ];
  return [
    { path: "mosquitto.conf", text: configuration(access), secret: false },
    { path: "nodes.acl", text: `${nodeRules.join("\n")}\n`, secret: false },
    { path: "coordinators.acl", text: `${coordinatorRules.join("\n")}\n`, secret: false },
    { path: "nodes.passwd", text: passwords(nodes), secret: true },
    { path: "coordinators.passwd", text: passwords([coordinator]), secret: true },
  ];
}

/** %u: the user name that was proved by its password. */
const ofUser = (topic: string) => topic.replace("{node}", "%u");

/** NAME:$7$ROUNDS$SALT$HASH, PBKDF2 with HMAC-SHA-512 (mosquitto_passwd(1)). */
function line({ username, password }: Account, salt: Buffer): string {
  const hash = pbkdf2Sync(password, salt, rounds, 64, "sha512");
  return `${username}:$7$${rounds}$${salt.toString("base64")}$${hash.toString("base64")}`;
}

function configuration({ network, folder, listen, tls, user }: PasswordAccess): string {
  const { nodes, coordinators } = listen;
  return `# Cairn network ${network}: Mosquitto 2.0. Written by cairn-coordinator, changes are lost.
# Users and rules are read again on SIGHUP.
per_listener_settings true
${user === undefined ? "" : `user ${user}\n`}
persistence true
persistence_location ${folder}/
autosave_interval 60
persistent_client_expiration 1d

retain_available true
max_inflight_messages ${inflightMessages}
max_queued_messages ${queuedMessages}
max_queued_bytes ${queuedBytes}
message_size_limit ${packetBytes}
set_tcp_nodelay true

# Nodes. The user name is the client id: nobody can take over the session of another.
listener ${nodes.port} ${nodes.host}
allow_anonymous false
use_username_as_clientid true
password_file ${folder}/nodes.passwd
acl_file ${folder}/nodes.acl
${tls ? `certfile ${tls.certFile}\nkeyfile ${tls.keyFile}\n` : ""}
# Coordinators: a network that only they can reach.
listener ${coordinators.port} ${coordinators.host}
allow_anonymous false
password_file ${folder}/coordinators.passwd
acl_file ${folder}/coordinators.acl
`;
}
