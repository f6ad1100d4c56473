/**
 * A scripted broker with a coordinator behind it, for tests of the simulated fleet: it takes batches in order, receipts them with a real
 * signature, and can be told to be deaf, to lie, to lose and to refuse. It judges nothing that it is not told to.
 */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { type AddressInfo, createServer, type Socket } from "node:net";
import {
  addressOfKey,
  encodeBeacon,
  encodeStorageReceipt,
  type Hex,
  type Network,
  type NodeId,
  parseBatchEnvelope,
  parseBatchPayload,
  type RejectionCode,
  type SignedBatch,
  type StorageReceipt,
  signerOf,
  topicsOf,
} from "@cairn/protocol";
import type { BrokerAddress } from "../src/fleet/connection.ts";
import { packet, packetType, parsePublish, publishPacket, takePackets } from "../src/fleet/frames.ts";

export type Behaviour = {
  /** "deaf": batches are thrown away, as if the coordinator hung. "forged": receipts are signed by a stranger. */
  receipts: "signed" | "forged" | "deaf";
  /** A code with which this batch is refused for good. */
  refuse(nodeId: NodeId, sequence: number): RejectionCode | undefined;
  /** Whether this batch is lost on its way. */
  lose(nodeId: NodeId, sequence: number): boolean;
  /** Return code of CONNACK. */
  connack(username: string): number;
};

export type Arrived = { readonly nodeId: NodeId; readonly channel: string; readonly payload: Buffer };

export type ScriptedBroker = {
  readonly address: BrokerAddress;
  readonly network: Network;
  readonly behaviour: Behaviour;
  /** What the nodes published, but batches. */
  readonly arrived: readonly Arrived[];
  /** Batches in the order they were stored. */
  readonly stored: readonly (SignedBatch & { readonly nodeId: NodeId })[];
  connections(): number;
  /** Wills of connections that ended without a goodbye. */
  readonly wills: readonly string[];
  /** Publishes a beacon; returns how to publish the very same again. */
  beacon(slot: number, slotMs: number, key?: Uint8Array): () => void;
  coordinator(online: boolean): void;
  /** Forgets that it stored anything behind `upTo`, as a ledger restored from yesterday. */
  forget(nodeId: NodeId, upTo: number): void;
  close(): Promise<void>;
};

type Session = { nodeId: NodeId; username: string; will: string; write(bytes: Buffer): void };

export async function openScriptedBroker(keep = true): Promise<ScriptedBroker> {
  const topics = topicsOf("twin");
  const [coordinator, stranger] = [0, 1].map(() => generateKeyPairSync("ec", { namedCurve: "P-256" }));
  if (!coordinator || !stranger) throw new Error("no keys");
  const verifierKey = randomBytes(32);
  const verifier = addressOfKey(verifierKey);
  const domain = { chainId: 31_337, verifyingContract: `0x${"ab".repeat(20)}` as const };
  const signers = { signed: signerOf(coordinator.privateKey), forged: signerOf(stranger.privateKey) };
  const behaviour: Behaviour = {
    receipts: "signed",
    refuse: () => undefined,
    lose: () => false,
    connack: () => 0,
  };
  const sessions = new Map<Socket, Session>();
  const retained = new Map<string, Buffer>();
  const upTo = new Map<string, number>();
  const arrived: Arrived[] = [];
  const stored: (SignedBatch & { nodeId: NodeId })[] = [];
  const wills: string[] = [];

  function publishAll(topic: string, payload: Buffer): void {
    retained.set(topic, payload);
    for (const session of sessions.values()) session.write(publishPacket(topic, 1, payload));
  }

  function batch(session: Session, message: Buffer): void {
    const { nodeId } = session;
    const envelope = parseBatchEnvelope(message);
    if (!envelope.ok || behaviour.receipts === "deaf") return;
    const { boot, sequence } = envelope.value;
    if (behaviour.lose(nodeId, sequence)) return;
    const key = `${nodeId} ${boot}`;
    const before = upTo.get(key) ?? 0;
    const payload = parseBatchPayload(envelope.value);
    if (!payload.ok) throw new Error(payload.rejection.detail);
    let expected = before + 1;
    for (const { first, last } of payload.value.dropped ?? [])
      if (first <= expected && last >= expected) expected = last + 1;
    const code = sequence > expected ? "sequence-gap" : behaviour.refuse(nodeId, sequence);
    if (code === undefined && sequence === expected) {
      upTo.set(key, sequence);
      if (keep) stored.push({ ...payload.value, nodeId });
    }
    const refused = code === undefined ? {} : { refused: { sequence, code } };
    const receipt: StorageReceipt = { nodeId, boot, upTo: upTo.get(key) ?? 0, ...refused };
    const bytes = encodeStorageReceipt(receipt, signers[behaviour.receipts]);
    session.write(publishPacket(topics.receipt(nodeId), 1, bytes));
  }

  function published(session: Session, first: number, body: Buffer): void {
    const publish = parsePublish(first, body);
    if (!publish) throw new Error("not a PUBLISH of QoS 0 or 1");
    session.write(packet(packetType.puback << 4, Buffer.of(publish.packetId >> 8, publish.packetId & 0xff)));
    const topic = topics.parseFromNode(publish.topic);
    if (!topic) return;
    if (topic.channel === "batch" && topic.nodeId === session.nodeId) batch(session, publish.payload);
    if (keep) arrived.push({ ...topic, payload: Buffer.from(publish.payload) });
  }

  /** Fields of a CONNECT with will, user name and password (MQTT 3.1.1 section 3.1.3). */
  function readConnect(body: Buffer): string[] {
    const fields: string[] = [];
    for (let at = 10; at < body.length; ) {
      const end = at + 2 + body.readUInt16BE(at);
      fields.push(body.toString("utf8", at + 2, end));
      at = end;
    }
    return fields;
  }

  const server = createServer({ noDelay: true }, (socket) => {
    const session: Session = { nodeId: "" as NodeId, username: "", will: "", write: (bytes) => socket.write(bytes) };
    let pending: Buffer | undefined;
    socket.on("data", (chunk) => {
      pending = takePackets(pending, chunk, (first, body) => {
        switch (first >> 4) {
          case packetType.connect: {
            const [clientId = "", , will = "", username = ""] = readConnect(body);
            Object.assign(session, { nodeId: clientId, username, will });
            const code = behaviour.connack(username);
            socket.write(packet(packetType.connack << 4, Buffer.of(0, code)));
            if (code === 0) sessions.set(socket, session);
            return;
          }
          case packetType.subscribe:
            socket.write(packet(packetType.suback << 4, body.subarray(0, 2), Buffer.of(1, 1, 1, 1)));
            for (const [topic, payload] of retained) socket.write(publishPacket(topic, 1, payload, true));
            return;
          case packetType.publish:
            published(session, first, body);
            return;
          case packetType.pingreq:
            socket.write(packet(packetType.pingresp << 4));
            return;
          case packetType.disconnect:
            session.will = "";
            return;
        }
      });
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      if (sessions.delete(socket) && session.will !== "" && keep) wills.push(session.will);
    });
  });
  await new Promise<void>((resolve) => server.listen({ host: "127.0.0.1", port: 0, backlog: 4_096 }, resolve));
  const online = (is: boolean) => Buffer.from(JSON.stringify({ online: is, at: Date.now() }));
  publishAll(topics.coordinatorState, online(true));

  return {
    address: { host: "127.0.0.1", port: (server.address() as AddressInfo).port, tls: false },
    network: {
      network: "twin",
      domain,
      verifiers: [verifier],
      coordinatorKey: coordinator.publicKey,
      time: { genesisAt: 0, slotMs: 10_000, slotsPerEpoch: 6 },
    },
    behaviour,
    arrived,
    stored,
    wills,
    connections: () => sessions.size,
    beacon(slot, slotMs, key = verifierKey) {
      const nonce: Hex = `0x${randomBytes(32).toString("hex")}`;
      const opensAt = Date.now();
      const beacon = { epoch: 1, slot, nonce, opensAt, closesAt: opensAt + slotMs };
      const message = encodeBeacon(beacon, domain, { address: verifier, key });
      const publish = () => publishAll(topics.beacon(verifier), message);
      publish();
      return publish;
    },
    coordinator: (is) => publishAll(topics.coordinatorState, online(is)),
    forget(nodeId, to) {
      for (const key of upTo.keys()) if (key.startsWith(nodeId)) upTo.set(key, to);
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sessions.keys()) socket.destroy();
      await closed;
    },
  };
}
