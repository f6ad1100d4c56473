/** The fleet's watch over the SQLite ledger, on a clock that moves when a test says so, with open pages that keep what they are sent. */
import type { TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { FleetView, LiveEvents, NodeId } from "@cairn/protocol";
import { type Fleet, startFleet } from "../src/act/fleet.ts";
import { nodeStatus } from "../src/decide/node-status.ts";
import type { Input, Ledger } from "../src/model.ts";
import { makeDevice } from "./devices.ts";
import { founding, slotTime } from "./founding.ts";
import { send } from "./ledger/admission.ts";
import { openTemporaryLedger } from "./temporary-ledger.ts";

export type FleetHouse = {
  readonly fleet: Fleet;
  readonly ledger: Ledger;
  /** What pages were sent: "fleet", or "node" with its id. */
  readonly sent: string[];
  readonly faults: string[];
  /** Pages that are open. */
  pages: number;
  /** Times that the view was asked for. */
  viewed: number;
  /** The ledger fails while this holds. */
  breaks: boolean;
  enrol(at?: number): Promise<NodeId>;
  /** Admits inputs and tells the fleet, as the pipeline does. */
  hear(...inputs: Input[]): Promise<void>;
  /** Moves the clock and lets the fleet do what is due; one second if nothing else is said. */
  tick(ms?: number): Promise<void>;
  states(...nodes: NodeId[]): Promise<(string | undefined)[]>;
};

export async function onFleet(t: TestContext, body: (house: FleetHouse) => Promise<void>): Promise<void> {
  t.mock.timers.enable({ apis: ["setInterval", "Date"], now: slotTime(0) });
  const { ledger, remove } = await openTemporaryLedger();
  const fleet = startFleet({
    ledger: {
      ...ledger,
      async nodes() {
        if (house.breaks) throw new Error("nodes broke");
        return ledger.nodes();
      },
    },
    time: founding.time,
    now: Date.now,
    judge: nodeStatus,
    async view() {
      house.viewed += 1;
      return { nodes: await ledger.nodes() } as unknown as FleetView;
    },
    live: {
      get size() {
        return house.pages;
      },
      send<E extends keyof LiveEvents>(event: E, data: LiveEvents[E]) {
        house.sent.push(event === "node" ? `node ${(data as LiveEvents["node"]).nodeId}` : event);
      },
    },
    fault: (error) => house.faults.push((error as Error).message),
  });
  const house: FleetHouse = {
    fleet,
    ledger,
    sent: [],
    faults: [],
    pages: 0,
    viewed: 0,
    breaks: false,
    async enrol(at = slotTime(0)) {
      const { nodeId, enrolment } = makeDevice();
      await ledger.enrol([enrolment], at);
      return nodeId;
    },
    async hear(...inputs) {
      await send(ledger, inputs);
      for (const { nodeId } of inputs) if (nodeId) fleet.heard(nodeId, 0);
    },
    async tick(ms = 1_000) {
      t.mock.timers.tick(ms);
      for (let turns = 0; turns < 10; turns++) await turn();
    },
    async states(...nodes) {
      const records = new Map((await ledger.nodes()).map(({ nodeId, status }) => [nodeId, status.state]));
      return nodes.map((nodeId) => records.get(nodeId));
    },
  };
  try {
    await body(house);
  } finally {
    await fleet.stop();
    t.mock.timers.reset();
    await remove();
  }
}
