/** The simulated fleet against a scripted broker, which can be told to be deaf, to lie, to lose and to refuse. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import {
  type NetworkDescriptor,
  parseBirth,
  parseDeath,
  parseEvidenceClaims,
  parseEvidenceEnvelope,
  readingsOf as readingsIn,
  verifyEs256,
} from "@cairn/protocol";
import {
  eventually,
  type Fleet,
  type FleetPlan,
  type FleetShape,
  fleetKeys,
  openJournal,
  quietShape,
  readJournal,
  simulatedKey,
  startFleet,
} from "../src/laboratory.ts";
import { openScriptedBroker, type ScriptedBroker } from "./fleet-broker.ts";

const folder = mkdtempSync(join(tmpdir(), "cairn-fleet-"));
after(() => rmSync(folder, { recursive: true }));

const small: FleetShape = { ...quietShape, nodes: 10, sites: 2, joinMs: 100, batchMs: 200, readingsPerBatch: 5 };

/** How long a busy machine may take for what takes none else. */
const patienceMs = 30_000;
const receiptBackoff = { floorMs: 400, ceilingMs: 800 };

/** A scripted broker and a fleet at it, both gone after the test. */
async function withFleet(
  shape: Partial<FleetShape>,
  more: Partial<FleetPlan>,
  then: (broker: ScriptedBroker, fleet: Fleet) => Promise<void>,
  prepare: (broker: ScriptedBroker) => void = () => {},
): Promise<void> {
  const broker = await openScriptedBroker();
  prepare(broker);
  const { address, network } = broker;
  const fleet = await startFleet({
    shape: { ...small, ...shape },
    network,
    brokers: [address],
    receiptBackoff,
    ...more,
  });
  try {
    await then(broker, fleet);
  } finally {
    await fleet.stop();
    await broker.close();
  }
}

async function connected(fleet: Fleet, count: number): Promise<void> {
  await eventually(`${count} connections`, patienceMs, () => (fleet.counts().connected === count ? true : undefined));
}

/** Every batch of each node is stored once and in order, and as many as the fleet says. */
function assertExactlyOnce(broker: ScriptedBroker, fleet: Fleet): void {
  const { honest, backlogBatches } = fleet.counts();
  assert.equal(backlogBatches, 0);
  assert.equal(honest.readingsReceipted, honest.readingsCreated);
  assert.equal(broker.stored.length, honest.batchesCreated);
  assert.equal(
    broker.stored.reduce((sum, batch) => sum + [...readingsIn(batch)].length, 0),
    honest.readingsCreated,
  );
  for (const { nodeId, boot } of fleet.nodes) {
    const batches = broker.stored.filter((batch) => batch.nodeId === nodeId);
    assert.deepEqual(
      batches.map(({ seq }) => seq),
      batches.map((_, at) => at + 1),
    );
    assert.ok(batches.every((batch) => batch.boot === boot));
  }
}

describe("a simulated fleet", { concurrency: 8 }, () => {
  test("announces itself, sends what it measures and has all of it receipted, every message signed by its node", async () => {
    await withFleet({ backlogBatches: 12 }, { boot: 3 }, async (broker, fleet) => {
      await connected(fleet, 10);
      await sleep(500);
      const { latencyMs } = await fleet.settle(patienceMs);
      assertExactlyOnce(broker, fleet);
      assert.ok(broker.stored.length >= 10 * 14);
      assert.ok(latencyMs.p50 !== null && latencyMs.p99 !== null && latencyMs.p50 <= latencyMs.p99);
      const births = broker.arrived.filter(({ channel }) => channel === "birth");
      assert.equal(births.length, 10);
      for (const { nodeId, payload } of births) {
        const birth = parseBirth(payload);
        assert.ok(birth.ok);
        const node = fleet.nodes.find((each) => each.nodeId === nodeId);
        assert.deepEqual([birth.value.boot, birth.value.bootCount], [node?.boot, 3]);
      }
    });
  });

  test("is the same fleet with the same boots for the same seed and boot, and has others in another boot", async () => {
    const identities: string[][] = [];
    for (const boot of [1, 1, 2])
      await withFleet({ batchMs: 60_000 }, { boot }, async (_, fleet) => {
        identities.push(fleet.nodes.map((node) => `${node.nodeId} ${node.boot}`));
        assert.deepEqual(
          fleet.nodes.map(({ nodeId }) => nodeId),
          Array.from({ length: 10 }, (_, index) => simulatedKey("cairn", index).nodeId),
        );
      });
    assert.deepEqual(identities[0], identities[1]);
    assert.notDeepEqual(identities[0], identities[2]);
  });

  test("batches lost on the way, and receipts lost, are made good without a hole and without a double", async () => {
    let lost = 0;
    await withFleet({}, {}, async (broker, fleet) => {
      broker.behaviour.lose = (_, sequence) => sequence % 3 === 0 && lost++ < 40;
      await connected(fleet, 10);
      await sleep(1_500);
      fleet.dropConnections(({ index }) => index % 2 === 0, 50);
      await sleep(500);
      await fleet.settle(patienceMs);
      assert.ok(lost > 20, `${lost} lost`);
      assert.ok(fleet.counts().honest.batchesResent > 20);
      assertExactlyOnce(broker, fleet);
    });
  });

  test("a hung coordinator costs nothing but time: the window holds, and is sent again after its backoff", async () => {
    await withFleet({ nodes: 4 }, { window: 3 }, async (broker, fleet) => {
      broker.behaviour.receipts = "deaf";
      await connected(fleet, 4);
      await sleep(1_500);
      const { batchesSent, batchesResent } = fleet.counts().honest;
      assert.equal(batchesSent - batchesResent, 4 * 3);
      assert.ok(batchesResent >= 4 * 3 && batchesResent <= 4 * 3 * 5, `${batchesResent} again`);
      broker.behaviour.receipts = "signed";
      await fleet.settle(patienceMs);
      assertExactlyOnce(broker, fleet);
    });
  });

  test("receipts that are not signed by the coordinator free nothing, unless they are not verified", async () => {
    for (const verifiedShare of [1, 0])
      await withFleet({ nodes: 3 }, { verifiedShare }, async (broker, fleet) => {
        broker.behaviour.receipts = "forged";
        await connected(fleet, 3);
        await sleep(600);
        const { honest } = fleet.counts();
        assert.equal(honest.batchesReceipted > 0, verifiedShare === 0);
        assert.equal(honest.messagesDistrusted > 0, verifiedShare === 1);
      });
  });

  test("while the coordinator says that it is offline nothing is sent to it", async () => {
    const offline = (broker: ScriptedBroker) => broker.coordinator(false);
    await withFleet(
      {},
      {},
      async (broker, fleet) => {
        await connected(fleet, 10);
        await sleep(500);
        assert.equal(fleet.counts().honest.batchesSent, 0);
        broker.coordinator(true);
        await fleet.settle(patienceMs);
        assertExactlyOnce(broker, fleet);
      },
      offline,
    );
  });

  test("a beacon is answered once per connection and within a fifth of its slot, a forged or a late one never", async () => {
    const late = (broker: ScriptedBroker) => void broker.beacon(1, 1);
    const answered = async (broker: ScriptedBroker, fleet: Fleet) => {
      const answers = (count: number) =>
        eventually(`${count} answers`, patienceMs, () =>
          fleet.counts().honest.evidenceAcknowledged === count ? true : undefined,
        );
      await connected(fleet, 10);
      await sleep(200);
      assert.equal(fleet.counts().honest.evidenceSent, 0);
      broker.beacon(2, 10_000, Buffer.alloc(32, 7));
      const askedAt = performance.now();
      const repeat = broker.beacon(2, 10_000);
      repeat();
      await answers(10);
      assert.ok(performance.now() - askedAt < 5_000);
      fleet.dropConnections();
      await answers(20);
      await sleep(300);
      const evidence = broker.arrived.filter(({ channel }) => channel === "evidence");
      assert.deepEqual(
        evidence.map(({ nodeId }) => nodeId).sort(),
        fleet.nodes.flatMap(({ nodeId }) => [nodeId, nodeId]).sort(),
      );
      for (const { nodeId, payload } of evidence) {
        const envelope = parseEvidenceEnvelope(payload);
        assert.ok(envelope.ok);
        const key = simulatedKey(
          "cairn",
          fleet.nodes.findIndex((node) => node.nodeId === nodeId),
        );
        assert.ok(verifyEs256(key.publicKey, envelope.value.signingInput, envelope.value.signature));
        const claims = parseEvidenceClaims(envelope.value);
        assert.ok(claims.ok);
        assert.deepEqual([claims.value.cairn.slot, claims.value.ueid], [2, key.ueid]);
        assert.match(claims.value.swname, /fleet/);
      }
      const { honest } = fleet.counts();
      assert.deepEqual([honest.evidenceSent, honest.evidenceAcknowledged], [20, 20]);
      assert.ok(honest.messagesDistrusted >= 10);
    };
    await withFleet({ batchMs: 60_000 }, {}, answered, late);
  });

  test("a storm without jitter leaves a will of the running boot per node and brings all back", async () => {
    await withFleet({}, {}, async (broker, fleet) => {
      await connected(fleet, 10);
      assert.equal(fleet.dropConnections(), 10);
      assert.equal(fleet.counts().connected, 0);
      await connected(fleet, 10);
      const boots = broker.wills.map((will) => {
        const death = parseDeath(Buffer.from(will));
        return death.ok ? death.value.boot : "none";
      });
      assert.deepEqual(boots.sort(), fleet.nodes.map(({ boot }) => boot).sort());
      await fleet.settle(patienceMs);
      assertExactlyOnce(broker, fleet);
    });
  });

  for (const [what, shape, connects] of [
    ["storms", { stormEveryMs: 700, stormJitterMs: 200 }, 30],
    ["outages", { outageEveryMs: 1_000, outageMs: 300 }, 15],
  ] as const)
    test(`planned ${what} happen by themselves, and cost nothing`, async () => {
      await withFleet(shape, {}, async (broker, fleet) => {
        await eventually(`${connects} connects`, patienceMs, () =>
          fleet.counts().honest.connects >= connects ? true : undefined,
        );
        await fleet.settle(patienceMs);
        assertExactlyOnce(broker, fleet);
      });
    });

  test("a site that is paused is gone with all its nodes, and comes back with what it measured meanwhile, at the latest to settle", async () => {
    await withFleet({}, {}, async (broker, fleet) => {
      await connected(fleet, 10);
      fleet.pauseSite(1);
      await connected(fleet, 5);
      const stored = () => broker.stored.filter(({ nodeId }) => away.has(nodeId)).length;
      const away = new Set(fleet.nodes.filter(({ site }) => site === 1).map(({ nodeId }) => nodeId));
      // What was on its way still arrives.
      await sleep(300);
      const before = stored();
      await sleep(1_000);
      assert.equal(stored(), before);
      assert.ok(fleet.counts().backlogBatches >= 5 * 4);
      fleet.resumeSite(1);
      await connected(fleet, 10);
      await eventually("its backlog is stored", patienceMs, () => (stored() >= before + 5 * 4 ? true : undefined));
      fleet.pauseSite(0);
      fleet.pauseSite(0);
      await fleet.settle(patienceMs);
      await connected(fleet, 10);
      assertExactlyOnce(broker, fleet);
    });
  });

  test("nodes are spread over the brokers and take the next one when theirs is gone", async () => {
    const spare = await openScriptedBroker();
    const brokers = await openScriptedBroker().then(async (gone) => {
      await gone.close();
      return [gone.address];
    });
    await withFleet({}, {}, async (broker, fleet) => {
      await connected(fleet, 10);
      assert.deepEqual([broker.connections(), spare.connections()], [10, 0]);
    });
    const first = await openScriptedBroker();
    const all = [first.address, spare.address, ...brokers];
    const fleet = await startFleet({ shape: { ...small, nodes: 9 }, network: first.network, brokers: all });
    try {
      await connected(fleet, 9);
      assert.ok(first.connections() >= 3 && spare.connections() >= 3);
      assert.equal(fleet.counts().honest.connectsFailed, 3);
      await first.close();
      await eventually("the other broker has all", patienceMs, () => (spare.connections() === 9 ? true : undefined));
    } finally {
      await fleet.stop();
      await spare.close();
    }
  });

  test("a batch that is refused for good is told apart from the others as lost, and those go on", async () => {
    await withFleet({ nodes: 1 }, {}, async (broker, fleet) => {
      broker.behaviour.refuse = (_, sequence) => (sequence === 2 ? "schema-mismatch" : undefined);
      await connected(fleet, 1);
      await eventually("a batch is set aside", patienceMs, () =>
        fleet.counts().honest.readingsSetAside > 0 ? true : undefined,
      );
      await eventually("the next states it", patienceMs, () => broker.stored.find(({ dropped }) => dropped));
      const { honest, backlogBatches } = await fleet.settle(patienceMs);
      assert.equal(honest.readingsSetAside, 5);
      assert.equal(backlogBatches, 0);
      assert.equal(honest.readingsReceipted, honest.readingsCreated - 5);
      assert.ok((honest.refusals["schema-mismatch"] ?? 0) >= 3);
    });
  });

  test("a ledger that forgets what it receipted is caught", async () => {
    await withFleet({ nodes: 2 }, {}, async (broker, fleet) => {
      const [node] = fleet.nodes;
      assert.ok(node);
      await eventually("ten batches", patienceMs, () => (broker.stored.length >= 10 ? true : undefined));
      broker.forget(node.nodeId, 1);
      const lost = await eventually("the loss", patienceMs, () => fleet.counts().honest.readingsTakenBack || undefined);
      assert.ok(lost >= 10, `${lost} readings`);
    });
  });

  test("misbehaving nodes send each its kind, and count apart from the honest ones", async () => {
    await withFleet({ nodes: 24, misbehavingShare: 0.25 }, {}, async (broker, fleet) => {
      await connected(fleet, 24);
      await sleep(1_000);
      await fleet.settle(patienceMs);
      const { honest, misbehaving } = fleet.counts();
      assert.equal(misbehaving.nodes, 6);
      const kinds = ["flood", "foreign-topic", "forged", "malformed", "oversize", "replay"];
      assert.deepEqual(Object.keys(misbehaving.misdeeds).sort(), kinds);
      assert.ok((misbehaving.misdeeds.flood ?? 0) >= 50);
      assert.equal(honest.readingsReceipted, honest.readingsCreated);
      const badOnes = new Set(fleet.nodes.filter(({ misdeed }) => misdeed).map(({ nodeId }) => nodeId));
      const ofHonest = broker.stored.filter(({ nodeId }) => !badOnes.has(nodeId));
      assert.equal(ofHonest.length, honest.batchesCreated);
      const forger = fleet.nodes.find(({ misdeed }) => misdeed === "forged");
      const oversize = broker.arrived.find(({ payload }) => payload.length > 131_072);
      const ofForger = broker.arrived.find(({ nodeId, channel }) => nodeId === forger?.nodeId && channel === "batch");
      assert.ok(oversize && ofForger);
    });
  });

  test("the journal names every batch when it is created, and again when it is receipted, with its first reading", async () => {
    const file = join(folder, "journal.jsonl");
    const journal = openJournal(file);
    await withFleet({}, { journal }, async (broker, fleet) => {
      await connected(fleet, 10);
      await sleep(500);
      await fleet.settle(patienceMs);
      journal.close();
      const entries = readJournal(file);
      for (const event of ["created", "receipted"] as const)
        assert.deepEqual(
          entries
            .filter((entry) => entry.event === event)
            .map(({ node, boot, sequence, readings, first, firstAt }) =>
              [node, boot, sequence, readings, first, firstAt].join(" "),
            )
            .sort(),
          broker.stored
            .map((batch) => {
              const [first] = readingsIn(batch);
              return [batch.nodeId, batch.boot, batch.seq, 5, first?.value, first?.at].join(" ");
            })
            .sort(),
        );
    });
  });

  test("an external broker is shown the name and password of the node's file, and turns others away", async () => {
    const seen: string[] = [];
    const login = (nodeId: string) => ({ username: `node-${nodeId.slice(0, 6)}`, password: "secret" });
    await withFleet(
      { nodes: 3 },
      { login },
      async (_, fleet) => {
        await connected(fleet, 2);
        await sleep(300);
        const { connected: now, honest } = fleet.counts();
        assert.equal(now, 2);
        assert.ok((honest.refusals["connack-5"] ?? 0) >= 1);
        const names = fleet.nodes.map(({ nodeId }) => login(nodeId).username).sort();
        assert.deepEqual([...new Set(seen)].sort(), names);
      },
      (broker) => {
        const turnedAway = login(simulatedKey("cairn", 1).nodeId).username;
        broker.behaviour.connack = (username) => {
          seen.push(username);
          return username === turnedAway ? 5 : 0;
        };
      },
    );
  });
});

describe("the command cairn-fleet", () => {
  const program = join(import.meta.dirname, "..", "src", "fleet-main.ts");
  const cairnFleet = (...args: readonly string[]) =>
    promisify(execFile)(process.execPath, [program, ...args]).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({ code, stdout, stderr }),
    );

  test("writes the roster of the very fleet that the same seed runs", async () => {
    const out = join(folder, "roster.json");
    const { code, stdout } = await cairnFleet(
      "roster",
      "--nodes",
      "5",
      "--seed",
      "s",
      "--operators",
      "2",
      "--out",
      out,
    );
    assert.equal(code, 0);
    assert.match(stdout, /5 simulated nodes of 2 operators/);
    const { nodes } = JSON.parse(readFileSync(out, "utf8")) as { nodes: { name: string; publicKey: string }[] };
    assert.deepEqual(
      nodes.map(({ name, publicKey }) => ({ name, publicKey })),
      fleetKeys("s", 5),
    );
  });

  test("refuses bad settings and files that do not fit with code 2, before it connects", async () => {
    const noNetwork = join(folder, "none.json");
    const wrong = join(folder, "wrong.json");
    writeFileSync(wrong, "{}");
    for (const [args, said] of [
      [["run", "--nodes", "x"], /--nodes x/],
      [["run", "--network", noNetwork], /--network .*none\.json: ENOENT/],
      [["run", "--network", wrong], /--network .*wrong\.json: network descriptor/],
    ] as const) {
      const { code, stderr } = await cairnFleet(...args);
      assert.equal(code, 2);
      assert.match(stderr, said);
    }
  });

  test("runs for its time, waits for the receipts and prints one JSON line; 1 says that some are missing", async () => {
    const broker = await openScriptedBroker();
    const { network } = broker;
    const file = join(folder, "network.json");
    const logins = join(folder, "logins");
    mkdirSync(logins);
    const descriptor: NetworkDescriptor = {
      ...{
        network: "twin",
        ...network.time,
        chainId: network.domain.chainId,
        rewards: network.domain.verifyingContract,
      },
      verifiers: [...network.verifiers],
      coordinatorKey: network.coordinatorKey.export({ format: "pem", type: "spki" }).toString(),
    };
    writeFileSync(file, JSON.stringify(descriptor));
    const url = `mqtt://127.0.0.1:${broker.address.port}`;
    const flags = ["--network", file, "--broker", url, "--nodes", "5", "--join", "0", "--batch-ms", "200", "--json"];
    try {
      const { code, stdout, stderr } = await cairnFleet("run", ...flags, "--duration", "2", "--report-every", "1");
      assert.equal(code, 0, stderr);
      const summary = JSON.parse(stdout);
      assert.deepEqual([summary.readingsLost, summary.backlogBatches, summary.nodes], [0, 0, 5]);
      assert.equal(summary.honest.batchesReceipted, broker.stored.length);
      assert.match(stderr, /connected 5\/5, .* batches\/s sent .* readings\/s, receipts p50 /);
      assert.match(stderr, /lost: none/);

      broker.behaviour.receipts = "deaf";
      const deaf = await cairnFleet("run", ...flags, "--duration", "1", "--settle", "0", "--boot", "7");
      assert.equal(deaf.code, 1, deaf.stderr);
      assert.ok(JSON.parse(deaf.stdout).readingsLost > 0);

      const missing = await cairnFleet("run", ...flags, "--credentials", logins);
      assert.equal(missing.code, 2);
      assert.match(missing.stderr, /--credentials: ENOENT/);
    } finally {
      await broker.close();
    }
  });
});
