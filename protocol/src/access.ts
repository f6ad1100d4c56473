/**
 * Who may use which topic of a network: one policy as data, from which every broker's own access rules are made and by which the
 * embedded broker judges. A broker that holds it vouches for the NodeId in a node's topics.
 */
import type { NodeId } from "./identity.ts";

/** What a node publishes under its own branch. */
export const nodeChannels = ["birth", "death", "evidence", "batch", "reported"] as const;
export type NodeChannel = (typeof nodeChannels)[number];

/** Stands in a policy's topics for one node's id: the client's own for a node, any for a coordinator. */
export const nodePlaceholder = "{node}";

/** Topic filters; besides the placeholder they hold only single-level wildcards. Whatever is not listed is denied. */
export type Access = { readonly publish: readonly string[]; readonly subscribe: readonly string[] };
export type AccessPolicy = { readonly node: Access; readonly coordinator: Access };

export function accessOf(network: string): AccessPolicy {
  const root = `cairn/1/${network}`;
  const node = `${root}/node/${nodePlaceholder}`;
  const fromNode = nodeChannels.map((channel) => `${node}/${channel}`);
  const toNode = [`${node}/receipt`, `${node}/desired`, `${node}/request/+`];
  return {
    node: { publish: fromNode, subscribe: [...toNode, `${root}/beacon/+`, `${root}/coordinator/state`] },
    coordinator: {
      publish: [...toNode, `${root}/beacon/+`, `${root}/coordinator/+`],
      subscribe: [...fromNode, `${root}/coordinator/+`],
    },
  };
}

/** A policy's topic for one node; with "+", for any. */
export function topicFor(topic: string, node: NodeId | "+"): string {
  return topic.replace(nodePlaceholder, node);
}

/** What a network's own things are called inside a NATS server: coordinators make them, and their tokens allow these names only. */
export function natsNamesOf(network: string) {
  return {
    stream: `CAIRN_${network}`,
    /** Shared by all coordinators. */
    consumer: "coordinators",
    /** Replies to coordinators: nobody else may listen below it. */
    inboxPrefix: "_INBOX_cairn",
  };
}
