/**
 * Real nodes, real coordinators as replicas, real Mosquitto or NATS, and PostgreSQL: what a user gets by configuration alone.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ReplicasView } from "@cairn/protocol";
import { eventually, type Laboratory, laboratoryMissing, openLaboratory } from "../src/laboratory.ts";

const skip = laboratoryMissing() ?? false;
const all = "ingest,verifier,placer,settler,api";

async function onReplicas(
  broker: "mosquitto" | "nats",
  body: (laboratory: Laboratory) => Promise<void>,
  roles: readonly string[] = [all, all],
): Promise<void> {
  const laboratory = await openLaboratory({
    ...{ broker, ledger: "postgres", coordinators: roles.length, nodes: 2, slotSeconds: 4, slotsPerEpoch: 3 },
    coordinatorFlags: (index) => ["--roles", roles[index] ?? all],
  });
  try {
    for (const coordinator of laboratory.coordinators) coordinator.start();
    await Promise.all(laboratory.coordinators.map((coordinator) => coordinator.ready()));
    for (const index of laboratory.nodes.keys()) laboratory.node(index, ["--host-seconds", "1"]).start();
    await body(laboratory);
  } finally {
    await laboratory.close();
  }
}

async function view<T>(base: string, path: string): Promise<T> {
  return (await (await fetch(`${base}/api/v1/${path}`)).json()) as T;
}

const holderOf = async (base: string, duty: string) =>
  (await view<ReplicasView>(base, "replicas")).duties.find((held) => held.duty === duty)?.holder.split("/")[0];

const settledEpochs = async ({ coordinators }: Laboratory, index: number) =>
  (await coordinators[index]?.client.epochs())?.filter(({ state }) => state === "settled") ?? [];

for (const broker of ["mosquitto", "nats"] as const)
  describe(`two coordinators on ${broker} and PostgreSQL`, { skip, concurrency: false }, () => {
    test("take in what nodes measure, pay for it on chain, and both say the same", () =>
      onReplicas(broker, async (laboratory) => {
        await eventually("an epoch is settled in which both nodes were credited", 90_000, async () =>
          (await settledEpochs(laboratory, 0)).find(({ slotsCredited }) => slotsCredited === 6),
        );
        const [one, other] = await Promise.all(laboratory.coordinators.map(({ client }) => client.fleet()));
        const stored = (fleet: typeof one) => fleet?.nodes.map(({ nodeId, state }) => [nodeId, state]);
        assert.deepEqual(stored(one), stored(other));
        assert.ok(one?.nodes.every(({ state, readingsPerMinute }) => state === "online" && readingsPerMinute > 0));
        const epoch = (await settledEpochs(laboratory, 0)).at(-1);
        assert.deepEqual(
          (await settledEpochs(laboratory, 1)).find((row) => row.epoch === epoch?.epoch),
          epoch,
        );
        const refused = await view<{ byCode: object }>(laboratory.base, "rejections");
        assert.deepEqual(refused.byCode, {});
      }));

    test("go on without the one that held the duties, which another holds within ten seconds", () =>
      onReplicas(broker, async (laboratory) => {
        const whole = await eventually("an epoch is settled in which both nodes were credited", 90_000, async () =>
          (await settledEpochs(laboratory, 0)).find(({ slotsCredited }) => slotsCredited === 6),
        );
        const name = await holderOf(laboratory.base, "verifier");
        const index = laboratory.coordinators.findIndex((coordinator) => coordinator.name === name);
        const [killed, left] = [laboratory.coordinators[index], laboratory.coordinators[1 - index]];
        assert.ok(killed && left);
        await killed.end("SIGKILL");
        const before = performance.now();
        await eventually("the other one keeps them", 15_000, async () =>
          (await holderOf(left.base, "verifier")) === left.name ? true : undefined,
        );
        assert.ok(performance.now() - before < 10_000, `after ${Math.round(performance.now() - before)} ms`);
        const { readingsStored } = await left.client.health();
        await eventually("readings come in", 30_000, async () =>
          (await left.client.health()).readingsStored > readingsStored ? true : undefined,
        );
        const { epoch: last = 0 } = (await left.client.epochs()).at(-1) ?? {};
        await eventually("an epoch is settled in which every slot counts", 150_000, async () =>
          (await settledEpochs(laboratory, 1 - index)).find(
            ({ epoch, slotsCredited }) => epoch > last && slotsCredited === 6,
          ),
        );
        // What the broker had given the one that is gone cost nobody anything.
        for (const { epoch, slotsCredited, slotsExpected } of await left.client.epochs())
          if (epoch > whole.epoch) assert.equal(slotsCredited, slotsExpected, `epoch ${epoch}`);
      }));

    test("may each do a part of the work", () =>
      onReplicas(
        broker,
        async (laboratory) => {
          const [, pages] = laboratory.coordinators;
          assert.ok(pages);
          await eventually("an epoch is settled, seen by the replica that only answers", 90_000, async () =>
            (await settledEpochs(laboratory, 1)).find(({ slotsCredited }) => slotsCredited === 6),
          );
          const { replicas } = await view<ReplicasView>(pages.base, "replicas");
          assert.deepEqual(
            replicas.map(({ roles, committedBefore }) => [roles.join(), committedBefore !== null]).sort(),
            [
              ["ingest,verifier,placer,api", true],
              ["settler,api", false],
            ],
          );
        },
        ["ingest,verifier,placer,api", "settler,api"],
      ));
  });
