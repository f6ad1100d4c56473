import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nodeChannels } from "./access.ts";
import type { Address, NodeId } from "./identity.ts";
import { networkPattern, topicsOf } from "./topics.ts";

const nodeIds = fc.stringMatching(/^[0-9a-f]{40}$/) as fc.Arbitrary<NodeId>;
const networks = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,31}$/);
const own = "1".repeat(40) as NodeId;
const other = "2".repeat(40) as NodeId;
const topics = topicsOf("harbour");
const verifier: Address = `0x${"ab".repeat(20)}`;

test("a node's topic names the node and the channel it was built from", () => {
  fc.assert(
    fc.property(networks, nodeIds, fc.constantFrom(...nodeChannels), (network, nodeId, channel) => {
      const { node, parseFromNode } = topicsOf(network);
      assert.deepEqual(parseFromNode(node(nodeId, channel)), { kind: "node", nodeId, channel });
    }),
  );
});

test("a topic of one network is none of another, however alike their names are", () => {
  for (const name of ["harbou", "harbour-", "harbour2", "arbour", "h"]) {
    const foreign = topicsOf(name);
    for (const channel of nodeChannels) assert.equal(topics.parseFromNode(foreign.node(own, channel)), undefined);
    assert.equal(topics.isBeacon(foreign.beacon(verifier)), false);
    assert.equal(topics.isCoordinatorState(foreign.coordinatorState), false);
    for (const filter of [foreign.anyBeacon, foreign.coordinatorState, foreign.receipt(own), foreign.desired(own)])
      assert.equal(topics.mayNodeSubscribe(own, filter), false);
  }
});

test("what the coordinator writes is no topic that a node publishes to", () => {
  for (const topic of [topics.receipt(own), topics.desired(own), topics.beacon(verifier), topics.coordinatorState])
    assert.equal(topics.parseFromNode(topic), undefined);
});

test("wildcards, further levels, missing levels and other spellings of a node id are refused", () => {
  const good = topics.node(own, "batch");
  for (const topic of [
    "",
    good.slice(0, -1),
    `${good}/`,
    `${good}/x`,
    `/${good}`,
    ` ${good}`,
    `${good}\n`,
    good.replace("cairn/1", "cairn/2"),
    good.replace(own, "+"),
    good.replace(own, "#"),
    good.replace(own, `${own}/`),
    good.replace(own, own.slice(1)),
    good.replace(own, `${own}1`),
    good.replace(own, `${own.slice(1)}/`),
    good.replace(`${own}/`, `${own}x`),
    good.replace(own, "A".repeat(40)),
    good.replace("batch", "+"),
    good.replace("batch", "#"),
    good.replace("batch", "Batch"),
    good.replace("batch", "receipt"),
    good.replace("batch", "constructor"),
    good.replace("harbour", "+"),
  ])
    assert.equal(topics.parseFromNode(topic), undefined, topic);
});

test("a topic that is taken apart is the very topic that its parts build", () => {
  const pieces = fc.constantFrom("cairn", "1", "harbour", "node", own, other, ...nodeChannels, "+", "#", "", "/", "x");
  const near = fc.array(pieces, { maxLength: 8 }).map((parts) => parts.join("/"));
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary" }), near), (topic) => {
      const parsed = topics.parseFromNode(topic);
      if (parsed) assert.equal(topics.node(parsed.nodeId, parsed.channel), topic);
    }),
  );
});

test("a network's name has no room for a separator or a wildcard", () => {
  const name = new RegExp(networkPattern);
  for (const good of ["a", "0", "harbour-2", "a".repeat(32)]) assert.ok(name.test(good), good);
  for (const bad of ["", "-a", "A", "a/b", "a+", "+", "#", "a#", "a b", "a\n", "ä", "$sys", "a.b", "a".repeat(33)])
    assert.ok(!name.test(bad), bad);
});

test("no topic that is built holds a wildcard, except the filter for all beacons", () => {
  const built = [topics.beacon(verifier), topics.receipt(own), topics.desired(own), topics.coordinatorState];
  for (const channel of nodeChannels) built.push(topics.node(own, channel));
  for (const topic of built) assert.doesNotMatch(topic, /[+#\0]/);
  assert.equal(topics.anyBeacon, "cairn/1/harbour/beacon/+");
});

test("the filter for all beacons takes in every beacon and nothing else", () => {
  assert.equal(topics.beacon(verifier), `cairn/1/harbour/beacon/${"ab".repeat(20)}`);
  assert.ok(topics.isBeacon(topics.beacon(verifier)));
  for (const topic of [
    topics.node(own, "batch"),
    topics.coordinatorState,
    topics.receipt(own),
    "cairn/1/harbour/beacon",
  ])
    assert.equal(topics.isBeacon(topic), false);
});

test("a node may subscribe to beacons, the coordinator's state and what is written to itself, and to nothing else", () => {
  const open = [
    topics.anyBeacon,
    topics.coordinatorState,
    topics.receipt(own),
    topics.desired(own),
    `cairn/1/harbour/node/${own}/request/+`,
  ];
  for (const filter of open) assert.ok(topics.mayNodeSubscribe(own, filter), filter);
  const pieces = fc.constantFrom("cairn", "1", "harbour", "node", own, other, "receipt", "desired", "+", "#", "beacon");
  const near = fc.array(pieces, { minLength: 1, maxLength: 7 }).map((parts) => parts.join("/"));
  const shared = near.map((filter) => `$share/group/${filter}`);
  fc.assert(
    fc.property(fc.oneof(near, shared, fc.string()), (filter) => {
      assert.equal(topics.mayNodeSubscribe(own, filter), open.includes(filter), filter);
    }),
  );
  for (const filter of ["#", "+/#", "cairn/1/harbour/#", topics.receipt(other), "cairn/1/harbour/node/+/receipt"])
    assert.equal(topics.mayNodeSubscribe(own, filter), false, filter);
});
