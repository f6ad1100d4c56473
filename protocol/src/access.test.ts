import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Access, accessOf, nodeChannels, topicFor } from "./access.ts";
import type { Address, NodeId } from "./identity.ts";
import { topicsOf } from "./topics.ts";

const own = "1".repeat(40) as NodeId;
const other = "2".repeat(40) as NodeId;
const topics = topicsOf("harbour");
const policy = accessOf("harbour");
const verifier: Address = `0x${"ab".repeat(20)}`;

/** As a broker would match a topic name against the filters of one side of the policy. */
function allows(filters: readonly string[], node: NodeId | "+", topic: string): boolean {
  return filters.some((filter) => {
    const levels = topicFor(filter, node).split("/");
    const names = topic.split("/");
    return levels.length === names.length && levels.every((level, at) => level === "+" || level === names[at]);
  });
}

test("a node may publish exactly the topics that are taken apart as its own", () => {
  for (const channel of nodeChannels) assert.ok(allows(policy.node.publish, own, topics.node(own, channel)), channel);
  const pieces = fc.constantFrom(
    "cairn",
    "1",
    "harbour",
    "node",
    own,
    other,
    ...nodeChannels,
    "receipt",
    "beacon",
    "+",
  );
  const near = fc.oneof(
    fc.array(pieces, { minLength: 1, maxLength: 7 }).map((parts) => parts.join("/")),
    fc.tuple(fc.constantFrom(own, other), pieces).map(([id, last]) => `cairn/1/harbour/node/${id}/${last}`),
  );
  fc.assert(
    fc.property(near, (topic) => {
      assert.equal(allows(policy.node.publish, own, topic), topics.parseFromNode(topic)?.nodeId === own, topic);
      assert.equal(topics.publishableBy(own).has(topic), topics.parseFromNode(topic)?.nodeId === own, topic);
    }),
    { numRuns: 500 },
  );
});

test("what a node may hear the coordinator may say, and what a node may say the coordinator may hear", () => {
  const said = (access: Access) => [...access.publish].sort();
  const fromOne = policy.node.publish;
  for (const topic of fromOne) assert.ok(policy.coordinator.subscribe.includes(topic), topic);
  for (const topic of policy.node.subscribe.filter((filter) => !filter.endsWith("/state")))
    assert.ok(said(policy.coordinator).includes(topic), topic);
  assert.ok(allows(policy.coordinator.publish, "+", topics.coordinatorState));
});

test("no node may say what the coordinator or a verifier says, nor what another node says", () => {
  for (const topic of [
    topics.receipt(own),
    topics.desired(own),
    topics.beacon(verifier),
    topics.coordinatorState,
    topics.founding,
    topics.node(other, "batch"),
    `cairn/1/harbour/node/${own}/request/restart`,
  ])
    assert.equal(allows(policy.node.publish, own, topic), false, topic);
});

test("the coordinator may publish and hear everything that its own topics are built from", () => {
  for (const topic of [topics.receipt(own), topics.desired(other), topics.beacon(verifier), topics.coordinatorState])
    assert.ok(allows(policy.coordinator.publish, "+", topic), topic);
  assert.ok(allows(policy.coordinator.publish, "+", topics.founding));
  assert.ok(allows(policy.coordinator.subscribe, "+", topics.founding));
  for (const channel of nodeChannels)
    assert.ok(policy.coordinator.subscribe.map((topic) => topicFor(topic, "+")).includes(topics.anyNode(channel)));
});

test("no filter of the policy leaves its network or reaches past one level", () => {
  for (const access of [policy.node, policy.coordinator])
    for (const topic of [...access.publish, ...access.subscribe]) {
      assert.ok(topic.startsWith("cairn/1/harbour/"), topic);
      assert.doesNotMatch(topic, /#|\$/);
    }
});
