import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { accessOf, type NodeId, natsNamesOf } from "@cairn/protocol";
import type { PasswordAccess, PasswordBroker } from "../model.ts";
import { accessFiles } from "./access.ts";
import { natsConfiguration, natsCoordinator, natsGateway, natsNode } from "./access-nats.ts";

const golden = join(import.meta.dirname, "../../testing/golden/access");
const kinds: readonly PasswordBroker[] = ["mosquitto", "emqx", "hivemq", "vernemq"];
const one = "1".repeat(40) as NodeId;
const two = "2".repeat(40) as NodeId;

function access(more: Partial<PasswordAccess> = {}): PasswordAccess {
  let salts = 0;
  return {
    network: "harbour",
    folder: "/etc/cairn/broker",
    nodes: [
      { username: one, password: "first-password" },
      { username: two, password: "second-password" },
    ],
    coordinator: { username: "coordinator", password: "third-password" },
    shareGroup: "cairn-harbour-5ec4e7",
    listen: { nodes: { host: "0.0.0.0", port: 1883 }, coordinators: { host: "10.0.0.1", port: 1884 } },
    salt: () => Buffer.alloc(12, ++salts),
    ...more,
  };
}

/** CAIRN_WRITE_GOLDEN=1 writes the texts anew: look at the difference before it is believed. */
function isAsWritten(path: string, text: string): void {
  const file = join(golden, path);
  if (process.env.CAIRN_WRITE_GOLDEN === "1") {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  assert.ok(existsSync(file), `there is no ${file}`);
  assert.equal(text, readFileSync(file, "utf8"), path);
}

for (const kind of kinds)
  test(`the files for ${kind} are those that were looked at`, () => {
    for (const { path, text } of accessFiles(kind, access())) isAsWritten(join(kind, path), text);
  });

test("the configuration of one NATS server of three, and the rights of its users, are those that were looked at", () => {
  const at = (port: number, host: string) => ({ host, port });
  const servers = ["s1", "s2", "s3"].map((name, index) => {
    const host = `10.0.0.${index + 1}`;
    return { name, client: at(4222, host), mqtt: at(1883, "0.0.0.0"), route: at(6222, host) };
  });
  const text = natsConfiguration(
    {
      network: "harbour",
      servers,
      replicas: 3,
      folder: "/var/lib/cairn/nats",
      tls: { certFile: "/etc/cairn/node.crt", keyFile: "/etc/cairn/node.key" },
      operatorToken: "OPERATOR.TOKEN",
      accounts: [
        { id: "AACCOUNT", token: "ACCOUNT.TOKEN" },
        { id: "ASYSTEM", token: "SYSTEM.TOKEN" },
      ],
      systemAccount: "ASYSTEM",
    },
    servers[0] ?? assert.fail(),
  );
  isAsWritten("nats/s1.conf", text);
  const rights = {
    node: natsNode("harbour", one),
    coordinator: natsCoordinator("harbour"),
    gateway: natsGateway("harbour"),
  };
  isAsWritten("nats/rights.json", `${JSON.stringify(rights, null, 2)}\n`);
});

test("no file holds a password in the clear, and whatever is made of one is marked secret", () => {
  for (const kind of kinds) {
    const [first, second] = [accessFiles(kind, access()), accessFiles(kind, access({ nodes: [] }))];
    for (const [index, { path, text, secret }] of first.entries()) {
      for (const word of ["first-password", "second-password", "third-password"])
        assert.ok(!text.includes(word), `${kind}/${path} holds ${word}`);
      // What changes with the accounts is made of them.
      if (text !== second[index]?.text) assert.ok(secret, `${kind}/${path}`);
    }
  }
});

test("the name of the coordinators' group stands in no file that is not secret", () => {
  for (const kind of kinds)
    for (const { path, text, secret } of accessFiles(kind, access()))
      assert.ok(secret || !text.includes("5ec4e7"), `${kind}/${path}`);
});

test("every broker is told every topic of the policy, and no topic of another network", () => {
  const words: Record<PasswordBroker, (topic: string) => string> = {
    mosquitto: (topic) => topic.replace("{node}", "%u"),
    vernemq: (topic) => topic.replace("{node}", "%u"),
    emqx: (topic) => topic.replace("{node}", "$" + "{username}"),
    hivemq: (topic) => topic.replace("{node}", "$" + "{{username}}"),
  };
  const { node, coordinator } = accessOf("harbour");
  for (const kind of kinds) {
    const text = accessFiles(kind, access())
      .map((file) => file.text)
      .join("\n");
    for (const topic of [...node.publish, ...node.subscribe]) assert.ok(text.includes(words[kind](topic)), topic);
    for (const topic of [...coordinator.publish, ...coordinator.subscribe])
      assert.ok(text.includes(topic.replace("{node}", "+")), `${kind}: ${topic}`);
    for (const [found] of text.matchAll(/cairn\/1\/[^/"<\s]+/g)) assert.equal(found, "cairn/1/harbour");
  }
});

test("a NATS node may use its own subjects only, and none of the server's own", () => {
  for (const subject of [...natsNode("harbour", one).pub.allow, ...natsNode("harbour", one).sub.allow]) {
    assert.ok(subject.startsWith("cairn.1.harbour."), subject);
    assert.ok(!subject.includes(">"), subject);
    if (subject.startsWith("cairn.1.harbour.node")) assert.ok(subject.includes(one), subject);
  }
  for (const subject of natsNode("harbour", one).pub.allow) assert.ok(!subject.includes("*"), subject);
});

test("coordinators of one network may not touch the stream of another", () => {
  const { stream } = natsNamesOf("harbour");
  for (const subject of natsCoordinator("harbour").pub.allow.filter((each) => each.startsWith("$JS")))
    assert.ok(subject === "$JS.API.INFO" || subject.includes(`.${stream}`), subject);
});
