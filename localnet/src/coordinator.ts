/** The coordinator as a process, and what the launcher asks it over its HTTP interface. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { checker, type EpochRow, EpochsView, FleetView, HealthView, NetworkView } from "@cairn/protocol";
import { LocalnetFault } from "./fault.ts";
import type { Program } from "./processes.ts";
import type { Shape } from "./shape.ts";

export const networkName = "local";
/** The most the interface gives in one answer. */
const epochsAsked = 1_000;
const answerWithinMs = 5_000;
/** V8's default of 16 MB serves thousands of nodes; here it would be some 25 MB of memory that stays unused. */
const youngGeneration = "--max-semi-space-size=2";
const reconnect = { firstMs: 250, ceilingMs: 5_000 };

/** Where the coordinator keeps what, below the data folder. */
export function coordinatorFiles(data: string) {
  const folder = join(data, "coordinator");
  return {
    folder,
    verifierKey: join(folder, "verifier.key"),
    settlementKey: join(folder, "settlement.key"),
    /** Written by the coordinator. */
    network: join(folder, "network.json"),
  };
}

export type CoordinatorPlan = {
  readonly program: string;
  readonly data: string;
  readonly shape: Shape;
  readonly rpc: string;
  readonly mqttPort: number;
  readonly httpPort: number;
  readonly deploymentFile: string;
  readonly rosterFile: string;
  readonly webFolder: string;
};

export function coordinatorProgram(plan: CoordinatorPlan): Program {
  const files = coordinatorFiles(plan.data);
  return {
    name: "coordinator",
    command: process.execPath,
    args: [
      youngGeneration,
      plan.program,
      ...["--data", files.folder],
      ...["--network", networkName],
      ...["--mqtt-port", `${plan.mqttPort}`],
      ...["--http-port", `${plan.httpPort}`],
      ...["--rpc", plan.rpc],
      ...["--deployment", plan.deploymentFile],
      ...["--roster", plan.rosterFile],
      ...["--verifier-key", files.verifierKey],
      ...["--settlement-key", files.settlementKey],
      ...["--slot-seconds", `${plan.shape.slotSeconds}`],
      ...["--slots-per-epoch", `${plan.shape.slotsPerEpoch}`],
      ...["--web-dir", plan.webFolder],
      "--exit-with-parent",
    ],
    stopBy: "signal",
  };
}

export type CoordinatorClient = {
  health(): Promise<HealthView>;
  network(): Promise<NetworkView>;
  fleet(): Promise<FleetView>;
  /** The latest epochs, oldest first. */
  epochs(): Promise<readonly EpochRow[]>;
  /**
   * Calls back whenever the state of an epoch may have changed, and once after every (re)connection. Resolves when `signal` aborts;
   * an absent coordinator is waited for.
   */
  watchEpochs(changed: () => Promise<void>, signal: AbortSignal): Promise<void>;
};

/** @param base address of the HTTP interface, `http://127.0.0.1:8080` */
export function coordinatorClient(base: string): CoordinatorClient {
  const ask = async <T>(path: string, check: (value: unknown) => { ok: boolean; value?: T }): Promise<T> => {
    const answer = await fetch(`${base}/api/v1/${path}`, { signal: AbortSignal.timeout(answerWithinMs) });
    const { ok, value } = check(await answer.json());
    if (ok && value !== undefined) return value;
    throw new LocalnetFault("part-broken", `the coordinator's answer to ${path} does not fit`, "see its log");
  };
  const checks = {
    health: checker("health", HealthView),
    network: checker("network", NetworkView),
    fleet: checker("fleet", FleetView),
    epochs: checker("epochs", EpochsView),
  };
  return {
    health: () => ask("health", checks.health),
    network: () => ask("network", checks.network),
    fleet: () => ask("fleet", checks.fleet),
    async epochs() {
      const { epochs } = await ask(`epochs?limit=${epochsAsked}`, checks.epochs);
      return epochs.toSorted((a, b) => a.epoch - b.epoch);
    },
    async watchEpochs(changed, signal) {
      let failures = 0;
      while (!signal.aborted) {
        try {
          const stream = await fetch(`${base}/api/v1/events`, { signal });
          await changed();
          failures = 0;
          for await (const name of eventNames(stream)) if (name === "epoch") await changed();
        } catch {
          failures += 1;
        }
        const wait = Math.min(reconnect.firstMs * 2 ** failures, reconnect.ceilingMs) * (0.5 + Math.random() / 2);
        await sleep(wait, undefined, { signal }).catch(() => undefined);
      }
    },
  };
}

/** Names of the events of a stream (text/event-stream, WHATWG HTML section 9.2), each when it is complete. */
export async function* eventNames(answer: Response): AsyncGenerator<string> {
  if (!answer.ok || answer.body === null) throw new Error(`no events: status ${answer.status}`);
  let rest = "";
  let name = "";
  for await (const text of answer.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split(/\r?\n/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("event:")) name = line.slice("event:".length).trim();
      if (line !== "" || name === "") continue;
      yield name;
      name = "";
    }
  }
}

/** Resolves when the coordinator says that it is well. Throws LocalnetFault `part-broken` after `withinMs`. */
export async function awaitHealth(client: CoordinatorClient, withinMs: number): Promise<HealthView> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    try {
      return await client.health();
    } catch (cause) {
      if (performance.now() > deadline)
        throw new LocalnetFault("part-broken", `the coordinator is not up after ${withinMs / 1_000} s`, "see its log", {
          cause,
        });
    }
    await sleep(100);
  }
}
