/** What the coordinator needs of a broker, whichever it is: aedes in this process, any MQTT 5 broker, or NATS JetStream. */
import type { NodeId, Rejection } from "@cairn/protocol";
import type { Arrival } from "../model.ts";

export type BrokerListener = {
  /** Who connects: a NodeId that was proved, or why not. Asked by the embedded broker only; others are given their access policy. */
  authenticate(connect: { clientId: string; username: string; password: string }): Promise<Rejection | null>;
  /**
   * A message of a node on one of its own topics, as far as the broker holds the access policy. `committed` is called when its outcome
   * is durable: only then may the broker forget it. The promise holds back this sender, or all, while the coordinator is busy.
   */
  arrived(arrival: Arrival, committed?: () => void): Promise<void> | undefined;
  /** Something was refused at the door. `sender` is null before a connection is proved. */
  refused(sender: NodeId | null, topic: string, payload: Buffer, rejection: Rejection, committed?: () => void): void;
};

export type Broker = {
  /** For how long it may keep messages for a replica that went away without leaving, which no other replica gets; 0: others get them. */
  readonly heldForAbsentMs: number;
  /** Lets messages in; returns the port nodes connect to when the broker is inside this process. Throws CoordinatorFault `broker-...`. */
  start(): Promise<number | undefined>;
  /** At most once; whoever needs an answer asks again. What is retained is published anew whenever a connection to the broker is new. */
  publish(topic: string, payload: Buffer | string, options?: { retain?: boolean; qos?: 0 | 1 }): void;
  /** Ends a node's connection where that is in the coordinator's hands. */
  disconnect(nodeId: NodeId): void;
  /** Since when messages come in without a disturbance of the broker, unix ms of the coordinator's clock; null while there is one. */
  receivingSince(): number | null;
  /**
   * True when everything that the broker had taken from nodes at the time of the call is committed, by whichever replica, as far as the
   * broker can tell; false when that is not so after `patienceMs`.
   */
  drained(patienceMs: number): Promise<boolean>;
  /**
   * Takes no more in, before `close`, where another replica does: what nodes send from now on is for that one, and does not wait for this
   * one's return. What was taken in can still be committed. False when the broker could not be told.
   */
  leave(): Promise<boolean>;
  close(): Promise<void>;
};
