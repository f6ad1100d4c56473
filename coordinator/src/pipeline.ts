/**
 * The coordinator on one page: what comes in, how it is judged, where it is written, what is decided and who carries it out.
 *
 *   broker -> ingest queue -> admission (validate, order) -> ledger -> storage receipts
 *   clock  -> slot steps -> beacons, slot receipts -> epoch close -> settlement -> chain
 *   ledger -> views -> HTTP interface and live pages
 */
import type { KeyObject } from "node:crypto";
import { availableParallelism } from "node:os";
import { type Address, type NodeId, type Rejection, readingsOf, signerOf, topicsOf } from "@cairn/protocol";
import type { Logger } from "pino";
import { startFleet } from "./act/fleet.ts";
import { createIngestQueue } from "./act/ingest-queue.ts";
import { startJudges } from "./act/judges.ts";
import { createPenalties } from "./act/penalties.ts";
import { startSettlement } from "./act/settlement.ts";
import { sendStorageReceipts, storageReceipts } from "./act/storage-receipts.ts";
import { startVerifier } from "./act/verifier.ts";
import { closeEpoch } from "./decide/epoch-close.ts";
import { nodeStatus } from "./decide/node-status.ts";
import { orderRules } from "./decide/order.ts";
import { settlementStep } from "./decide/settlement.ts";
import { slotSteps } from "./decide/slots.ts";
import { CoordinatorFault } from "./fault.ts";
import type { Enrolment, Founding, Input, Ledger, Retention, Verdict } from "./model.ts";
import { judgeConnect, refusedInput, unstorableInput } from "./validate/admission.ts";
import type { Chain } from "./wire/chain-rpc.ts";
import { openEmbeddedBroker } from "./wire/embedded-broker.ts";
import { startHttpApi } from "./wire/http-api.ts";
import { createLiveHub } from "./wire/live-events.ts";
import { createViews, epochRow } from "./wire/views.ts";

export type Edges = {
  readonly founding: Founding;
  readonly ledger: Ledger;
  readonly chain: Chain;
  readonly coordinatorKey: KeyObject;
  readonly verifier: { readonly address: Address; readonly key: Uint8Array };
  readonly software: string;
  readonly listen: { host: string; mqttPort: number; httpPort: number; webDir: string | undefined };
  readonly retention: Retention;
  readonly log: Logger;
  /** A part without which nothing goes on has died: end the process, its supervisor starts it again. */
  broken(error: unknown): void;
  now(): number;
  random(): number;
};

export type Pipeline = {
  readonly mqttPort: number;
  readonly httpUrl: string;
  enrol(nodes: readonly Enrolment[]): Promise<void>;
  stop(): Promise<void>;
};

const judgeThread = new URL("./admission-thread.ts", import.meta.url);
/** One core serves the sockets and the ledger; the others, four at most, judge when there is so much to judge. */
const mostJudges = Math.min(4, Math.max(1, availableParallelism() - 1));
const mostPages = 200;
const pruneEveryMs = 60_000;
const rejectionsEveryMs = 1_000;

export async function startPipeline(edges: Edges): Promise<Pipeline> {
  const { founding, ledger, chain, log, now } = edges;
  const { network, time, parameters } = founding;
  const domain = { chainId: founding.chainId, verifyingContract: founding.rewards };
  const topics = topicsOf(network);
  const signer = signerOf(edges.coordinatorKey);
  const penalties = createPenalties();
  const live = createLiveHub(mostPages);
  const fault = (part: string) => (err: unknown) => log.error({ err, part }, "failed, will be tried again");

  const keys = new Map<NodeId, KeyObject>();
  const keyOf = (nodeId: NodeId) => keys.get(nodeId);
  for (const { nodeId, publicKey } of await ledger.nodes()) keys.set(nodeId, publicKey);

  const views = createViews({
    ledger,
    now,
    founding,
    software: edges.software,
    perMinute: (nodeId) => fleet.readingsPerMinute(nodeId),
    queue: () => queue,
  });
  const fleet = startFleet({
    ledger,
    time,
    now,
    judge: nodeStatus,
    view: views.fleet,
    live,
    fault: fault("fleet"),
  });

  const judges = startJudges(judgeThread, mostJudges, { time }, edges.broken);
  judges.setKeys([...keys].map(pemOf));
  const queue = createIngestQueue({
    judge: (arrival) => judges.judge(arrival),
    admit: (inputs) => ledger.admit(inputs, orderRules),
    isInputs: (error) => error instanceof CoordinatorFault && error.code === "input-unstorable",
    unstorable: unstorableInput,
    admitted,
    fault: fault("ingest"),
  });

  function admitted(inputs: readonly Input[], verdicts: readonly Verdict[]): void {
    const receipts = storageReceipts(inputs, verdicts);
    sendStorageReceipts(receipts, signer, (nodeId, payload) => broker.publish(topics.receipt(nodeId), payload));
    for (const [index, input] of inputs.entries()) {
      const rejection = verdicts[index]?.rejection;
      if (input.nodeId) fleet.heard(input.nodeId, input.kind === "batch" && !rejection ? input.readings : 0);
      if (rejection) punish(input, rejection);
      else if (input.kind === "batch" && live.watches(input.nodeId))
        live.send("readings", { nodeId: input.nodeId, series: [...readingsOf(input.payload)] }, input.nodeId);
    }
  }

  let rejectionsShown = true;
  function punish({ nodeId, topic }: Input, rejection: Rejection): void {
    log.info({ nodeId, topic, ...rejection }, "refused");
    rejectionsShown = false;
    if (!nodeId || !penalties.note(nodeId, rejection.code, now())) return;
    broker.disconnect(nodeId);
    refuse(nodeId, topic, Buffer.alloc(0), { code: "rate-exceeded", detail: `the last refusal was ${rejection.code}` });
  }

  function refuse(sender: NodeId | null, topic: string, payload: Buffer, rejection: Rejection): void {
    queue.pushJudged(refusedInput({ sender, topic, payload, receivedAt: now() }, rejection));
  }

  const broker = await openEmbeddedBroker(topics, now, {
    authenticate: async (connect) =>
      penalties.isShut(connect.clientId, now())
        ? { code: "rate-exceeded", detail: `${connect.clientId} is shut out for ten seconds` }
        : judgeConnect(connect, network, now(), keyOf),
    arrived: (arrival) => queue.push(arrival),
    refused: refuse,
  });

  const settler = startSettlement({
    ledger,
    chain,
    domain,
    verifierKey: edges.verifier.key,
    now,
    random: edges.random,
    step: settlementStep,
    epochChanged: showEpoch,
    fault: fault("settlement"),
  });

  const verifier = await startVerifier({
    ledger,
    time,
    domain,
    verifier: edges.verifier,
    now,
    steps: slotSteps,
    outcomeOf: (facts) => closeEpoch(facts, parameters),
    flushed: () => queue.flush(),
    beaconsChanged: (beacons) => judges.setBeacons(beacons),
    publishBeacon: (payload) => broker.publish(topics.beacon(edges.verifier.address), payload, { retain: true }),
    publishReceipt: (nodeId, payload) => broker.publish(topics.receipt(nodeId), payload),
    slotChanged: () => fleet.slotChanged(),
    epochClosed(epoch) {
      showEpoch(epoch);
      settler.nudge();
    },
    fault: fault("verifier"),
  });

  function showEpoch(epoch: number): void {
    ledger.epoch(epoch).then((record) => {
      if (!record) return;
      log.info({ epoch, state: record.state, total: record.outcome.total.toString() }, "epoch");
      live.send("epoch", epochRow(record, time));
    }, fault("live"));
  }

  const { host, httpPort: port, webDir } = edges.listen;
  const http = await startHttpApi({ host, port, webDir, fault: fault("http") }, views, live);
  const announce = (online: boolean) =>
    broker.publish(topics.coordinatorState, JSON.stringify({ online, at: now() }), { retain: true });
  announce(true);
  const mqttPort = await broker.listen(host, edges.listen.mqttPort);

  const timers = [
    setInterval(() => void ledger.prune(edges.retention, now()).catch(fault("prune")), pruneEveryMs),
    setInterval(() => {
      if (rejectionsShown || live.size === 0) return;
      rejectionsShown = true;
      views.rejections().then((view) => live.send("rejections", view), fault("live"));
    }, rejectionsEveryMs),
  ];

  return {
    mqttPort,
    httpUrl: http.url,
    async enrol(nodes) {
      await ledger.enrol(nodes, now());
      for (const { nodeId, publicKey } of nodes) keys.set(nodeId, publicKey);
      judges.setKeys([...keys].map(pemOf));
      fleet.slotChanged();
    },
    async stop() {
      for (const timer of timers) clearInterval(timer);
      announce(false);
      await queue.close();
      await verifier.stop();
      await settler.stop();
      await fleet.stop();
      live.close();
      await http.close();
      await broker.close();
      await judges.close();
      chain.close();
      await ledger.close();
    },
  };
}

function pemOf([nodeId, key]: [NodeId, KeyObject]): [NodeId, string] {
  return [nodeId, key.export({ format: "pem", type: "spki" }).toString()];
}
