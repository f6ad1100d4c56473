/** The fleet's watch over the SQLite ledger, on a clock that moves when a test says so, with open pages that keep what they are sent. */
import type { TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { FleetView, LiveEvents, NodeId } from "@cairn/protocol";
import { type Fleet, startFleet } from "../src/act/fleet.ts";
import { nodeStatus } from "../src/decide/node-status.ts";
import type { Input, Ledger } from "../src/model.ts";
import { epochRow, rejectionsView } from "../src/wire/views.ts";
import { makeDevice } from "./devices.ts";
import { founding, slotTime } from "./founding.ts";
import { send } from "./ledger/admission.ts";
import { openTemporaryLedger } from "./temporary-ledger.ts";

export type FleetHouse = {
  readonly fleet: Fleet;
  readonly ledger: Ledger;
  /** What pages were sent: "fleet", "node" with its id, "epoch" with its number and state, "readings" with their values, "rejections". */
  readonly sent: string[];
  readonly faults: string[];
  /** Pages that are open, and the nodes whose readings they look at. */
  pages: number;
  watched: NodeId[];
  /** Times that the view was asked for. */
  viewed: number;
  /** The ledger fails while this holds. */
  breaks: boolean;
  enrol(at?: number): Promise<NodeId>;
  /** Admits inputs, as whichever replica does. */
  hear(...inputs: Input[]): Promise<void>;
  /** Moves the clock and lets the fleet do what is due; one second if nothing else is said. */
  tick(ms?: number): Promise<void>;
  states(...nodes: NodeId[]): Promise<(string | undefined)[]>;
};

export async function onFleet(t: TestContext, body: (house: FleetHouse) => Promise<void>): Promise<void> {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: slotTime(0) });
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
    steadyNow: Date.now,
    judge: nodeStatus,
    async view() {
      house.viewed += 1;
      return { nodes: await ledger.nodes() } as unknown as FleetView;
    },
    epochRow: (record) => epochRow(record, founding.time),
    rejections: async () => rejectionsView(await ledger.rejectionCounts(), []),
    live: {
      get size() {
        return house.pages;
      },
      watched: () => house.watched,
      send<E extends keyof LiveEvents>(event: E, data: LiveEvents[E]) {
        house.sent.push(describe(event, data));
      },
    },
    fault: (error) => house.faults.push((error as Error).message),
  });
  fleet.keepStates(ledger.setStatus);
  const house: FleetHouse = {
    fleet,
    ledger,
    sent: [],
    faults: [],
    pages: 0,
    watched: [],
    viewed: 0,
    breaks: false,
    async enrol(at = slotTime(0)) {
      const { nodeId, enrolment } = makeDevice();
      await ledger.enrol([enrolment], at);
      return nodeId;
    },
    async hear(...inputs) {
      await send(ledger, inputs);
    },
    async tick(ms = 1_000) {
      t.mock.timers.tick(ms);
      for (let turns = 0; turns < 100; turns++) await turn();
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

function describe<E extends keyof LiveEvents>(event: E, data: LiveEvents[E]): string {
  if (event === "node") return `node ${(data as LiveEvents["node"]).nodeId}`;
  if (event === "epoch") {
    const { epoch, state } = data as LiveEvents["epoch"];
    return `epoch ${epoch} ${state}`;
  }
  if (event === "readings")
    return `readings ${(data as LiveEvents["readings"]).series.map(({ series, value }) => `${series}=${value}`).join()}`;
  return event;
}
