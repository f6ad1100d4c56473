import type { Address, NodeId } from "./identity.ts";
import { isNodeId } from "./identity.ts";

/** What a node publishes under its own branch. */
export const nodeChannels = ["birth", "death", "evidence", "batch", "reported"] as const;
export type NodeChannel = (typeof nodeChannels)[number];

export type ParsedTopic = { readonly kind: "node"; readonly nodeId: NodeId; readonly channel: NodeChannel };

export const networkPattern = "^[a-z0-9][a-z0-9-]{0,31}$";

/** Every MQTT topic of one network, protocol version 1. This is the only place that spells them. */
export function topicsOf(network: string) {
  const root = `cairn/1/${network}`;
  const node = (nodeId: NodeId) => `${root}/node/${nodeId}`;
  const prefix = `${root}/node/`;
  return {
    beacon: (verifier: Address) => `${root}/beacon/${verifier.slice(2)}`,
    anyBeacon: `${root}/beacon/+`,
    node: (nodeId: NodeId, channel: NodeChannel) => `${node(nodeId)}/${channel}`,
    receipt: (nodeId: NodeId) => `${node(nodeId)}/receipt`,
    desired: (nodeId: NodeId) => `${node(nodeId)}/desired`,
    coordinatorState: `${root}/coordinator/state`,
    isCoordinatorState: (topic: string) => topic === `${root}/coordinator/state`,
    isBeacon: (topic: string) => topic.startsWith(`${root}/beacon/`),

    /** Takes apart a topic that a node publishes to; undefined for every other topic. */
    parseFromNode(topic: string): ParsedTopic | undefined {
      if (!topic.startsWith(prefix)) return undefined;
      const rest = topic.slice(prefix.length);
      const nodeId = rest.slice(0, 40);
      const channel = rest.slice(41);
      if (rest[40] !== "/" || !isNodeId(nodeId) || !isNodeChannel(channel)) return undefined;
      return { kind: "node", nodeId, channel };
    },

    /** Whether a node may subscribe to this filter: beacons, the coordinator's state, and what is written to itself. */
    mayNodeSubscribe(nodeId: NodeId, filter: string): boolean {
      return (
        filter === `${root}/beacon/+` ||
        filter === `${root}/coordinator/state` ||
        filter === `${node(nodeId)}/receipt` ||
        filter === `${node(nodeId)}/desired` ||
        filter === `${node(nodeId)}/request/+`
      );
    },
  };
}

export type Topics = ReturnType<typeof topicsOf>;

function isNodeChannel(text: string): text is NodeChannel {
  return (nodeChannels as readonly string[]).includes(text);
}
