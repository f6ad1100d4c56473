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
  /** Reads keys and beacons anew, together with whoever asks at the same time; at most four times a second. True when there was something new. */
  refresh(): Promise<boolean>;
  beaconsChanged(beacons: readonly Beacon[]): void;
};

const refreshEveryMs = 250;

/** Reads the ledger once before it returns. */
export async function openKnowledge(actions: KnowledgeActions): Promise<Knowledge> {
  const { ledger, time, judges } = actions;
  const keys = new Map<NodeId, KeyObject>();
  let nonces = "";
  let reading: Promise<boolean> | undefined;
  let readAt = Number.NEGATIVE_INFINITY;

  async function read(): Promise<boolean> {
    const added: [NodeId, string][] = [];
    for (const { nodeId, publicKey } of await ledger.nodes()) {
      if (keys.has(nodeId)) continue;
      keys.set(nodeId, publicKey);
      added.push([nodeId, publicKey.export({ format: "pem", type: "spki" }).toString()]);
    }
    if (added.length > 0) judges.setKeys(added);
    const oldest = Math.floor((actions.now() - time.genesisAt) / time.slotMs) - 2 * time.slotsPerEpoch;
    return takeBeacons(await ledger.slots(Math.max(0, oldest))) || added.length > 0;
  }

  function takeBeacons(rows: readonly (Beacon | SlotRow)[]): boolean {
    const seen = rows.map(({ nonce }) => nonce).join();
    if (seen === nonces) return false;
    nonces = seen;
    judges.setBeacons(
      rows.map(({ epoch, slot, nonce, opensAt, closesAt }) => ({ epoch, slot, nonce, opensAt, closesAt })),
    );
    return true;
  }

  function refresh(): Promise<boolean> {
    if (reading) return reading;
    const waitMs = Math.max(0, readAt + refreshEveryMs - performance.now());
    reading = (waitMs > 0 ? new Promise((resolve) => setTimeout(resolve, waitMs)) : Promise.resolve())
      .then(read)
      .finally(() => {
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
      const input = await judges.judge(arrival);
      if (!mayBeNew(input)) return input;
      return (await refresh()) ? judges.judge(arrival) : input;
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
