import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { natsNamesOf } from "@cairn/protocol";
import { connect, jwtAuthenticator } from "nats";
import { eventually } from "../../testing/broker/eventually.ts";
import {
  connectNode,
  devices,
  keptLog,
  mark,
  openCoordinator,
  removeBroker,
  startCoordinator,
  topics,
} from "../../testing/broker/opened-broker.ts";
import { describeBroker } from "../../testing/broker-behaviour.ts";
import type { Device } from "../../testing/devices.ts";
import { founding } from "../../testing/founding.ts";
import { startTemporaryNats, type TemporaryNats } from "../../testing/temporary-nats.ts";
import { openNatsBroker } from "./nats-broker.ts";

describeBroker({ name: "NATS", open: () => startTemporaryNats() });

const [device] = devices as [Device];
const batch = topics.node(device.nodeId, "batch");
const { stream, consumer } = natsNamesOf(founding.network);
const deaf = { authenticate: async () => null, arrived: () => undefined, refused: () => {} };

async function onNats(
  body: (opened: TemporaryNats) => Promise<void>,
  options: Parameters<typeof startTemporaryNats>[0] = {},
): Promise<void> {
  const opened = await startTemporaryNats(options);
  try {
    await body(opened);
  } finally {
    await removeBroker(opened);
  }
}

function brokerWith(opened: TemporaryNats, more: Partial<Parameters<typeof openNatsBroker>[0]>) {
  const options = {
    urls: opened.nativeUrls,
    gateway: opened.urls,
    clientId: "a",
    topics,
    network: founding.network,
    mark,
    takesIn: true,
    replicas: 1,
    keepBytes: 100_000_000,
    credentials: opened.credentials,
    now: Date.now,
    random: Math.random,
    log: keptLog(),
  };
  return openNatsBroker({ ...options, ...more }, deaf);
}

test("the stream of another network of the same name is left alone (broker-foreign)", () =>
  onNats(async (opened) => {
    const ours = await startCoordinator(opened, "ours");
    await ours.broker.close();
    const node = await connectNode(opened, device);
    await node.publishAsync(batch, "for ours", { qos: 1 });
    await assert.rejects(startCoordinator(opened, "theirs", { mark: { ...mark, chainId: 1 } }), {
      code: "broker-foreign",
    });
    const again = await startCoordinator(opened, "ours");
    await eventually(
      () => again.texts().length === 1,
      () => "the message was taken by the other network",
    );
    node.end(true);
    await again.broker.close();
  }));

test("a token without the coordinator's rights, and one of nobody, are told as broker-refused", () =>
  onNats(async (opened) => {
    const { creds } = opened.credentials();
    const own = opened.signIn(device);
    // A node's token with a key that is not its own.
    const forged = creds.replace(/(BEGIN NATS USER JWT-+\n)[^\n]+/, `$1${own.password}`);
    const refused = await brokerWith(opened, { credentials: () => ({ ...own, creds: forged }) });
    await assert.rejects(refused.start(), { code: "broker-refused" });
    // The rights are those for one network: another's stream is refused by name.
    const elsewhere = await brokerWith(opened, { network: "elsewhere" });
    await assert.rejects(elsewhere.start(), { code: "broker-refused", message: /CAIRN_elsewhere/ });
  }));

test("servers that nobody answers for are told as broker-unreachable", () =>
  onNats(async (opened) => {
    const nowhere = await brokerWith(opened, { urls: ["nats://127.0.0.1:1"] });
    await assert.rejects(nowhere.start(), { code: "broker-unreachable", message: /127\.0\.0\.1:1/ });
  }));

test("a gateway that does not answer is asked again, and named when the coordinator is closed meanwhile", () =>
  onNats(async (opened) => {
    const log = keptLog();
    const broker = await brokerWith(opened, { gateway: ["mqtt://127.0.0.1:1"], log });
    const refused = assert.rejects(broker.start(), { code: "broker-unreachable", message: /127\.0\.0\.1:1/ });
    await eventually(
      () => log.lines.filter((line) => line.includes("mqtt://127.0.0.1:1")).length >= 2,
      () => log.lines.join("\n"),
    );
    await broker.close();
    await refused;
  }));

for (const what of ["stream", "consumer"] as const)
  test(`a ${what} that is removed under us is told as broker-stream-lost, made anew, and messages arrive again`, () =>
    onNats(async (opened) => {
      const log = keptLog();
      const coordinator = await startCoordinator(opened, "a", { log });
      const node = await connectNode(opened, device);
      await node.publishAsync(batch, "before", { qos: 1 });
      await eventually(
        () => coordinator.texts().includes("before"),
        () => "nothing arrived",
      );
      const nc = await opened.unlimited();
      const manager = await nc.jetstreamManager();
      if (what === "stream") await manager.streams.delete(stream);
      // The server may have trouble to remove the files of a consumer at work; it is gone all the same.
      else await manager.consumers.delete(stream, consumer).catch(() => {});
      await eventually(
        () => log.codes().includes("broker-stream-lost"),
        () => log.lines.join("\n"),
      );
      await eventually(
        () => coordinator.broker.receivingSince() !== null,
        () => log.lines.join("\n"),
      );
      await node.publishAsync(batch, "after", { qos: 1 });
      await eventually(
        () => coordinator.texts().includes("after"),
        () => `only ${coordinator.texts()}: ${log.lines.join("\n")}`,
      );
      assert.equal(await coordinator.broker.drained(10_000), true);
      node.end(true);
      await nc.close();
      await coordinator.broker.close();
    }));

test("a stream that takes other subjects than ours is not used and not changed (broker-stream-lost)", () =>
  onNats(async (opened) => {
    const nc = await opened.unlimited();
    const manager = await nc.jetstreamManager();
    const description = JSON.stringify(mark);
    await manager.streams.add({ name: stream, description, subjects: ["cairn.1.trial.node.*.batch"] });
    await assert.rejects(startCoordinator(opened, "a"), { code: "broker-stream-lost", message: /not as it was made/ });
    assert.deepEqual((await manager.streams.info(stream)).config.subjects, ["cairn.1.trial.node.*.batch"]);
    await nc.close();
  }));

test("a token that expires under way is told as broker-credentials-expired; what a new one is written to is read again", () =>
  onNats(
    async (opened) => {
      const log = keptLog();
      const coordinator = await startCoordinator(opened, "a", { log });
      await eventually(
        () => log.codes().includes("broker-credentials-expired"),
        () => log.lines.join("\n"),
      );
      await eventually(
        () => coordinator.broker.receivingSince() === null,
        () => "it was said to be received",
      );
      // A token is good to the end of its last second.
      await sleep(1_100);
      const late = await brokerWith(opened, {});
      await assert.rejects(late.start(), { code: "broker-credentials-expired", message: /have expired at/ });
      await opened.writeAgain({ tokenSeconds: 3_600 });
      await eventually(
        () => coordinator.broker.receivingSince() !== null,
        () => log.lines.join("\n"),
      );
      const node = await connectNode(opened, device);
      await node.publishAsync(batch, "after", { qos: 1 });
      await eventually(
        () => coordinator.texts().includes("after"),
        () => "nothing arrived",
      );
      node.end(true);
      await coordinator.broker.close();
    },
    { tokenSeconds: 5 },
  ));

test("a message delivered again keeps the time at which the stream had it", () =>
  onNats(async (opened) => {
    const first = await openCoordinator(opened, "a");
    first.commits = false;
    await first.broker.start();
    const node = await connectNode(opened, device);
    await node.publishAsync(batch, "1", { qos: 1 });
    await eventually(
      () => first.arrivals.length === 1,
      () => "nothing arrived",
    );
    await first.broker.close();
    await sleep(1_500);
    const second = await startCoordinator(opened, "a");
    await eventually(
      () => second.arrivals.length === 1,
      () => "not delivered again",
    );
    assert.equal(second.arrivals[0]?.receivedAt, first.arrivals[0]?.receivedAt);
    node.end(true);
    await second.broker.close();
  }));

test("a server whose clock is ahead of ours cannot date a message into our future", () =>
  onNats(async (opened) => {
    const ours = Date.now() - 60_000;
    const coordinator = await startCoordinator(opened, "a", { now: () => ours });
    const node = await connectNode(opened, device);
    await node.publishAsync(batch, "1", { qos: 1 });
    await eventually(
      () => coordinator.arrivals.length === 1,
      () => "nothing arrived",
    );
    assert.equal(coordinator.arrivals[0]?.receivedAt, ours);
    node.end(true);
    await coordinator.broker.close();
  }));

test("a node's token opens no native connection, and so reads no stream", () =>
  onNats(async (opened) => {
    const { password } = opened.signIn(device);
    for (const url of opened.nativeUrls)
      await assert.rejects(connect({ servers: [url], authenticator: jwtAuthenticator(password), reconnect: false }), {
        code: "AUTHORIZATION_VIOLATION",
      });
  }));

test("the coordinator's own token reads no other stream and removes none", () =>
  onNats(async (opened) => {
    const coordinator = await startCoordinator(opened, "a");
    const { creds } = opened.credentials();
    const { credsAuthenticator } = await import("nats");
    const nc = await connect({
      servers: [...opened.nativeUrls],
      inboxPrefix: natsNamesOf(founding.network).inboxPrefix,
      authenticator: credsAuthenticator(new TextEncoder().encode(creds)),
      timeout: 1_000,
    });
    const manager = await nc.jetstreamManager({ timeout: 1_000 });
    await assert.rejects(manager.streams.delete(stream), { code: "PERMISSIONS_VIOLATION" });
    await assert.rejects(manager.streams.info("$MQTT_rmsgs"), { code: "PERMISSIONS_VIOLATION" });
    await nc.close();
    await coordinator.broker.close();
  }));

test("replicas that start at the same moment, on servers that just started or without a stream, all receive", () =>
  onNats(
    async (opened) => {
      // The stream and its consumer are new each time, and have no leader at first.
      for (let round = 0; round < 3; round++) {
        const log = keptLog();
        const starts = ["a", "b", "pages"].map((name) =>
          startCoordinator(opened, name, { log, takesIn: name !== "pages" }),
        );
        for (const start of await Promise.allSettled(starts))
          assert.equal(start.status, "fulfilled", `${inspect(start)}\n${log.lines.join("\n")}`);
        const replicas = await Promise.all(starts);
        for (const { broker } of replicas) assert.notEqual(broker.receivingSince(), null, log.lines.join("\n"));
        const node = await connectNode(opened, device);
        await node.publishAsync(batch, "first", { qos: 1 });
        await eventually(
          () => replicas.some(({ texts }) => texts().includes("first")),
          () => `nothing arrived: ${log.lines.join("\n")}`,
        );
        node.end(true);
        await Promise.all(replicas.map(({ broker }) => broker.close()));
        const nc = await opened.unlimited();
        await (await nc.jetstreamManager()).streams.delete(stream);
        await nc.close();
      }
    },
    { servers: 3, unready: true },
  ));

test("servers that are too few to lead are waited for, until the coordinator is closed", () =>
  onNats(
    async (opened) => {
      const [, ...others] = opened.programs;
      await Promise.all(others.map((each) => each.end("SIGKILL")));
      const log = keptLog();
      const waiting = startCoordinator(opened, "waiting", { log });
      const closed = await openCoordinator(opened, "closed");
      const refused = assert.rejects(closed.broker.start(), { code: "broker-unreachable", message: /CAIRN_trial/ });
      // Answered with the code of servers without JetStream, some seconds after they have lost each other.
      await eventually(
        () => log.lines.some((line) => line.includes("temporarily unavailable")),
        () => log.lines.join("\n"),
        40_000,
      );
      const closedAt = performance.now();
      await closed.broker.close();
      await refused;
      assert.ok(performance.now() - closedAt < 5_000);
      await Promise.all(others.map((each) => each.start()));
      const { broker } = await waiting;
      assert.notEqual(broker.receivingSince(), null, log.lines.join("\n"));
      await broker.close();
    },
    { servers: 3, unready: true },
  ));

test("when one of three servers is killed messages go on arriving, and the time since when they are received moves", () =>
  onNats(
    async (opened) => {
      const log = keptLog();
      const coordinator = await startCoordinator(opened, "a", { log });
      const since = coordinator.broker.receivingSince() ?? assert.fail("not received");
      const nc = await opened.unlimited();
      const leader = (await (await nc.jetstreamManager()).streams.info(stream)).cluster?.leader;
      await nc.close();
      const killed = Number(leader?.slice(1)) - 1;
      const staying = { ...opened, urls: opened.urls.filter((_, index) => index !== killed) };
      const node = await connectNode(staying, device);
      for (let index = 0; index < 200; index++) await node.publishAsync(batch, `before ${index}`, { qos: 0 });
      await eventually(
        () => coordinator.arrivals.length >= 200,
        () => `${coordinator.arrivals.length} of 200 arrived`,
      );
      await opened.programs[killed]?.end("SIGKILL");
      await eventually(
        () => (coordinator.broker.receivingSince() ?? 0) > since,
        () => `received since ${coordinator.broker.receivingSince()}: ${log.lines.join("\n")}`,
        60_000,
      );
      const other = await connectNode(staying, device);
      const sent = Array.from({ length: 200 }, (_, index) => `after ${index}`);
      const open = () => {
        const arrived = new Set(coordinator.texts());
        return sent.filter((text) => !arrived.has(text));
      };
      // A gateway that has lost the stream's leader takes messages for some seconds and forgets them, so a node sends again what has no receipt.
      const deadline = performance.now() + 60_000;
      for (let left = open(); left.length > 0; left = open()) {
        assert.ok(performance.now() < deadline, `${left.length} of 200 have not arrived: ${log.lines.join("\n")}`);
        for (const text of left) await other.publishAsync(batch, text, { qos: 0 });
        await sleep(1_000);
      }
      assert.equal(await coordinator.broker.drained(30_000), true, log.lines.join("\n"));
      node.end(true);
      other.end(true);
      await coordinator.broker.close();
    },
    { servers: 3 },
  ));
