import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { NodeId } from "@cairn/protocol";
import { decode } from "@nats-io/jwt";
import { accessWriters } from "../../testing/temporary-mosquitto.ts";
import {
  type NatsAccessOptions,
  type PasswordAccessOptions,
  readCoordinatorCredential,
  readNatsCredential,
  writeAccess,
} from "./access-files.ts";

const [one, two, three] = ["1", "2", "3"].map((digit) => digit.repeat(40) as NodeId) as [NodeId, NodeId, NodeId];
const place = (port: number) => ({ host: "127.0.0.1", port });
let folder = "";
let now = 1_800_000_000_000;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cairn-access-"));
  now = Date.now();
});
afterEach(() => rmSync(folder, { recursive: true }));

const emptyFolder = () => {
  rmSync(folder, { recursive: true });
  mkdirSync(folder);
};
const passwords = (nodes: NodeId[], more: Partial<PasswordAccessOptions> = {}) =>
  writeAccess(
    {
      kind: "mosquitto",
      folder,
      network: "trial",
      nodes,
      listen: { nodes: place(1), coordinators: place(2) },
      ...more,
    },
    accessWriters,
  );
const tokens = (nodes: NodeId[], more: Partial<NatsAccessOptions> = {}) =>
  writeAccess(
    {
      kind: "nats",
      folder,
      network: "trial",
      nodes,
      servers: [{ name: "s1", client: place(1), mqtt: place(2), route: place(3) }],
      replicas: 1,
      tokenSeconds: 3_600,
      now: () => now,
      ...more,
    },
    accessWriters,
  );
const node = (nodeId: NodeId) =>
  JSON.parse(readFileSync(join(folder, "nodes", `${nodeId}.json`), "utf8")) as { username: string; password: string };
const coordinator = () => readCoordinatorCredential(join(folder, "coordinator.json"));

test("a second run keeps the passwords that are there, adds those of new nodes and takes away those that left", async () => {
  assert.partialDeepStrictEqual(await passwords([one, two]), { added: 2, kept: 0, removed: 0 });
  const [first, ours] = [node(one), coordinator()];
  assert.partialDeepStrictEqual(await passwords([one, three]), { added: 1, kept: 1, removed: 1 });
  assert.deepEqual([node(one), coordinator()], [first, ours]);
  assert.ok(!existsSync(join(folder, "nodes", `${two}.json`)));
  const users = readFileSync(join(folder, "nodes.passwd"), "utf8");
  assert.ok(users.includes(one) && users.includes(three) && !users.includes(two));
});

test("rotation gives everybody another password, and leaves the coordinators' group as it is", async () => {
  await passwords([one]);
  const [first, ours] = [node(one), coordinator()];
  assert.partialDeepStrictEqual(await passwords([one], { rotate: true }), { added: 1, kept: 0 });
  assert.notEqual(node(one).password, first.password);
  assert.notEqual(coordinator().password, ours.password);
  assert.equal(coordinator().shareGroup, ours.shareGroup);
});

test("only the owner may read what holds a secret, and every node's file is for that node", async () => {
  for (const [write, ...names] of [
    [passwords, "nodes.passwd", "coordinators.passwd"],
    [tokens, "coordinator.creds", "nats-keys.json"],
  ] as const) {
    const { files } = await write([one, two]);
    for (const file of files) assert.ok(existsSync(file), file);
    for (const name of [...names, "coordinator.json", `nodes/${one}.json`])
      assert.equal(statSync(join(folder, name)).mode & 0o077, 0, name);
    assert.equal(node(one).username, one);
    assert.equal(readdirSync(join(folder, "nodes")).length, 2);
    emptyFolder();
  }
});

test("a coordinator's file that others may read, or that holds no password, is refused", async () => {
  await passwords([one]);
  const path = join(folder, "coordinator.json");
  chmodSync(path, 0o644);
  await assert.rejects(async () => coordinator(), { code: "key-exposed" });
  await assert.rejects(async () => passwords([one]), { code: "key-exposed" });
});

test("what a coordinator signs in with at NATS is read with its .creds file, and that of another broker is not taken for it", async () => {
  await tokens([one]);
  const path = join(folder, "coordinator.json");
  assert.match(readNatsCredential(path).creds, /BEGIN NATS USER JWT[\s\S]+BEGIN USER NKEY SEED/);
  chmodSync(join(folder, "coordinator.creds"), 0o640);
  assert.throws(() => readNatsCredential(path), { code: "key-exposed" });
  emptyFolder();
  await passwords([one]);
  assert.throws(() => readNatsCredential(path), { code: "key-malformed", message: /not for NATS/ });
});

test("who gives the .creds file is told which file to give", async () => {
  await tokens([one]);
  assert.throws(() => readNatsCredential(join(folder, "coordinator.creds")), {
    code: "key-malformed",
    message: /give coordinator\.json; coordinator\.creds is read from beside it/,
  });
});

test("a folder of another broker or network is refused, and nothing in it changes", async () => {
  for (const write of [passwords, tokens]) {
    await write([one]);
    const kind = write === tokens ? "nats" : "mosquitto";
    const said = `${folder} holds the access of network trial for ${kind}: use another --out`;
    const files = () =>
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => [parentPath, name, readFileSync(join(parentPath, name), "utf8")]);
    const before = files();
    for (const attempt of [
      () => (write === tokens ? passwords([two]) : tokens([two])),
      () => passwords([two], { kind: "emqx" }),
      () => write([two], { network: "other" }),
    ])
      await assert.rejects(attempt, { code: "setting-refused", message: said });
    assert.deepEqual(files(), before);
    emptyFolder();
  }
});

test("a note that names no broker is refused", async () => {
  for (const text of ["null", '{"network":"trial"}', "no JSON"]) {
    writeFileSync(join(folder, "access.json"), text, { mode: 0o600 });
    await assert.rejects(passwords([one]), { code: "key-malformed", message: /access\.json/ });
  }
});

test("a node's token is good over MQTT alone, for its own subjects, and for its time", async () => {
  const { expiresAt } = await tokens([one]);
  const claims = decode<{ pub: { allow: string[] }; allowed_connection_types: string[]; bearer_token: boolean }>(
    node(one).password,
  ) as unknown as { exp: number; name: string; nats: { pub: { allow: string[] }; allowed_connection_types: string[] } };
  assert.equal(claims.name, one);
  assert.equal(claims.exp, Math.floor(now / 1000) + 3_600);
  assert.equal(expiresAt, claims.exp * 1000);
  assert.deepEqual(claims.nats.allowed_connection_types, ["MQTT"]);
  assert.ok(claims.nats.pub.allow.every((subject) => subject.includes(one)));
});

test("a token is kept until its last third, then replaced by the next run", async () => {
  await tokens([one]);
  const [first, ours] = [node(one).password, coordinator().password];
  now += 2_300_000;
  assert.partialDeepStrictEqual(await tokens([one]), { kept: 1, added: 0 });
  assert.equal(node(one).password, first);
  now += 200_000;
  assert.partialDeepStrictEqual(await tokens([one]), { kept: 0, added: 1 });
  assert.notEqual(node(one).password, first);
  assert.notEqual(coordinator().password, ours);
});

test("the token of a node that left is revoked, and rotation revokes all that were signed before", async () => {
  await tokens([one, two]);
  const left = (decode(node(two).password) as { sub: string }).sub;
  const revoked = () => {
    const conf = readFileSync(join(folder, "s1.conf"), "utf8");
    const accounts = [...conf.matchAll(/^ {2}A\w+: (\S+)$/gm)].map(([, token = ""]) => decode(token));
    return (accounts[0] as unknown as { nats: { revocations?: Record<string, number> } }).nats.revocations ?? {};
  };
  assert.deepEqual(revoked(), {});
  await tokens([one]);
  assert.deepEqual(Object.keys(revoked()), [left]);
  await tokens([one], { rotate: true });
  assert.deepEqual(Object.keys(revoked()), ["*"]);
  const issuedAt = (decode(node(one).password) as { iat: number }).iat;
  assert.ok((revoked()["*"] ?? Number.POSITIVE_INFINITY) < issuedAt);
});
