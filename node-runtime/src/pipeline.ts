/**
 * The whole node: devices -> parsers -> edge store -> uplink -> broker, and beacons -> evidence. The one file that joins the stages.
 */
import { setInterval } from "node:timers";
import {
  type BootId,
  type EvidenceClaims,
  encodeBatch,
  encodeCredential,
  encodeEvidence,
  evidenceProfile,
  type Network,
  nonceToClaim,
  parseBeacon,
  parseCoordinatorState,
  parseReceipt,
  type Reading,
  topicsOf,
} from "@cairn/protocol";
import { createEvidenceSender } from "./act/evidence.ts";
import { createUplink } from "./act/uplink.ts";
import { backoffMs } from "./decide/backoff.ts";
import { whenToAnswer } from "./decide/evidence.ts";
import { meaningOfRefusal, nextUplinkSteps } from "./decide/uplink.ts";
import { NodeFault } from "./fault.ts";
import type { ByteSource, Discards, Location, Log, Priority, Surroundings } from "./model.ts";
import { openEdgeStore } from "./store/edge-store.ts";
import { hostReadings } from "./validate/host.ts";
import { createGnss } from "./validate/nmea.ts";
import { createNmeaFrames } from "./validate/nmea-frames.ts";
import { fitReadings, type ReadingDiscard, readingDiscards } from "./validate/readings.ts";
import { parseRecording } from "./validate/recording.ts";
import type { BrokerCredentials } from "./wire/broker-credentials.ts";
import type { DeviceKey } from "./wire/device-key.ts";
import { type HostSample, readHost } from "./wire/host.ts";
import { openLink } from "./wire/mqtt.ts";
import { openReplay, readRecordingFile } from "./wire/replay.ts";

export type NodeOptions = {
  readonly folder: string;
  readonly key: DeviceKey;
  readonly bootId: BootId;
  /** Addresses of the network's broker; the next is tried when one does not answer. */
  readonly brokers: readonly string[];
  /** What to sign in with at a broker that is not Cairn's own, read at every attempt; the signed token where it is left out. */
  readonly brokerCredentials?: () => BrokerCredentials;
  readonly ca?: Buffer;
  /** A serial port's path, or replay:FILE. */
  readonly serial?: string;
  readonly baudRate: number;
  readonly hostMs: number;
  readonly batchMs: number;
  readonly batchReadings: number;
  readonly capBytes: number;
  readonly profile: string;
  readonly software: { readonly name: string; readonly version: string };
  readonly surroundings: Surroundings;
  readonly log: Log;
  /** The daemon cannot go on: the store turned out damaged. */
  broken(cause: unknown): void;
};

export type RunningNode = {
  /** Connects the node to its network; before that it measures and stores. */
  join(network: Network): void;
  counts(): Record<string, unknown>;
  stop(): Promise<void>;
};

/** A position is claimed in evidence only while it is this fresh, ms. */
const positionFreshMs = 60_000;
const uplinkLimits = { window: 8, graceMs: 1_500, refusals: 3 };
const receiptBackoff = { floorMs: 5_000, ceilingMs: 60_000 };
const connectBackoff = { floorMs: 600, ceilingMs: 10_000 };

/** Opens the store and starts measuring. Throws NodeFault. */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const { surroundings, log } = options;
  const device = options.serial === undefined ? undefined : await openDevice(options.serial, options.baudRate);
  const store = openEdgeStore({ ...options, bootId: options.bootId });
  log.info({ boot: store.boot.count, queued: store.queued() }, "edge store open");

  const unfit = Object.fromEntries(readingDiscards.map((reason) => [reason, 0])) as Record<ReadingDiscard, number>;
  let onCommitted = () => {};
  const take = (readings: readonly Reading[], priority: Priority) =>
    store.accept(fitReadings(readings, unfit), priority, () => onCommitted());

  const gnss = device ? startGnss(device, log, (readings) => take(readings, "results")) : undefined;
  const stopHost = startHost(options.hostMs, surroundings, (readings) => take(readings, "telemetry"));
  let leave: (() => Promise<void>) | undefined;
  let online: { counts(): Record<string, unknown> } | undefined;

  return {
    join(network) {
      const connection = joinNetwork(
        options,
        store,
        network,
        gnss ? gnss.position : () => undefined,
        device !== undefined,
      );
      onCommitted = connection.readingsCommitted;
      leave = connection.leave;
      online = connection;
    },
    counts: () => ({
      ...online?.counts(),
      queued: store.queued(),
      store: store.tally(),
      discarded: { ...gnss?.discards(), ...nonZero(unfit) },
    }),
    async stop() {
      stopHost();
      const closed = device?.close();
      store.commit();
      await Promise.all([closed, leave?.()]);
      store.close();
    },
  };
}

async function openDevice(serial: string, baudRate: number): Promise<ByteSource> {
  const refuse = (reason: string, cause?: unknown) =>
    new NodeFault(
      "setting-refused",
      `--serial ${serial}: ${reason}`,
      "Name a serial port, or replay:FILE with a recording.",
      cause,
    );
  if (!serial.startsWith("replay:")) {
    // Loaded only where there is a port: the native binding costs 10 MB.
    const { openSerial } = await import("./wire/serial.ts");
    return openSerial({ path: serial, baudRate });
  }
  const file = serial.slice("replay:".length);
  const text = await readRecordingFile(file).catch((cause: Error) => {
    throw refuse(cause.message, cause);
  });
  const recording = parseRecording(text);
  if (!recording.ok) throw refuse(recording.rejection.detail);
  return openReplay({ name: file, chunks: recording.value.chunks, loop: true });
}

function startGnss(device: ByteSource, log: Log, take: (readings: readonly Reading[]) => void) {
  const frames = createNmeaFrames();
  const receiver = createGnss();
  device.start({
    bytes(chunk, atMs) {
      for (const sentence of frames.push(chunk)) take(receiver.push(sentence, atMs));
    },
    state(state, detail) {
      log[state === "open" ? "info" : "warn"]({ device: device.name, state, detail }, "serial port");
    },
  });
  return {
    position: receiver.position,
    discards: (): Discards => ({ ...nonZero(frames.discards()), ...nonZero(receiver.discards()) }),
  };
}

function startHost(
  everyMs: number,
  surroundings: Surroundings,
  take: (readings: readonly Reading[]) => void,
): () => void {
  let previous: HostSample | undefined;
  let reading = false;
  const timer = setInterval(look, everyMs);
  function look(): void {
    if (reading) return;
    reading = true;
    void readHost().then((sample) => {
      take(hostReadings(previous, sample, surroundings.now()));
      previous = sample;
      reading = false;
    });
  }
  look();
  return () => clearInterval(timer);
}

function joinNetwork(
  options: NodeOptions,
  store: ReturnType<typeof openEdgeStore>,
  network: Network,
  position: () => Location | undefined,
  hasGnss: boolean,
) {
  const { key, surroundings, log, software } = options;
  const topics = topicsOf(network.network);
  const boot = store.boot;
  const trust = {
    nodeId: key.nodeId,
    coordinatorKey: network.coordinatorKey,
    domain: network.domain,
    verifiers: network.verifiers,
  };
  const jittered =
    ({ floorMs, ceilingMs }: typeof receiptBackoff) =>
    (attempt: number) =>
      backoffMs(attempt, floorMs, ceilingMs, surroundings.random());
  const refused = { beacons: 0, receipts: 0 };

  const uplink = createUplink({
    store,
    limits: { ...uplinkLimits, batchReadings: options.batchReadings, batchMs: options.batchMs },
    surroundings,
    log,
    next: nextUplinkSteps,
    meaning: meaningOfRefusal,
    backoff: jittered(receiptBackoff),
    send: (batch) => link.publish(topics.node(key.nodeId, "batch"), encodeBatch(batch, key.nodeId, key.sign)),
  });

  const evidence = createEvidenceSender({
    surroundings,
    log,
    when: whenToAnswer,
    send: (beacon) => {
      const nowMs = surroundings.now();
      const place = position();
      const claims: EvidenceClaims = {
        eat_profile: evidenceProfile,
        eat_nonce: nonceToClaim(beacon.nonce),
        ueid: key.ueid,
        iat: Math.floor(nowMs / 1000),
        uptime: Math.floor(surroundings.steadyNow() / 1000),
        bootcount: boot.count,
        bootseed: Buffer.from(boot.id, "hex").toString("base64url"),
        swname: software.name,
        swversion: [software.version],
        ...(place && nowMs - place.atMs <= positionFreshMs ? { location: claimOf(place, nowMs) } : {}),
        cairn: { slot: beacon.slot, storedUpTo: store.storedUpTo() },
      };
      return link.publish(topics.node(key.nodeId, "evidence"), encodeEvidence(claims, key.nodeId, key.sign));
    },
  });

  const link = openLink(
    {
      urls: options.brokers,
      clientId: key.nodeId,
      ...(options.ca ? { ca: options.ca } : {}),
      signIn:
        options.brokerCredentials ??
        (() => ({
          username: key.nodeId,
          password: encodeCredential(network.network, key.nodeId, surroundings.now(), key.sign),
        })),
      will: { topic: topics.node(key.nodeId, "death"), payload: JSON.stringify({ boot: boot.id }) },
      filters: [topics.receipt(key.nodeId), topics.desired(key.nodeId), topics.anyBeacon, topics.coordinatorState],
      greeting: {
        topic: topics.node(key.nodeId, "birth"),
        payload: JSON.stringify({
          boot: boot.id,
          bootCount: boot.count,
          software: `${software.name}/${software.version}`,
          profile: options.profile,
          capabilities: [...(hasGnss ? ["sensor.gnss"] : []), "sensor.host"],
          desiredVersion: 0,
        }),
      },
      backoff: jittered(connectBackoff),
      surroundings,
      log,
    },
    {
      up: uplink.connected,
      down() {
        uplink.disconnected();
        evidence.disconnected();
      },
      message,
    },
  );

  function message(topic: string, payload: Buffer, retained: boolean): void {
    if (topics.isBeacon(topic)) {
      const beacon = parseBeacon(payload, network.domain, network.verifiers);
      if (beacon.ok) evidence.beacon(beacon.value, retained);
      else noteRefused("beacons", beacon.rejection);
    } else if (topics.isCoordinatorState(topic)) {
      const state = parseCoordinatorState(payload);
      if (state.ok) uplink.coordinatorIs(state.value.online ? "online" : "offline");
    } else if (topic === topics.receipt(key.nodeId)) takeReceipt(payload);
  }

  function takeReceipt(payload: Buffer): void {
    const receipt = parseReceipt(payload, trust);
    if (!receipt.ok) {
      noteRefused("receipts", receipt.rejection);
      return;
    }
    try {
      if (receipt.value.kind === "stored") uplink.receipt(receipt.value.receipt);
      else {
        const { epoch, credited } = receipt.value.receipt;
        store.keepSlotReceipt({
          epoch,
          verifier: receipt.value.verifier,
          credited: bitsIn(credited),
          message: payload,
        });
      }
    } catch (cause) {
      // The coordinator repeats storage receipts, a verifier the slots of an epoch: the next one does what this one could not.
      log.error({ cause: String(cause) }, "a receipt could not be stored");
    }
  }

  function noteRefused(what: keyof typeof refused, rejection: { code: string; detail: string }): void {
    refused[what]++;
    log.warn({ ...rejection, count: refused[what] }, `refused one of the ${what}`);
  }

  return {
    readingsCommitted: uplink.readingsCommitted,
    counts: () => ({ ...uplink.counts(), evidence: evidence.acknowledged(), refused }),
    async leave() {
      evidence.close();
      uplink.close();
      await link.close();
    },
  };
}

function claimOf({ latitude, longitude, altitude, atMs }: Location, nowMs: number) {
  return {
    latitude,
    longitude,
    ...(altitude === undefined ? {} : { altitude }),
    age: Math.max(0, Math.round((nowMs - atMs) / 1000)),
  };
}

function bitsIn(hex: string): number {
  let bits = 0;
  for (const byte of Buffer.from(hex.slice(2), "hex")) for (let rest = byte; rest > 0; rest &= rest - 1) bits++;
  return bits;
}

function nonZero(counts: Discards): Discards {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}
