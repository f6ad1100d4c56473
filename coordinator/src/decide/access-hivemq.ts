/**
 * Access files for HiveMQ 4 (also its Community Edition 2024) with the File RBAC extension 4.6: hivemq.com/docs, and the extension's
 * README for credentials.xml. Not run here.
 */
import { pbkdf2Sync } from "node:crypto";
import { accessOf, topicFor } from "@cairn/protocol";
import type { AccessFile, Account, PasswordAccess } from "../model.ts";
import { packetBytes, queuedMessages, sessionSeconds } from "./access-limits.ts";

/** The extension's default; the passwords are random. */
const rounds = 100;
const extension = "extensions/hivemq-file-rbac-extension";

export function hivemqFiles(access: PasswordAccess): readonly AccessFile[] {
  return [
    { path: "conf/config.xml", text: configuration(access), secret: false },
    { path: `${extension}/extension-config.xml`, text: extensionConfiguration, secret: false },
    { path: `${extension}/credentials.xml`, text: credentials(access), secret: true },
  ];
}

const extensionConfiguration = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<extension-configuration>
    <credentials-reload-interval>60</credentials-reload-interval>
    <password-type>HASHED</password-type>
</extension-configuration>
`;

function credentials({ network, nodes, coordinator, shareGroup, salt }: PasswordAccess): string {
  const policy = accessOf(network);
  const all = (topic: string) => topicFor(topic, "+");
  const own = (topic: string) => topic.replace("{node}", "$" + "{{username}}");
  const shared = `
                    <shared-group>${shareGroup}</shared-group>`;
  const notShared = `
                    <shared-subscription>NOT_SHARED</shared-subscription>`;
  const user = ({ username, password }: Account, role: string) => `        <user>
            <name>${username}</name>
            <password>${hash(password, salt())}</password>
            <roles><id>${role}</id></roles>
        </user>
`;
  const permission = (activity: string, topic: string, more = "") => `                <permission>
                    <topic>${topic}</topic>
                    <activity>${activity}</activity>${more}
                </permission>
`;
  return `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<file-rbac>
    <users>
${nodes.map((node) => user(node, "node")).join("")}${user(coordinator, "coordinator")}    </users>
    <roles>
        <role>
            <id>node</id>
            <permissions>
${policy.node.publish.map((topic) => permission("PUBLISH", own(topic))).join("")}${policy.node.subscribe
  .map((topic) => permission("SUBSCRIBE", own(topic), notShared))
  .join("")}            </permissions>
        </role>
        <role>
            <id>coordinator</id>
            <permissions>
${policy.coordinator.publish.map((topic) => permission("PUBLISH", all(topic))).join("")}${policy.coordinator.subscribe
  .map((topic) => permission("SUBSCRIBE", all(topic), shared))
  .join("")}            </permissions>
        </role>
    </roles>
</file-rbac>
`;
}

/** SALT:ROUNDS:HASH, PBKDF2 with HMAC-SHA-512 over 512 bits, both in base64 (the extension's class Hashing). */
function hash(password: string, salt: Buffer): string {
  return `${salt.toString("base64")}:${rounds}:${pbkdf2Sync(password, salt, rounds, 64, "sha512").toString("base64")}`;
}

function configuration({ network, listen, tls }: PasswordAccess): string {
  const listener = (kind: string, name: string, { host, port }: { host: string; port: number }, more = "") => `
        <${kind}>
            <name>${name}</name>
            <port>${port}</port>
            <bind-address>${host}</bind-address>${more}
        </${kind}>`;
  const keystore = tls
    ? `
            <!-- HiveMQ reads Java key stores: make one of ${tls.certFile} and ${tls.keyFile}. -->
            <tls><keystore><path>nodes.jks</path></keystore></tls>`
    : "";
  return `<?xml version="1.0" encoding="UTF-8"?>
<!-- Cairn network ${network}: HiveMQ 4. Written by cairn-coordinator, changes are lost. A cluster adds its own <cluster>. -->
<hivemq>
    <listeners>${listener(tls ? "tls-tcp-listener" : "tcp-listener", "nodes", listen.nodes, keystore)}${listener("tcp-listener", "coordinators", listen.coordinators)}
    </listeners>
    <mqtt>
        <packets><max-packet-size>${packetBytes}</max-packet-size></packets>
        <session-expiry><max-interval>${sessionSeconds}</max-interval></session-expiry>
        <queued-messages>
            <max-queue-size>${queuedMessages}</max-queue-size>
            <strategy>discard-oldest</strategy>
        </queued-messages>
        <retained-messages><enabled>true</enabled></retained-messages>
        <shared-subscriptions><enabled>true</enabled></shared-subscriptions>
    </mqtt>
</hivemq>
`;
}
