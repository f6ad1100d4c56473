/** What a connection that does nothing costs the coordinator with its embedded broker in memory, and what it costs bare aedes. */
import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fleetKeys, type Laboratory, openLaboratory } from "@cairn/localnet";
import { startChild } from "./child.ts";
import { cpuOf, residentKb } from "./cpu.ts";
import type { IdlePlan } from "./idle-load.ts";

export type IdleCost = {
  /** Per connection, between two states in which nothing is left to collect. */
  readonly kb: number;
  /** Of the second half of them alone: what is left of the start does not hide in it. */
  readonly laterKb: number;
  readonly connectUs: number;
  /** Resident before and after. `uncollected`: after, as V8 leaves it by itself. */
  readonly beforeMb: number;
  readonly afterMb: number;
  readonly uncollectedMb: number;
};

export type IdleCase = {
  coordinator(): Promise<IdleCost>;
  bareAedes(): Promise<IdleCost>;
  close(): Promise<void>;
};

const seed = "scale bench, idle";
const network = "local";
/** As localnet starts the coordinator: the young generation's spare room is no connection's. */
const flags = ["--max-semi-space-size=2", "--import", new URL("./idle-collect.ts", import.meta.url).href];
/** No slot ends while it is measured. */
const slotSeconds = 3_600;
/** Files beside sockets that a process has open. */
const otherFiles = 500;
/** Memory has settled when it moves by less than this share for so long. */
const settled = { share: 0.005, forMs: 2_000, withinMs: 20_000 };

/** Why this machine cannot hold so many connections; undefined when it can. */
export function connectionsMissing(connections: number): string | undefined {
  const limit = Number(spawnSync("sh", ["-c", "ulimit -n"], { encoding: "utf8" }).stdout);
  return Number.isNaN(limit) || limit >= connections + otherFiles
    ? undefined
    : `${connections} connections need ${connections + otherFiles} open files in a process, ulimit -n allows ${limit}`;
}

export async function openIdleCase(connections: number): Promise<IdleCase> {
  const laboratory = await openLaboratory({
    simulated: fleetKeys(seed, connections),
    coordinatorWrap: () => ({ args: flags }),
    slotSeconds,
  });

  /** Connects all to the process and takes the difference. */
  async function cost(pid: number, port: number): Promise<IdleCost> {
    await settledKb(pid);
    const before = await collectedKb(pid);
    const cpuBefore = cpuOf(pid);
    const plan: IdlePlan = { port, network, seed };
    const load = startChild(new URL("./idle-load.ts", import.meta.url), [JSON.stringify(plan)]);
    const half = connections >> 1;
    load.tell(`${half}`);
    await load.hear();
    const halfway = await collectedKb(pid);
    load.tell(`${connections}`);
    await load.hear();
    const connectUs = (cpuOf(pid) - cpuBefore) / connections;
    const uncollected = await settledKb(pid);
    const after = await collectedKb(pid);
    load.tell(`${connections}`);
    const { open } = await load.hear<{ open: number }>();
    await load.end();
    if (open !== connections) throw new Error(`only ${open} of ${connections} connections stayed open`);
    const mb = { beforeMb: before / 1024, afterMb: after / 1024, uncollectedMb: uncollected / 1024 };
    const laterKb = (after - halfway) / (connections - half);
    return { kb: (after - before) / connections, laterKb, connectUs, ...mb };
  }

  return {
    async coordinator() {
      const { coordinator, mqttPort } = laboratory;
      coordinator.start();
      await laboratory.coordinatorReady();
      const pid = coordinator.pid();
      if (pid === undefined) throw new Error("the coordinator does not run");
      const measured = await cost(pid, mqttPort).catch((cause: unknown) => {
        throw new Error(`the coordinator says:\n${logOf(laboratory)}`, { cause });
      });
      await coordinator.end("SIGTERM");
      return measured;
    },
    async bareAedes() {
      const bare = startChild(new URL("../coordinator/testing/bare-aedes.ts", import.meta.url), [], flags);
      const { port } = await bare.hear<{ port: number }>();
      const measured = await cost(bare.pid, port);
      await bare.end();
      return measured;
    },
    close: () => laboratory.close(),
  };
}

const logOf = (laboratory: Laboratory) => laboratory.log("coordinator").slice(-2_000);

async function collectedKb(pid: number): Promise<number> {
  process.kill(pid, "SIGUSR2");
  return settledKb(pid);
}

async function settledKb(pid: number): Promise<number> {
  const startedAt = performance.now();
  const seen: { at: number; kb: number }[] = [];
  for (;;) {
    const now = performance.now() - startedAt;
    const kb = residentKb(pid);
    seen.push({ at: now, kb });
    const late = seen.filter(({ at }) => at >= now - settled.forMs).map((each) => each.kb);
    const spread = Math.max(...late) - Math.min(...late);
    if (now >= settled.withinMs || (now >= settled.forMs && spread < settled.share * kb)) return kb;
    await sleep(250);
  }
}
