/**
 * The coordinator on one page: what comes in, how it is judged, where it is written, what is decided and who carries it out.
 *
 *   ingest    broker -> ingest queue -> admission (validate, order) -> ledger -> storage receipts
 *   verifier  clock -> slot steps -> beacons, slot receipts -> epoch close
 *   settler   epoch on its way -> settlement steps -> chain
 *   placer    ledger -> states of nodes
 *   api       ledger -> views -> HTTP interface and live pages
 *
 * A replica does what its roles say. What one replica alone may do at a time is a duty, held by a lease in the ledger.
 */
import { type KeyObject, randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import { type Address, type NodeId, type Rejection, signerOf, topicsOf } from "@cairn/protocol";
import type { Logger } from "pino";
import { startDuties } from "./act/duties.ts";
import { startFleet } from "./act/fleet.ts";
import { createIngestQueue } from "./act/ingest-queue.ts";
import { startJudges } from "./act/judges.ts";
import { openKnowledge } from "./act/knowledge.ts";
import { startNetworkClock } from "./act/network-clock.ts";
import { createPenalties } from "./act/penalties.ts";
import { judgeCompany, startReplicas } from "./act/replicas.ts";
import { startSettlement } from "./act/settlement.ts";
import { sendStorageReceipts, storageReceipts } from "./act/storage-receipts.ts";
import { startVerifier } from "./act/verifier.ts";
import { closeEpoch } from "./decide/epoch-close.ts";
import { nodeStatus } from "./decide/node-status.ts";
import { orderRules, sharedOrderRules } from "./decide/order.ts";
import { settlementStep } from "./decide/settlement.ts";
import { slotSteps } from "./decide/slots.ts";
import { CoordinatorFault } from "./fault.ts";
import type { BrokerKind, Enrolment, Fence, Founding, Input, Ledger, Retention, Role, Verdict } from "./model.ts";
import { judgeConnect, refusedInput, unstorableInput } from "./validate/admission.ts";
import type { Broker, BrokerListener } from "./wire/broker.ts";
import type { Chain } from "./wire/chain-rpc.ts";
import { startHttpApi } from "./wire/http-api.ts";
import { createLiveHub } from "./wire/live-events.ts";
import { pause } from "./wire/reconnect.ts";
import { createViews, epochRow } from "./wire/views.ts";

export type Edges = {
  readonly founding: Founding;
  readonly roles: readonly Role[];
  /** This replica's name, another one on each. */
  readonly replica: string;
  readonly ledger: Ledger;
  readonly coordinatorKey: KeyObject;
  /** Of the roles verifier and settler. */
  readonly verifier: { readonly address: Address; readonly key: Uint8Array } | undefined;
  /** Of the role settler. */
  readonly chain: Chain | undefined;
  readonly software: string;
  /** `takesIn`: whether messages of nodes are wanted here. */
  openBroker(listener: BrokerListener, now: () => number, takesIn: boolean): Promise<Broker>;
  /** With the embedded one this coordinator is alone; else others may take in what this one waits for. */
  readonly brokerKind: BrokerKind;
  readonly dutyMs: number;
  readonly listen: { host: string; httpPort: number; webDir: string | undefined };
  readonly retention: Retention;
  readonly log: Logger;
  /** A part without which nothing goes on has died: end the process, its supervisor starts it again. */
  broken(error: unknown): void;
  random(): number;
};

export type Pipeline = {
  /** Of the embedded broker. */
  readonly mqttPort: number | undefined;
  readonly httpUrl: string | undefined;
  enrol(nodes: readonly Enrolment[]): Promise<void>;
  stop(): Promise<void>;
};

const judgeThread = new URL("./admission-thread.ts", import.meta.url);
/** One core serves the sockets and the ledger; the others, four at most, judge when there is so much to judge. */
const mostJudges = Math.min(4, Math.max(1, availableParallelism() - 1));
const mostPages = 200;
const pruneEveryMs = 60_000;
/** Nodes were back 12 to 17 s after a server of a NATS cluster was killed; their back-off adds some. */
const nodesReturnMs = 20_000;

const steadyNow = () => performance.now();

export async function startPipeline(edges: Edges): Promise<Pipeline> {
  const { founding, ledger, chain, log, verifier } = edges;
  const { network, time, parameters } = founding;
  const domain = { chainId: founding.chainId, verifyingContract: founding.rewards };
  const topics = topicsOf(network);
  const signer = signerOf(edges.coordinatorKey);
  const penalties = createPenalties();
  const live = createLiveHub(mostPages);
  const fault = (part: string) => (err: unknown) => log.error({ err, part }, "failed, will be tried again");
  const does = (role: Role) => edges.roles.includes(role);
  const isShared = edges.brokerKind !== "embedded";
  const clock = await startNetworkClock(ledger, steadyNow);
  const { now } = clock;

  const judges = startJudges(judgeThread, mostJudges, { time }, edges.broken);
  const knowledge = await openKnowledge({ ledger, time, now, judges });
  const queue = createIngestQueue({
    now,
    judge: knowledge.judge,
    admit: (inputs) => ledger.admit(inputs, isShared ? sharedOrderRules : orderRules),
    isInputs: (error) => error instanceof CoordinatorFault && error.code === "input-unstorable",
    unstorable: unstorableInput,
    admitted,
    fault: fault("ingest"),
  });

  function admitted(inputs: readonly Input[], verdicts: readonly Verdict[]): void {
    const receipts = storageReceipts(inputs, verdicts);
    sendStorageReceipts(receipts, signer, (nodeId, payload) => broker?.publish(topics.receipt(nodeId), payload));
    for (const [index, input] of inputs.entries()) {
      const rejection = verdicts[index]?.rejection;
      if (rejection) punish(input, rejection);
    }
  }

  function punish({ nodeId, topic }: Input, rejection: Rejection): void {
    log.info({ nodeId, topic, ...rejection }, "refused");
    if (!nodeId || !penalties.note(nodeId, rejection.code, now())) return;
    broker?.disconnect(nodeId);
    refuse(nodeId, topic, Buffer.alloc(0), { code: "rate-exceeded", detail: `the last refusal was ${rejection.code}` });
  }

  const refuse: BrokerListener["refused"] = (sender, topic, payload, rejection, committed) => {
    queue.pushJudged(refusedInput({ sender, topic, payload, receivedAt: now() }, rejection), committed);
  };

  const listener: BrokerListener = {
    async authenticate(connect) {
      if (penalties.isShut(connect.clientId, now()))
        return { code: "rate-exceeded", detail: `${connect.clientId} is shut out for ten seconds` };
      await knowledge.find(connect.clientId as NodeId);
      return judgeConnect(connect, network, now(), knowledge.keyOf);
    },
    arrived(arrival, committed) {
      if (!penalties.isShut(arrival.sender, now())) return queue.push(arrival, committed);
      // A broker that keeps the line open is told that this is done with: what a sender repeats while it is shut out is not looked at.
      penalties.ignored += 1;
      committed?.();
      return undefined;
    },
    refused: refuse,
  };
  let undisturbedSince: number | null = null;
  // A name that two replicas were given by mistake must not make them one holder of a duty; one that runs alone takes up where it ended.
  const instance = isShared ? `${edges.replica}/${randomBytes(4).toString("hex")}` : edges.replica;
  const replica = { name: instance, roles: edges.roles, software: edges.software, broker: edges.brokerKind };
  await judgeCompany(ledger, replica);
  const broker = does("ingest") || does("verifier") ? await edges.openBroker(listener, now, does("ingest")) : undefined;

  const replicas = startReplicas({
    ledger,
    replica,
    heldMs: broker?.heldForAbsentMs ?? 0,
    committedBefore: () => (does("ingest") ? (queue.oldestAt ?? now()) : null),
    beat: clock.sync,
    fault: fault("replica"),
  });
  const duties = startDuties({
    ledger,
    holder: instance,
    forMs: edges.dutyMs,
    taken: (duty, token) => log.info({ duty, token }, "duty taken"),
    lost: (duty) => log.warn({ duty }, "duty lost: another replica has it, or nobody renewed it in time"),
    fault: fault("duties"),
  });
  const dutyFault = (fence: Fence, part: string) => (error: unknown) => {
    if (!duties.noteFailure(fence, error)) fault(part)(error);
  };

  const views = createViews({
    ledger,
    now,
    founding,
    software: edges.software,
    perMinute: (nodeId) => fleet.readingsPerMinute(nodeId),
    isReceiving: () => broker === undefined || receivingSince() !== null,
    queue: () => ({ depth: queue.depth, shed: queue.shed + penalties.ignored }),
  });
  const fleet = startFleet({
    ledger,
    time,
    now,
    steadyNow,
    judge: nodeStatus,
    view: views.fleet,
    epochRow: (record) => epochRow(record, time),
    rejections: views.rejections,
    live,
    fault: fault("fleet"),
  });

  if (does("placer"))
    duties.seek("placer", async (fence) => ({ stop: fleet.keepStates(ledger.under(fence).setStatus) }));

  let nudgeSettler = () => {};
  if (does("settler") && chain && verifier)
    duties.seek("settler", async (fence) => {
      const settler = startSettlement({
        ledger: { ...ledger, ...ledger.under(fence) },
        chain,
        domain,
        verifierKey: verifier.key,
        now,
        random: edges.random,
        step: settlementStep,
        epochChanged: logEpoch,
        fault: dutyFault(fence, "settlement"),
      });
      nudgeSettler = settler.nudge;
      return settler;
    });

  if (does("verifier") && verifier && broker)
    duties.seek("verifier", (fence) =>
      startVerifier({
        ledger: { ...ledger, ...ledger.under(fence) },
        time,
        domain,
        verifier,
        now,
        steps: slotSteps,
        outcomeOf: (facts) => closeEpoch(facts, parameters),
        receivingSince,
        async committed(at, mostMs) {
          const all = [queue.flush(), broker.drained(mostMs), replicas.othersCommitted(at, mostMs)] as const;
          const [, , others] = await Promise.all(all);
          const isLost = others === "gone" && broker.heldForAbsentMs > 0;
          return isLost ? "a replica went away with what it had been given" : null;
        },
        beaconsChanged: knowledge.beaconsChanged,
        publishBeacon: (payload) => broker.publish(topics.beacon(verifier.address), payload, { retain: true, qos: 1 }),
        publishReceipt: (nodeId, payload) => broker.publish(topics.receipt(nodeId), payload),
        epochClosed(epoch) {
          logEpoch(epoch);
          nudgeSettler();
        },
        fault: dutyFault(fence, "verifier"),
      }),
    );

  if (does("ingest"))
    duties.seek("retention", async (fence) => {
      const { prune } = ledger.under(fence);
      const ended = new AbortController();
      const pruning = (async () => {
        while (!ended.signal.aborted) {
          await pause(pruneEveryMs, ended.signal);
          if (!ended.signal.aborted) await prune(edges.retention, now()).catch(dutyFault(fence, "retention"));
        }
      })();
      return {
        async stop() {
          ended.abort();
          await pruning;
        },
      };
    });

  /** After a disturbance nodes take a while to come back, wherever they were connected. */
  function receivingSince(): number | null {
    const since = broker?.receivingSince() ?? null;
    const presentSince = replicas.allPresentSince();
    undisturbedSince ??= since;
    if (since === null || presentSince === null) return null;
    return Math.max(presentSince, since === undisturbedSince ? since : since + nodesReturnMs);
  }

  function logEpoch(epoch: number): void {
    ledger.epoch(epoch).then((record) => {
      if (record) log.info({ epoch, state: record.state, total: record.outcome.total.toString() }, "epoch");
    }, fault("epochs"));
  }

  const announce = (online: boolean) =>
    broker?.publish(topics.coordinatorState, JSON.stringify({ online, at: now() }), { retain: true, qos: 1 });
  if (does("ingest")) announce(true);
  const mqttPort = await broker?.start();
  const { host, httpPort: port, webDir } = edges.listen;
  const http = does("api") ? await startHttpApi({ host, port, webDir, fault: fault("http") }, views, live) : undefined;

  return {
    mqttPort,
    httpUrl: http?.url,
    async enrol(nodes) {
      await ledger.enrol(nodes, now());
      await knowledge.refresh();
    },
    async stop() {
      let hasLeft = !does("ingest");
      if (does("ingest")) {
        if (await replicas.othersWith("ingest").catch(() => false)) hasLeft = (await broker?.leave()) ?? true;
        else announce(false);
      }
      await queue.close();
      await duties.stop();
      await fleet.stop();
      await replicas.stop(hasLeft && queue.depth === 0);
      live.close();
      await http?.close();
      await broker?.close();
      await judges.close();
      chain?.close();
      await ledger.close();
    },
  };
}
