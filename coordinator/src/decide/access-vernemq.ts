/**
 * Access files for VerneMQ 2.0 (docs.vernemq.com: File Based Authentication and Authorization, and the source of vmq_passwd). Not run here.
 * VerneMQ does not tie a client id to its user: an enrolled node that uses the id of another ends that one's connection.
 */
import { createHash } from "node:crypto";
import { accessOf, topicFor } from "@cairn/protocol";
import type { AccessFile, Account, PasswordAccess } from "../model.ts";
import { inflightMessages, packetBytes, queuedMessages, sessionSeconds } from "./access-limits.ts";

export function vernemqFiles(access: PasswordAccess): readonly AccessFile[] {
  const { network, nodes, coordinator, salt } = access;
  const policy = accessOf(network);
  const ofUser = (topic: string) => topic.replace("{node}", "%u");
  const rules = [
    ...policy.node.publish.map((topic) => `pattern write ${ofUser(topic)}`),
    ...policy.node.subscribe.map((topic) => `pattern read ${ofUser(topic)}`),
    "",
    `user ${coordinator.username}`,
    ...policy.coordinator.publish.map((topic) => `topic write ${topicFor(topic, "+")}`),
    ...policy.coordinator.subscribe.map((topic) => `topic read ${topicFor(topic, "+")}`),
  ];
  return [
    { path: "vernemq.conf", text: configuration(access), secret: false },
    { path: "vmq.acl", text: `${rules.join("\n")}\n`, secret: false },
    { path: "vmq.passwd", text: [...nodes, coordinator].map((each) => line(each, salt())).join(""), secret: true },
  ];
}

/** NAME:$6$SALT$HASH: SHA-512 over the password and then the salt's 12 bytes (vmq_passwd). */
function line({ username, password }: Account, salt: Buffer): string {
  const hash = createHash("sha512").update(password).update(salt).digest("base64");
  return `${username}:$6$${salt.toString("base64")}$${hash}\n`;
}

function configuration({ network, folder, listen, tls }: PasswordAccess): string {
  const { nodes, coordinators } = listen;
  const nodesListener = tls
    ? `listener.ssl.nodes = ${nodes.host}:${nodes.port}
listener.ssl.nodes.certfile = ${tls.certFile}
listener.ssl.nodes.keyfile = ${tls.keyFile}
listener.ssl.nodes.allowed_protocol_versions = 4,5`
    : `listener.tcp.nodes = ${nodes.host}:${nodes.port}
listener.tcp.nodes.allowed_protocol_versions = 4,5`;
  return `## Cairn network ${network}: VerneMQ 2.0. Written by cairn-coordinator, changes are lost.
## To be added to the cluster's own vernemq.conf, which names the node and its cookie.
allow_anonymous = off
allow_multiple_sessions = off
allow_register_during_netsplit = on
allow_publish_during_netsplit = on
allow_subscribe_during_netsplit = on

${nodesListener}
## A network that only coordinators can reach.
listener.tcp.coordinators = ${coordinators.host}:${coordinators.port}
listener.tcp.coordinators.allowed_protocol_versions = 5

plugins.vmq_passwd = on
plugins.vmq_acl = on
vmq_passwd.password_file = ${folder}/vmq.passwd
vmq_acl.acl_file = ${folder}/vmq.acl

max_message_size = ${packetBytes}
max_inflight_messages = ${inflightMessages}
max_online_messages = ${queuedMessages}
max_offline_messages = ${queuedMessages}
max_session_expiry_interval = ${sessionSeconds}
persistent_client_expiration = 1d
shared_subscription_policy = prefer_local
`;
}
