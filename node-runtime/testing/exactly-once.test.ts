/**
 * The promise of the outbox, against a model of the coordinator: whatever is lost, repeated, late or crashes, in the end every accepted
 * reading is in the ledger once, or in a gap that was stated.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Batch, BootId, Reading, RejectionCode } from "@cairn/protocol";
import fc from "fast-check";
import { createUplink, type Uplink } from "../src/act/uplink.ts";
import { backoffMs } from "../src/decide/backoff.ts";
import { meaningOfRefusal, nextUplinkSteps } from "../src/decide/uplink.ts";
import type { Priority, Stored } from "../src/model.ts";
import { type EdgeStore, openEdgeStore } from "../src/store/edge-store.ts";
import { summarise } from "../src/store/summary.ts";
import { createLedger } from "./ledger.ts";
import { silent, virtualSurroundings } from "./surroundings.ts";

type Action =
  | { readonly do: "measure"; readonly readings: number; readonly priority: Priority }
  | { readonly do: "wait"; readonly ms: number }
  /** What happens to the oldest message on its way to the coordinator, or to the node. */
  | { readonly do: "batch" | "receipt"; readonly fate: "arrives" | "arrives-twice" | "is-lost" | "is-late" }
  | { readonly do: "disconnect" | "connect" | "crash" | "coordinator-offline" | "coordinator-online" };

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("measure" as const),
      readings: fc.integer({ min: 1, max: 30 }),
      priority: fc.constantFrom("results" as const, "telemetry" as const),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(10, 60, 1_000, 8_000, 70_000) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom("batch" as const, "receipt" as const),
      fate: fc.constantFrom(
        "arrives" as const,
        "arrives" as const,
        "arrives-twice" as const,
        "is-lost" as const,
        "is-late" as const,
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "disconnect" as const,
        "connect" as const,
        "crash" as const,
        "coordinator-offline" as const,
        "coordinator-online" as const,
      ),
    }),
  },
);

/** A node of real store and real uplink, wires of two queues, and the model ledger. */
function createWorld(
  isShared: boolean,
  capBytes: number,
  chance: readonly number[],
  refuse: (batch: Batch) => RejectionCode | undefined,
) {
  const folder = mkdtempSync(join(tmpdir(), "cairn-once-"));
  const surroundings = virtualSurroundings(chance);
  const offered = new Map<string, Batch>();
  const ledger = createLedger(
    (batch) => {
      const sent = offered.get(`${batch.boot} ${batch.sequence}`);
      return sent && refuse(sent);
    },
    { isShared },
  );
  const accepted = new Set<number>();
  const toCoordinator: Batch[] = [];
  const toNode: Stored[] = [];
  const deliver = (batch: Batch) => {
    const receipt = ledger.admit(batch);
    if (receipt) toNode.push(receipt);
  };
  let measured = 0;
  let connected = false;
  let store: EdgeStore;
  let uplink: Uplink;

  function start(): void {
    store = openEdgeStore({
      folder,
      bootId: randomBytes(16).toString("hex") as BootId,
      capBytes,
      surroundings,
      log: silent,
      broken: (cause) => assert.fail(String(cause)),
    });
    uplink = createUplink({
      store,
      limits: { window: 4, batchReadings: 10, batchMs: 1_000, graceMs: 500, refusals: 2 },
      surroundings,
      log: silent,
      next: nextUplinkSteps,
      meaning: meaningOfRefusal,
      backoff: (attempt) => backoffMs(attempt, 5_000, 60_000, surroundings.random()),
      send(batch) {
        assert.ok(connected, "sent while disconnected");
        const key = `${batch.boot} ${batch.sequence}`;
        const before = offered.get(key);
        // Once numbered, a batch holds the same readings for ever, also after a crash.
        if (before) assert.deepEqual(batch.readings, before.readings, `batch ${key} changed`);
        offered.set(key, batch);
        toCoordinator.push(batch);
        return Promise.resolve();
      },
    });
  }
  start();

  return {
    accepted,
    ledger,
    offered,
    tally: () => store.tally(),
    queued: () => store.queued(),
    outstanding: () => store.outstanding(100).length + store.openTails().length,
    step(action: Action): void {
      switch (action.do) {
        case "measure": {
          const readings = Array.from(
            { length: action.readings },
            (): Reading => ({
              series: "test.value",
              unit: "m",
              at: surroundings.now(),
              value: measured++,
              quality: "good",
            }),
          );
          store.accept(readings, action.priority, () => {
            for (const { value } of readings) accepted.add(value);
            uplink.readingsCommitted();
          });
          return;
        }
        case "wait":
          surroundings.advance(action.ms);
          return;
        case "batch": {
          const batch = toCoordinator.shift();
          if (!batch) return;
          if (action.fate === "is-late") toCoordinator.push(batch);
          if (action.fate === "arrives" || action.fate === "arrives-twice") deliver(batch);
          if (action.fate === "arrives-twice") deliver(batch);
          return;
        }
        case "receipt": {
          const receipt = toNode.shift();
          if (!receipt) return;
          if (action.fate === "is-late") toNode.push(receipt);
          if (action.fate === "arrives" || action.fate === "arrives-twice") uplink.receipt(receipt);
          if (action.fate === "arrives-twice") uplink.receipt(receipt);
          return;
        }
        case "connect":
          if (!connected) {
            connected = true;
            uplink.connected();
          }
          return;
        case "disconnect":
          if (connected) {
            connected = false;
            uplink.disconnected();
          }
          return;
        case "coordinator-offline":
          uplink.coordinatorIs("offline");
          return;
        case "coordinator-online":
          uplink.coordinatorIs("online");
          return;
        case "crash":
          // What was not committed is gone with the process; the file is as the last transaction left it.
          surroundings.dropTimers();
          store.kill();
          start();
          if (connected) uplink.connected();
      }
    },
    /** Everything works again, until nothing is left to do. */
    settle(): void {
      this.step({ do: "connect" });
      this.step({ do: "coordinator-online" });
      for (let round = 0; round < 2_000; round++) {
        while (toCoordinator.length > 0) this.step({ do: "batch", fate: "arrives" });
        while (toNode.length > 0) this.step({ do: "receipt", fate: "arrives" });
        surroundings.advance(1_000);
        const { results, telemetry } = store.queued();
        if (results + telemetry + this.outstanding() + toCoordinator.length + toNode.length > 0) continue;
        assert.equal(summarise(folder).unstated.batches, 0, "gaps are left behind");
        return;
      }
      assert.fail(
        `never settles: ${JSON.stringify({ queued: store.queued(), outstanding: store.outstanding(5), tails: store.openTails() })}`,
      );
    },
    end(): void {
      store.kill();
      rmSync(folder, { recursive: true });
    },
  };
}

function check(world: ReturnType<typeof createWorld>): void {
  const stored = world.ledger.readings.map(({ value }) => value);
  assert.equal(new Set(stored).size, stored.length, "a reading is in the ledger twice");
  const missing = [...world.accepted].filter((value) => !stored.includes(value)).length;
  const stated = world.ledger.dropped.reduce((sum, { readings }) => sum + readings, 0);
  assert.equal(stated, missing, "stated losses are the losses");
}

for (const [isShared, coordinators] of [
  [false, "one coordinator"],
  [true, "coordinators that share a node's batches"],
] as const) {
  test(`${coordinators}: every accepted reading ends in the ledger once or is stated as dropped, whatever is lost, repeated, late or crashes`, () => {
    fc.assert(
      fc.property(
        fc.array(action, { minLength: 10, maxLength: 120 }),
        fc.constantFrom(1_000_000, 1_600, 640),
        fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1, maxLength: 5 }),
        (actions, capBytes, chance) => {
          const world = createWorld(isShared, capBytes, chance, () => undefined);
          try {
            for (const action of [{ do: "connect" } as const, ...actions]) world.step(action);
            world.settle();
            check(world);
            if (capBytes === 1_000_000) assert.deepEqual(world.ledger.dropped, []);
          } finally {
            world.end();
          }
        },
      ),
      { numRuns: Number(process.env.RUNS ?? 60) },
    );
  });

  test(`${coordinators}: a batch that the coordinator refuses for good is set aside, stated, and everything else arrives`, () => {
    fc.assert(
      fc.property(
        fc.array(action, { minLength: 10, maxLength: 80 }),
        fc.integer({ min: 2, max: 9 }),
        (actions, modulus) => {
          const world = createWorld(isShared, 1_000_000, [0.5], (batch) =>
            batch.readings.length > 0 && batch.readings.some(({ value }) => value % (modulus * 10) === 0)
              ? "schema-mismatch"
              : undefined,
          );
          try {
            for (const action of [{ do: "connect" } as const, ...actions]) world.step(action);
            world.settle();
            check(world);
            assert.ok(world.ledger.dropped.every(({ reason }) => reason === "refused"));
          } finally {
            world.end();
          }
        },
      ),
      { numRuns: Number(process.env.RUNS ?? 40) },
    );
  });

  test(`${coordinators}: a ledger restored from an old backup wedges no node: what it lost is stated, what comes later arrives`, () => {
    fc.assert(
      fc.property(fc.array(action, { minLength: 10, maxLength: 60 }), fc.nat(10), (actions, back) => {
        const world = createWorld(isShared, 1_000_000, [0.5], () => undefined);
        try {
          for (const action of [{ do: "connect" } as const, ...actions]) world.step(action);
          world.settle();
          for (const boot of new Set(world.ledger.sequences.map((key) => key.slice(0, 32) as BootId)))
            world.ledger.forget(boot, Math.max(0, world.ledger.watermark(boot) - back));
          const before = world.ledger.readings.length;
          world.step({ do: "measure", readings: 25, priority: "results" });
          world.settle();
          assert.equal(world.ledger.readings.length, before + 25);
        } finally {
          world.end();
        }
      }),
      { numRuns: Number(process.env.RUNS ?? 30) },
    );
  });
}
