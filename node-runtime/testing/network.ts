/**
 * A network in this process, for tests: a real broker (aedes) and a scripted coordinator and verifier, which judge what comes in with the
 * protocol's own functions. Switches make it sick.
 */
import { createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import {
  type Address,
  addressOfKey,
  type Beacon,
  type BootId,
  type EvidenceClaims,
  encodeBeacon,
  encodeSlotReceipt,
  encodeStorageReceipt,
  hexOf,
  type NetworkDescriptor,
  type NodeId,
  parseBatchEnvelope,
  parseBatchPayload,
  parseCredential,
  parseEvidenceClaims,
  parseEvidenceEnvelope,
  type RejectionCode,
  readingsOf,
  signerOf,
  topicsOf,
  verifyEs256,
} from "@cairn/protocol";
import { Aedes } from "aedes";
import { createLedger, type IncomingBatch } from "./ledger.ts";

export type TestNetworkOptions = {
  readonly publicKey: string;
  readonly nodeId: NodeId;
  readonly slotMs?: number;
  refuse?(batch: IncomingBatch): RejectionCode | undefined;
};

export async function startTestNetwork({ publicKey, nodeId, slotMs = 60_000, refuse }: TestNetworkOptions) {
  const network = "test";
  const topics = topicsOf(network);
  const deviceKey = createPublicKey(publicKey);
  const coordinator = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const sign = signerOf(coordinator.privateKey);
  const verifierKey = randomBytes(32);
  const verifier = { address: addressOfKey(verifierKey), key: verifierKey };
  const domain = { chainId: 31_337, verifyingContract: `0x${"11".repeat(20)}` as Address };
  const genesisAt = Date.now() - 10 * slotMs;
  const descriptor: NetworkDescriptor = {
    network,
    chainId: domain.chainId,
    rewards: domain.verifyingContract,
    verifiers: [verifier.address],
    coordinatorKey: coordinator.publicKey.export({ format: "pem", type: "spki" }).toString(),
    genesisAt,
    slotMs,
    slotsPerEpoch: 10,
  };
  const ledger = createLedger(refuse);
  const heard = {
    births: [] as string[],
    deaths: [] as string[],
    evidence: [] as EvidenceClaims[],
    batches: [] as IncomingBatch[],
    passwords: [] as string[],
    faults: [] as string[],
    /** Qualities of the subscriptions that were granted. */
    granted: [] as number[],
  };
  /** False: batches are taken in silence, as by a coordinator that died. */
  const mood = { answers: true, admits: true };

  let broker = await newBroker();
  let server: Server | undefined;
  const sockets = new Set<Socket>();
  let port = 0;

  async function newBroker(): Promise<Aedes> {
    const aedes = await Aedes.createBroker();
    aedes.authenticate = (client, username, password, done) => {
      const token = String(password);
      const connect = { clientId: client.id, username: String(username), password: token };
      const credential = parseCredential(connect, network, Date.now());
      const valid = credential.ok && verifyEs256(deviceKey, credential.value.signingInput, credential.value.signature);
      heard.passwords.push(token);
      if (!valid) heard.faults.push("credential");
      done(null, valid && mood.admits);
    };
    aedes.authorizeSubscribe = (_client, subscription, done) => {
      const allowed = topics.mayNodeSubscribe(nodeId, subscription.topic);
      if (!allowed) heard.faults.push(`subscription ${subscription.topic}`);
      else heard.granted.push(subscription.qos);
      done(null, allowed ? subscription : null);
    };
    aedes.on("publish", (packet, client) => {
      if (client || packet.topic === topics.node(nodeId, "death")) take(packet.topic, Buffer.from(packet.payload));
    });
    return aedes;
  }

  function take(topic: string, payload: Buffer): void {
    const from = topics.parseFromNode(topic);
    if (!from || from.nodeId !== nodeId) {
      heard.faults.push(`topic ${topic}`);
      return;
    }
    if (from.channel === "birth") heard.births.push(payload.toString());
    else if (from.channel === "death") heard.deaths.push(payload.toString());
    else if (from.channel === "evidence") takeEvidence(payload);
    else if (from.channel === "batch" && mood.answers) takeBatch(payload);
  }

  function takeEvidence(payload: Buffer): void {
    const envelope = parseEvidenceEnvelope(payload);
    if (!envelope.ok || !verifyEs256(deviceKey, envelope.value.signingInput, envelope.value.signature)) {
      heard.faults.push("evidence envelope");
      return;
    }
    const claims = parseEvidenceClaims(envelope.value);
    if (claims.ok) heard.evidence.push(claims.value);
    else heard.faults.push(claims.rejection.detail);
  }

  function takeBatch(message: Buffer): void {
    const envelope = parseBatchEnvelope(message);
    if (!envelope.ok || !verifyEs256(deviceKey, envelope.value.signingInput, envelope.value.signature)) {
      heard.faults.push("batch envelope");
      return;
    }
    const payload = parseBatchPayload(envelope.value);
    if (!payload.ok) {
      heard.faults.push(payload.rejection.detail);
      return;
    }
    const { boot, seq, dropped = [] } = payload.value;
    const batch = {
      boot: boot as BootId,
      sequence: seq,
      dropped: dropped as IncomingBatch["dropped"],
      readings: [...readingsOf(payload.value)],
    };
    heard.batches.push(batch);
    const receipt = ledger.admit(batch);
    if (receipt) publish(topics.receipt(nodeId), encodeStorageReceipt({ nodeId, ...receipt }, sign));
  }

  function publish(topic: string, payload: Buffer, retain = false): void {
    broker.publish({ cmd: "publish", topic, payload, qos: 1, retain, dup: false }, (cause) => {
      if (cause) heard.faults.push(String(cause));
    });
  }

  const listen = async () => {
    const handle = broker.handle;
    server = createServer((socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      handle(socket);
    });
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (typeof address === "object" && address) port = address.port;
  };
  await listen();

  const network_ = {
    descriptor,
    ledger,
    heard,
    mood,
    get url() {
      return `mqtt://127.0.0.1:${port}`;
    },

    coordinatorIs(online: boolean): void {
      publish(topics.coordinatorState, Buffer.from(JSON.stringify({ online, at: Date.now() })), true);
    },

    /** Publishes a beacon, retained as verifiers do. */
    beacon(more: Partial<Beacon> = {}): Beacon {
      const slot = Math.floor((Date.now() - genesisAt) / slotMs);
      const opensAt = genesisAt + slot * slotMs;
      const beacon = { epoch: 2, slot, nonce: hexOf(randomBytes(32)), opensAt, closesAt: opensAt + slotMs, ...more };
      publish(topics.beacon(verifier.address), encodeBeacon(beacon, domain, verifier), true);
      return beacon;
    },

    /** A beacon by a key that the descriptor does not name. */
    strangersBeacon(): void {
      const key = randomBytes(32);
      const beacon = {
        epoch: 2,
        slot: 10,
        nonce: hexOf(randomBytes(32)),
        opensAt: Date.now(),
        closesAt: Date.now() + slotMs,
      };
      const stranger = { address: addressOfKey(key), key };
      publish(topics.beacon(stranger.address), encodeBeacon(beacon, domain, stranger));
    },

    slotReceipt(epoch: number, credited: `0x${string}`): void {
      const receipt = { nodeId, epoch, firstSlot: 0, slotCount: 10, credited, void: "0x0000" as const };
      publish(topics.receipt(nodeId), encodeSlotReceipt(receipt, domain, verifier));
    },

    /** A storage receipt by somebody else's key. */
    forgedReceipt(boot: BootId, upTo: number): void {
      const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      publish(topics.receipt(nodeId), encodeStorageReceipt({ nodeId, boot, upTo }, signerOf(privateKey)));
    },

    /** Cuts every connection; the port stays open. */
    cut(): void {
      for (const socket of sockets) socket.destroy();
    },

    async stopBroker(): Promise<void> {
      const old = server;
      server = undefined;
      const closed = old ? once(old, "close") : undefined;
      old?.close();
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => broker.close(resolve));
      await closed;
    },

    /** A new broker on the same port: it has forgotten sessions and retained messages. */
    async startBroker(): Promise<void> {
      broker = await newBroker();
      await listen();
    },
  };
  return network_;
}

export type TestNetwork = Awaited<ReturnType<typeof startTestNetwork>>;

/** Waits until `condition` holds; throws with `what` after `withinMs`. */
export async function until(what: string, condition: () => boolean, withinMs = 10_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited ${withinMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
