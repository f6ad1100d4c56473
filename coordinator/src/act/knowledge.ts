/**
 * What judging knows of the ledger: the keys of enrolled nodes and the beacons that evidence may answer. Another replica may have
 * enrolled a node or opened a slot a moment ago: an arrival that names what is unknown here has it looked up, and is judged again.
 */
import type { KeyObject } from "node:crypto";
import type { Beacon, NodeId, SlotTime } from "@cairn/protocol";
import type { Arrival, Input, Ledger, SlotRow } from "../model.ts";

export type KnowledgeActions = {
  readonly ledger: Pick<Ledger, "nodes" | "slots">;
  readonly time: SlotTime;
  now(): number;
  readonly judges: {
    judge(arrival: Arrival): Promise<Input>;
    setKeys(keys: readonly (readonly [NodeId, string])[]): void;
    setBeacons(beacons: readonly Beacon[]): void;
  };
};

export type Knowledge = {
  keyOf(nodeId: NodeId): KeyObject | undefined;
  judge(arrival: Arrival): Promise<Input>;
  /** Looks the node's key up in the ledger when it is not known here. */
  find(nodeId: NodeId): Promise<KeyObject | undefined>;
  /** Reads keys and beacons as they are from now on, together with whoever asks at the same time; at most four times a second. */
  refresh(): Promise<void>;
  beaconsChanged(beacons: readonly Beacon[]): void;
};

const refreshEveryMs = 250;
/** Times that an arrival is judged, while what is known changes under it. */
const mostLooks = 4;

/** Reads the ledger once before it returns. */
export async function openKnowledge(actions: KnowledgeActions): Promise<Knowledge> {
  const { ledger, time, judges } = actions;
  const keys = new Map<NodeId, KeyObject>();
  let nonces = "";
  /** Rises whenever something new is known. */
  let version = 0;
  let reading: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  /** Whether the ledger is being read, and not only waited for. */
  let looking = false;
  let readAt = Number.NEGATIVE_INFINITY;

  async function read(): Promise<void> {
    const added: [NodeId, string][] = [];
    for (const { nodeId, publicKey } of await ledger.nodes()) {
      if (keys.has(nodeId)) continue;
      keys.set(nodeId, publicKey);
      added.push([nodeId, publicKey.export({ format: "pem", type: "spki" }).toString()]);
    }
    if (added.length > 0) {
      judges.setKeys(added);
      version += 1;
    }
    const oldest = Math.floor((actions.now() - time.genesisAt) / time.slotMs) - 2 * time.slotsPerEpoch;
    takeBeacons(await ledger.slots(Math.max(0, oldest)));
  }

  function takeBeacons(rows: readonly (Beacon | SlotRow)[]): void {
    const seen = rows.map(({ nonce }) => nonce).join();
    if (seen === nonces) return;
    nonces = seen;
    version += 1;
    judges.setBeacons(
      rows.map(({ epoch, slot, nonce, opensAt, closesAt }) => ({ epoch, slot, nonce, opensAt, closesAt })),
    );
  }

  /** A look that has begun already may have missed what whoever asks now is after. */
  function refresh(): Promise<void> {
    if (!reading) return begin();
    if (!looking) return reading;
    next ??= reading
      .catch(() => {})
      .then(() => {
        next = undefined;
        return begin();
      });
    return next;
  }

  function begin(): Promise<void> {
    const waitMs = Math.max(0, readAt + refreshEveryMs - performance.now());
    reading = (waitMs > 0 ? new Promise<void>((resolve) => setTimeout(resolve, waitMs)) : Promise.resolve())
      .then(() => {
        looking = true;
        return read();
      })
      .finally(() => {
        looking = false;
        readAt = performance.now();
        reading = undefined;
      });
    return reading;
  }

  await refresh();
  return {
    keyOf: (nodeId) => keys.get(nodeId),
    refresh,
    async judge(arrival) {
      for (let look = 1; ; look++) {
        const seen = version;
        const input = await judges.judge(arrival);
        if (!mayBeNew(input) || look === mostLooks) return input;
        if (version === seen) await refresh();
        if (version === seen) return input;
      }
    },
    async find(nodeId) {
      if (!keys.has(nodeId)) await refresh();
      return keys.get(nodeId);
    },
    beaconsChanged(beacons) {
      takeBeacons(beacons);
    },
  };
}

function mayBeNew(input: Input): boolean {
  return (
    input.kind === "refused" && (input.rejection.code === "key-unknown" || input.rejection.code === "nonce-unknown")
  );
}
