import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "../../testing/broker/eventually.ts";
import {
  connectNode,
  devices,
  keptLog,
  mark,
  removeBroker,
  startCoordinator,
  topics,
} from "../../testing/broker/opened-broker.ts";
import { describeBroker } from "../../testing/broker-behaviour.ts";
import { startTemporaryMosquitto, type TemporaryMosquitto } from "../../testing/temporary-mosquitto.ts";
import { openMqttBroker } from "./mqtt-broker.ts";

describeBroker({ name: "Mosquitto", open: startTemporaryMosquitto });

const deaf = { authenticate: async () => null, arrived: () => undefined, refused: () => {} };
const [device] = devices;

async function onMosquitto(body: (opened: TemporaryMosquitto) => Promise<void>): Promise<void> {
  const opened = await startTemporaryMosquitto();
  try {
    await body(opened);
  } finally {
    await removeBroker(opened);
  }
}

function brokerWith(opened: TemporaryMosquitto, more: Partial<Parameters<typeof openMqttBroker>[0]>) {
  const options = {
    urls: [opened.coordinatorsUrl],
    clientId: "a",
    topics,
    network: "trial",
    mark,
    takesIn: true,
    credentials: opened.credentials,
    now: Date.now,
    random: Math.random,
    log: keptLog(),
  };
  return openMqttBroker({ ...options, ...more }, deaf);
}

test("another network of the same name is found out before anything is taken in (broker-foreign)", () =>
  onMosquitto(async (opened) => {
    const ours = await startCoordinator(opened, "ours");
    await ours.broker.close();
    const node = await connectNode(opened, device ?? assert.fail());
    await node.publishAsync(topics.node(node.options.clientId as never, "batch"), "for ours", { qos: 1 });
    await assert.rejects(startCoordinator(opened, "theirs", { mark: { ...mark, genesisAt: mark.genesisAt + 1 } }), {
      code: "broker-foreign",
    });
    await assert.rejects(startCoordinator(opened, "ours", { mark: { ...mark, chainId: 1 } }), {
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

test("of two networks of one name that start at the same moment none goes on taking in what is the other's", () =>
  onMosquitto(async (opened) => {
    const log = keptLog();
    const logs = [log, keptLog()];
    const started = await Promise.allSettled([
      startCoordinator(opened, "one", { log }),
      startCoordinator(opened, "two", { mark: { ...mark, chainId: 1 }, log: logs[1] ?? log }),
    ]);
    const refused = started.filter(({ status }) => status === "rejected").length;
    await eventually(
      () => refused + logs.filter(({ codes }) => codes().includes("broker-foreign")).length >= 1,
      () => "both go on",
    );
    for (const each of started) if (each.status === "fulfilled") await each.value.broker.close();
  }));

test("a wrong password, and an account without the coordinator's rights, are told as broker-refused", () =>
  onMosquitto(async (opened) => {
    const wrong = { username: "coordinator", password: "guessed" };
    await assert.rejects((await brokerWith(opened, { credentials: () => wrong })).start(), { code: "broker-refused" });
    const acl = join(opened.folder, "coordinators.acl");
    writeFileSync(acl, readFileSync(acl, "utf8").replaceAll("topic write", "topic deny"));
    await opened.restart?.();
    await assert.rejects((await brokerWith(opened, {})).start(), { code: "broker-refused", message: /founding/ });
  }));

test("a broker that nobody answers for is told as broker-unreachable, and the next of the list is tried", () =>
  onMosquitto(async (opened) => {
    const nowhere = await brokerWith(opened, { urls: ["mqtt://127.0.0.1:1"] });
    await assert.rejects(nowhere.start(), { code: "broker-unreachable", message: /127\.0\.0\.1:1/ });
    const second = await brokerWith(opened, { urls: ["mqtt://127.0.0.1:1", opened.coordinatorsUrl] });
    await second.start();
    assert.ok(second.receivingSince() !== null);
    await second.close();
  }));

test("credentials that are taken away are told as broker-credentials-expired, and read again until they are good", () =>
  onMosquitto(async (opened) => {
    const log = keptLog();
    const { broker, texts } = await startCoordinator(opened, "a", { log });
    const path = join(opened.folder, "coordinators.passwd");
    const good = readFileSync(path, "utf8");
    writeFileSync(path, good.replace("coordinator:", "somebody:"));
    await opened.restart?.("SIGKILL");
    await eventually(
      () => log.codes().includes("broker-credentials-expired"),
      () => log.lines.join("\n"),
    );
    assert.equal(broker.receivingSince(), null);
    writeFileSync(path, good);
    await opened.restart?.("SIGKILL");
    await eventually(
      () => broker.receivingSince() !== null,
      () => "not connected again",
    );
    const node = await connectNode(opened, device ?? assert.fail());
    await node.publishAsync(topics.node(node.options.clientId as never, "batch"), "after", { qos: 1 });
    await eventually(
      () => texts().includes("after"),
      () => "nothing arrived",
    );
    node.end(true);
    await broker.close();
  }));
