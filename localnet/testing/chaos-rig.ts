/**
 * A clustered network that things are done to: three NATS servers, PostgreSQL and three coordinators, each in a network namespace of its
 * own, and a simulated fleet. Faults are injected and healed by name; what they cost is counted from the outside, by the receipts that
 * nodes were given and by what the ledger holds.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ReplicasView } from "@cairn/protocol";
import {
  eventually,
  type Fleet,
  type FleetPlan,
  fleetRoster,
  type Laboratory,
  namespacesMissing,
  openJournal,
  openLaboratory,
  openNamespaces,
  quietShape,
  readJournal,
  startFleet,
} from "../src/laboratory.ts";

/** Those that leave the broker alone come first. */
export const faults = {
  "kill-database": "PostgreSQL is killed, and started again",
  "kill-coordinator": "the coordinator that keeps the slots is killed, and started again",
  "pause-coordinator":
    "the coordinator that keeps the slots is stopped (SIGSTOP) for longer than it holds a duty, and continued",
  "cut-database": "the line between the coordinator that keeps the slots and PostgreSQL is cut, and mended",
  "fill-disk": "the disk of the database is full, and has room again",
  "step-clock": "the clock of the coordinator that keeps the slots is stepped by a minute, and back",
  "cut-broker": "the lines between one coordinator and all NATS servers are cut, and mended",
  "kill-broker": "one NATS server is killed, and started again",
  "cut-cluster": "one NATS server is cut off from the two others, and comes back",
  "kill-brokers": "all NATS servers are killed at once, and started again",
} as const;
export type Fault = keyof typeof faults;

/** Two different faults at a time, drawn by the seed (mulberry32). */
export function combinationsOf(seed: string, count: number): Fault[][] {
  const names = Object.keys(faults) as Fault[];
  let state = [...seed].reduce((sum, letter) => (Math.imul(sum, 31) + letter.charCodeAt(0)) | 0, 7);
  const draw = (below: number) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
  return Array.from({ length: count }, () => {
    const one = names[draw(names.length)] as Fault;
    const others = names.filter(
      (name) => name !== one && !(name.endsWith("coordinator") && one.endsWith("coordinator")),
    );
    return [one, others[draw(others.length)] as Fault];
  });
}

export type RigPlan = {
  readonly seed: string;
  readonly nodes: number;
  readonly slotSeconds: number;
  readonly slotsPerEpoch: number;
  say(line: string): void;
};

export type Recovery = {
  readonly faults: readonly Fault[];
  /** From the injection until another coordinator held the slots, seconds; null where their holder was not hit. */
  readonly takeoverSeconds: number | null;
  /** From healing until every coordinator answers, every node is connected and nothing older than a few seconds waits for its receipt. */
  readonly recoverySeconds: number;
};

export type Tally = {
  /** Batches for which a node holds a receipt, and that the ledger does not have whole. */
  readonly lost: number;
  /** Batches that the ledger has more than once, and readings beyond those of its batches. */
  readonly doubled: number;
  readonly receipted: number;
  /** Batches that were made and have no receipt after the fleet had time to settle. */
  readonly unsettled: number;
  /** Refused inputs by code. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly epochs: readonly EpochFacts[];
};

/** An epoch as a twin can be compared with it. `roots`: the operators' node trees; `amounts`: what they earned in it. */
export type EpochFacts = {
  readonly epoch: number;
  readonly slotsVoid: number;
  /** Slots that count, in which a node is not credited, over all nodes. */
  readonly missed: number;
  readonly roots: readonly string[];
  readonly amounts: readonly string[];
};

export type Rig = {
  readonly laboratory: Laboratory;
  readonly fleet: Fleet;
  /** Injects the faults together, holds them, heals them, waits until all is well again. Throws when that takes too long. */
  strike(together: readonly Fault[], holdMs: number): Promise<Recovery>;
  epochsClosed(): Promise<number>;
  /** Waits for an epoch that begins from now on and in which every slot counts. Throws when none comes. */
  calm(): Promise<void>;
  /** Lets the fleet settle and compares what it was told with what is there. */
  tally(): Promise<Tally>;
  close(): Promise<void>;
};

const coordinators = 3;
const brokers = 3;
const recoverWithinMs = 180_000;
const settleMs = 120_000;
const calmWithinMs = 240_000;
const diskMegabytes = 700;
const faketime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/** Why this machine cannot run the rig; undefined when it can. */
export function rigMissing(): string | undefined {
  if (!existsSync(faketime)) return "the package faketime is not installed";
  return namespacesMissing();
}

export async function openRig(plan: RigPlan): Promise<Rig> {
  const { seed, nodes, say } = plan;
  const numbered = (what: string, count: number) => Array.from({ length: count }, (_, index) => `${what}-${index + 1}`);
  const names = ["chain", "postgres", ...numbered("broker", brokers), ...numbered("coordinator", coordinators)];
  const places = openNamespaces(names);
  const folder = mkdtempSync(join(tmpdir(), "cairn-chaos-"));
  // The database runs as a user of its own.
  chmodSync(folder, 0o711);
  const disk = join(folder, "disk");
  mkdirSync(disk);
  run("mount", "-t", "tmpfs", "-o", `size=${diskMegabytes}m,mode=0755`, "tmpfs", disk);
  const clocks = numbered("clock", coordinators).map((name) => join(folder, name));
  for (const clock of clocks) writeFileSync(clock, "+0");
  const journalFile = join(folder, "journal");
  const closing: (() => Promise<unknown> | unknown)[] = [
    () => rmSync(folder, { recursive: true, force: true }),
    () => run("umount", "--lazy", disk),
    places.close,
  ];
  let explain = () => {};
  const close = async () => {
    for (const step of closing.splice(0).reverse()) await step();
  };
  try {
    const laboratory = await openLaboratory({
      simulated: fleetRoster(seed, nodes, 2),
      ...{ places, coordinators, broker: "nats", brokerServers: brokers, ledger: "postgres", ledgerFolder: disk },
      slotSeconds: plan.slotSeconds,
      slotsPerEpoch: plan.slotsPerEpoch,
      coordinatorWrap: (index) => ({
        env: {
          LD_PRELOAD: faketime,
          FAKETIME_TIMESTAMP_FILE: clocks[index] ?? "",
          // Seconds: at every look at the clock it would cost more than what is measured by it.
          FAKETIME_CACHE_DURATION: "1",
          FAKETIME_DONT_FAKE_MONOTONIC: "1",
          DONT_FAKE_MONOTONIC: "1",
        },
      }),
    });
    closing.push(() => laboratory.close());
    explain = () => {
      for (const { name } of laboratory.coordinators) say(`log of ${name}:\n${troublesIn(laboratory.log(name))}`);
    };
    const down = new Set<string>();
    for (const coordinator of laboratory.coordinators) coordinator.start();
    // As a service unit does: what has ended by itself is started again.
    const supervisor = setInterval(() => {
      for (const coordinator of laboratory.coordinators) {
        if (coordinator.isRunning() || down.has(coordinator.name)) continue;
        say(
          `${coordinator.name} has ended by itself and is started again:\n${troublesIn(laboratory.log(coordinator.name))}`,
        );
        coordinator.start();
      }
    }, 1_000);
    closing.push(() => clearInterval(supervisor));
    await Promise.all(laboratory.coordinators.map((coordinator) => coordinator.ready()));
    const journal = openJournal(journalFile);
    const fleet = await startFleet({
      // A batch well within every slot: a node that is there is credited with work in each.
      shape: {
        ...quietShape,
        seed,
        nodes,
        joinMs: 15_000,
        readingsPerBatch: 5,
        batchMs: (plan.slotSeconds * 1000) / 2,
      },
      ...accessTo(laboratory),
      journal,
    });
    closing.push(() => fleet.stop());
    const rig = { plan, laboratory, fleet, places, clocks, disk, down };
    await well(rig);
    say(`${nodes} nodes are connected to ${brokers} brokers, ${coordinators} coordinators are well`);
    return {
      laboratory,
      fleet,
      strike: (together, holdMs) => strike(rig, together, holdMs),
      epochsClosed: async () => (await facts(laboratory)).length,
      async calm() {
        const running = ((await facts(laboratory)).at(-1)?.epoch ?? 0) + 1;
        await eventually("an epoch in which every slot counts", calmWithinMs, async () =>
          (await facts(laboratory)).find(({ epoch, slotsVoid }) => epoch > running && slotsVoid === 0),
        );
      },
      async tally() {
        const counts = await fleet.settle(settleMs);
        await journal.close();
        return tally(laboratory, journalFile, counts.backlogBatches);
      },
      close,
    };
  } catch (error) {
    explain();
    await close();
    throw error;
  }
}

/** How a fleet finds the laboratory's brokers and signs in there. */
export function accessTo(laboratory: Laboratory): Pick<FleetPlan, "network" | "brokers" | "login"> {
  return {
    network: laboratory.network(),
    brokers: laboratory.nodeUrls.map((url) => {
      const { hostname: host, port } = new URL(url);
      return { host, port: Number(port), tls: false };
    }),
    login: (nodeId) => JSON.parse(readFileSync(join(laboratory.logins ?? "", `${nodeId}.json`), "utf8")),
  };
}

/** The last lines of a log that tell of trouble, or its end. */
export function troublesIn(log: string): string {
  const lines = log.split("\n").filter((line) => line !== "" && !line.includes('"level":30'));
  return lines.slice(-12).join("\n").slice(-4_000) || log.slice(-1_000);
}

type Parts = {
  readonly plan: RigPlan;
  readonly laboratory: Laboratory;
  readonly fleet: Fleet;
  readonly places: ReturnType<typeof openNamespaces>;
  readonly clocks: readonly string[];
  readonly disk: string;
  /** Names of coordinators that are meant to be down. */
  readonly down: Set<string>;
};

/** What a fault did, and how it is taken back. `hit`: index of the coordinator that kept the slots, where it was hit. */
type Injected = { readonly hit?: number; heal(): Promise<unknown> | unknown };

async function strike(rig: Parts, together: readonly Fault[], holdMs: number): Promise<Recovery> {
  const { say } = rig.plan;
  const holder = await slotKeeper(rig);
  const injected: Injected[] = [];
  const injectedAt = performance.now();
  for (const fault of together) injected.push(await inject(rig, fault, holder));
  const hit = injected.some((each) => each.hit === holder);
  const takeover = hit ? takenOver(rig, holder, injectedAt) : Promise.resolve(null);
  const [takeoverSeconds] = await Promise.all([takeover, sleep(holdMs)]);
  const healedAt = performance.now();
  for (const { heal } of injected.reverse()) await heal();
  await well(rig);
  const recoverySeconds = (performance.now() - healedAt) / 1000;
  const taken = takeoverSeconds === null ? "" : `, slots taken over after ${takeoverSeconds.toFixed(1)} s`;
  say(`${together.join(" + ")}: recovered ${recoverySeconds.toFixed(1)} s after it was healed${taken}`);
  return { faults: together, takeoverSeconds, recoverySeconds };
}

async function inject(rig: Parts, fault: Fault, holder: number): Promise<Injected> {
  const { laboratory, places, clocks, disk, down } = rig;
  const { coordinators: all, brokers: servers, postgres } = laboratory;
  const coordinator = all[holder];
  const place = `coordinator-${holder + 1}`;
  if (!coordinator || !postgres) throw new Error("the rig is not whole");
  switch (fault) {
    case "kill-broker": {
      const server = servers[holder % brokers];
      await server?.end("SIGKILL");
      return { heal: () => server?.start() };
    }
    case "kill-brokers":
      await Promise.all(servers.map((server) => server.end("SIGKILL")));
      return { heal: () => Promise.all(servers.map((server) => server.start())) };
    case "kill-database":
      await postgres.server.kill();
      return { heal: () => postgres.server.start() };
    case "kill-coordinator":
      down.add(coordinator.name);
      await coordinator.end("SIGKILL");
      return {
        hit: holder,
        heal() {
          coordinator.start();
          down.delete(coordinator.name);
        },
      };
    case "pause-coordinator":
      coordinator.signal("SIGSTOP");
      return { hit: holder, heal: () => coordinator.signal("SIGCONT") };
    case "cut-database":
      places.cut(place, "postgres");
      return { hit: holder, heal: () => places.mend(place, "postgres") };
    case "cut-broker": {
      const lines = servers.map((_, index) => `broker-${index + 1}`);
      for (const broker of lines) places.cut(place, broker);
      return {
        heal() {
          for (const broker of lines) places.mend(place, broker);
        },
      };
    }
    case "cut-cluster":
      for (const other of ["broker-2", "broker-3"]) places.cut("broker-1", other);
      return {
        heal() {
          for (const other of ["broker-2", "broker-3"]) places.mend("broker-1", other);
        },
      };
    case "fill-disk": {
      const filler = join(disk, "filler");
      spawnSync("dd", ["if=/dev/zero", `of=${filler}`, "bs=1M"], { encoding: "utf8" });
      return {
        async heal() {
          rmSync(filler);
          // A server that could not write its log has ended by itself.
          await postgres.server.stop();
          await postgres.server.start();
        },
      };
    }
    case "step-clock": {
      const clock = clocks[holder] ?? "";
      writeFileSync(clock, "+60");
      return { heal: () => writeFileSync(clock, "+0") };
    }
  }
}

/** Index of the coordinator that holds the duty of the slots. */
async function slotKeeper({ laboratory }: Parts): Promise<number> {
  return eventually("a coordinator keeps the slots", 30_000, async () => {
    const holder = await holderOf(laboratory);
    return holder === undefined || holder < 0 ? undefined : holder;
  });
}

async function holderOf({ coordinators: all }: Laboratory): Promise<number | undefined> {
  for (const { base } of all) {
    const view = await ask<ReplicasView>(`${base}/api/v1/replicas`);
    const duty = view?.duties.find(({ duty }) => duty === "verifier");
    const seen = Math.max(0, ...(view?.replicas ?? []).map(({ seenAt }) => seenAt));
    if (duty && duty.until >= seen) return all.findIndex(({ name }) => duty.holder.split("/")[0] === name);
  }
  return undefined;
}

async function takenOver({ laboratory }: Parts, from: number, since: number): Promise<number> {
  await eventually("another coordinator keeps the slots", 60_000, async () => {
    const holder = await holderOf(laboratory);
    return holder !== undefined && holder !== from ? true : undefined;
  });
  return (performance.now() - since) / 1000;
}

async function ask<T>(url: string): Promise<T | undefined> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    return answer.ok ? ((await answer.json()) as T) : undefined;
  } catch {
    return undefined;
  }
}

/** Every coordinator answers, every node is connected, and what is under way is only what was made a moment ago. */
async function well({ laboratory, fleet, plan }: Parts): Promise<void> {
  await eventually("everything is well", recoverWithinMs, async () => {
    for (const { base } of laboratory.coordinators) if (!(await ask(`${base}/api/v1/health`))) return undefined;
    const { connected, backlogBatches } = fleet.counts();
    return connected === plan.nodes && backlogBatches <= plan.nodes ? true : undefined;
  });
}

type BatchRow = {
  readonly node_id: string;
  readonly boot: string;
  readonly sequence: string;
  readonly readings: string;
  readonly count: string;
};

/** What the fleet's journal says it was told, compared with what the ledger holds. */
export async function tally(laboratory: Laboratory, journalFile: string, unsettled: number): Promise<Tally> {
  const { postgres } = laboratory;
  if (!postgres) throw new Error("the rig has no database");
  const query = <Row>(text: string) => postgres.server.query<Row>(postgres.url, text);
  const stored = await query<BatchRow>(
    `select node.node_id, batch.boot, batch.sequence, min(batch.readings) as readings, count(*) from batch join node on node.id = batch.node
     group by node.node_id, batch.boot, batch.sequence`,
  );
  const inLedger = new Map(
    stored.map(({ node_id, boot, sequence, readings }) => [`${node_id} ${boot} ${sequence}`, Number(readings)]),
  );
  const receipts = readJournal(journalFile).filter(({ event }) => event === "receipted");
  const lost = receipts.filter(
    ({ node, boot, sequence, readings }) => inLedger.get(`${node} ${boot} ${sequence}`) !== readings,
  );
  const twice = stored.filter(({ count }) => Number(count) > 1);
  const [sums] = await query<{ readings: string; stated: string }>(
    "select (select count(*) from reading) as readings, (select sum(readings) from batch) as stated",
  );
  return {
    lost: lost.length,
    doubled: twice.length + Math.abs(Number(sums?.readings ?? 0) - Number(sums?.stated ?? 0)),
    receipted: receipts.length,
    unsettled,
    refusals: Object.fromEntries(
      (
        await query<{ code: string; count: string }>(
          "select code, sum(count) as count from rejection_count group by code",
        )
      ).map(({ code, count }) => [code, Number(count)]),
    ),
    epochs: await facts(laboratory),
  };
}

async function facts({ postgres }: Laboratory): Promise<EpochFacts[]> {
  if (!postgres) throw new Error("the rig has no database");
  const rows = await postgres.server.query<{
    epoch: string;
    slots_void: number;
    missed: string;
    roots: string[];
    amounts: string[];
  }>(
    postgres.url,
    `select epoch.epoch, epoch.slots_void,
       (select sum(slots_expected - epoch_node.slots_void - slots_attested) from epoch_node where epoch_node.epoch = epoch.epoch) as missed,
       (select array_agg(nodes_root order by operator) from epoch_operator where epoch_operator.epoch = epoch.epoch) as roots,
       (select array_agg(amount order by operator) from epoch_operator where epoch_operator.epoch = epoch.epoch) as amounts
     from epoch order by epoch.epoch`,
  );
  return rows.map((row) => ({
    epoch: Number(row.epoch),
    slotsVoid: Number(row.slots_void),
    missed: Number(row.missed ?? 0),
    roots: row.roots ?? [],
    amounts: row.amounts ?? [],
  }));
}

function run(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr.trim()}`);
}
