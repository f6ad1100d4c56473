import { accessOf, type NodeChannel, nodeChannels, topicFor } from "./access.ts";
import type { Address, NodeId } from "./identity.ts";
import { isNodeId } from "./identity.ts";

export type ParsedTopic = { readonly kind: "node"; readonly nodeId: NodeId; readonly channel: NodeChannel };

export const networkPattern = "^[a-z0-9][a-z0-9-]{0,31}$";

/** Every MQTT topic of one network, protocol version 1. Only this file and the access policy spell them. */
export function topicsOf(network: string) {
  const root = `cairn/1/${network}`;
  const node = (nodeId: NodeId) => `${root}/node/${nodeId}`;
  const prefix = `${root}/node/`;
  const policy = accessOf(network);
  return {
    beacon: (verifier: Address) => `${root}/beacon/${verifier.slice(2)}`,
    anyBeacon: `${root}/beacon/+`,
    node: (nodeId: NodeId, channel: NodeChannel) => `${node(nodeId)}/${channel}`,
    receipt: (nodeId: NodeId) => `${node(nodeId)}/receipt`,
    desired: (nodeId: NodeId) => `${node(nodeId)}/desired`,
    coordinatorState: `${root}/coordinator/state`,
    /** Retained; says which network's coordinators use this broker. Not for nodes. */
    founding: `${root}/coordinator/founding`,
    /** The filter for what all nodes publish on one channel. */
    anyNode: (channel: NodeChannel) => `${root}/node/+/${channel}`,
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
    mayNodeSubscribe: (nodeId: NodeId, filter: string): boolean =>
      policy.node.subscribe.some((topic) => topicFor(topic, nodeId) === filter),

    /** All topics that a node may publish to. */
    publishableBy: (nodeId: NodeId): ReadonlySet<string> =>
      new Set(policy.node.publish.map((topic) => topicFor(topic, nodeId))),
  };
}

export type Topics = ReturnType<typeof topicsOf>;

function isNodeChannel(text: string): text is NodeChannel {
  return (nodeChannels as readonly string[]).includes(text);
}
