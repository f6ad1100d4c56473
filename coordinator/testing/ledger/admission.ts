/** Behaviour of every ledger: enrolment, and the order in which batches and evidence are taken. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeId } from "@cairn/protocol";
import { orderRules } from "../../src/decide/order.ts";
import type { Input, Ledger, OrderRules } from "../../src/model.ts";
import { bootId, type Device, makeDevice } from "../devices.ts";
import { operatorAddress, slotTime } from "../founding.ts";
import { batchInput, birthInput, column, evidenceInput, refusedInput, slotRow } from "../inputs.ts";
import { type OpenStore, onStore } from "./opened-store.ts";

export function admissionBehaviour(open: OpenStore): void {
  test(
    "an enrolled node is unheard, and nothing is known of it but its enrolment",
    onStore(open, async ({ ledger }) => {
      const { enrolment, publicKey } = makeDevice("north roof");
      await ledger.enrol([enrolment], 1_000);
      const [node, ...others] = await ledger.nodes();
      assert.equal(others.length, 0);
      assert.ok(node);
      const { publicKey: key, status, ...rest } = node;
      assert.equal(key.export({ format: "pem", type: "spki" }), publicKey);
      assert.deepEqual([status.state, status.since], ["unheard", null]);
      assert.deepEqual(rest, {
        nodeId: enrolment.nodeId,
        name: "north roof",
        operator: enrolment.operator,
        evidenceLevel: "software",
        enrolledAt: 1_000,
        lastHeardAt: null,
        lastHeardBy: null,
        diedBoot: null,
        birth: null,
        boot: null,
        bootCount: null,
        uptimeSeconds: null,
        software: null,
        readingsStored: 0,
        rejections: 0,
      });
    }),
  );

  test(
    "enrolling a node again takes over name, operator and level, and keeps its history",
    onStore(open, async ({ ledger }) => {
      const { enrolment, nodeId } = makeDevice("old name");
      await ledger.enrol([enrolment], 1_000);
      const boot = bootId();
      await ledger.admit([batchInput(nodeId, boot), evidenceInput(nodeId, boot)], orderRules);
      const moved = { name: "new name", operator: operatorAddress(2), evidenceLevel: "tpm-measured" as const };
      await ledger.enrol([{ ...enrolment, ...moved }], 9_000);
      const [node] = await ledger.nodes();
      assert.partialDeepStrictEqual(node, { ...moved, enrolledAt: 1_000, readingsStored: 1, boot });
      assert.deepEqual(await send(ledger, [batchInput(nodeId, boot)]), ["sequence-duplicate 1"]);
    }),
  );

  test(
    "a status that was set is the node's status until the next",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const status = { state: "degraded" as const, since: slotTime(3), reason: "no evidence for 1 slot" };
      await ledger.setStatus([{ nodeId, status }]);
      await ledger.setStatus([]);
      assert.deepEqual((await ledger.nodes())[0]?.status, status);
    }),
  );

  test(
    "batches in order are stored and raise the watermark of their boot one by one",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const boot = bootId();
      const batches = [1, 2, 3].map((seq) => batchInput(nodeId, boot, { seq }));
      assert.deepEqual(await send(ledger, batches), ["stored 1", "stored 2", "stored 3"]);
      assert.deepEqual(await send(ledger, [batchInput(nodeId, boot, { seq: 4 })]), ["stored 4"]);
      assert.deepEqual(await ledger.counts(), { readings: 4, batches: 4 });
      assert.equal((await ledger.nodes())[0]?.readingsStored, 4);
    }),
  );

  test(
    "a batch that is stored already is a duplicate and changes nothing but the count of refusals",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const boot = bootId();
      const batch = batchInput(nodeId, boot, { series: [column("host.load", [5, 6], [1, 2])] });
      await send(ledger, [batch, batchInput(nodeId, boot, { seq: 2 })]);
      const other = { ...batch, payload: { ...batch.payload, series: [column("host.load", [7], [9])] }, readings: 1 };
      assert.deepEqual(await send(ledger, [batch, other]), ["sequence-duplicate 2", "sequence-duplicate 2"]);
      assert.deepEqual(await ledger.counts(), { readings: 3, batches: 2 });
      assert.deepEqual(await ledger.rejectionCounts(), new Map([["sequence-duplicate", 2]]));
      const stored = await ledger.readings(nodeId, "host.load", 0, 100, 100);
      assert.deepEqual(stored?.values, [1, 2]);
    }),
  );

  test(
    "a batch behind an unstated gap is refused, and taken once the gap is filled",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const boot = bootId();
      const [first, second, third] = [1, 2, 3].map((seq) => batchInput(nodeId, boot, { seq })) as [Input, Input, Input];
      assert.deepEqual(await send(ledger, [first, third]), ["stored 1", "sequence-gap 1"]);
      assert.deepEqual(await send(ledger, [second, third]), ["stored 2", "stored 3"]);
    }),
  );

  test(
    "a refused batch that is named is answered with its boot's watermark, which it leaves where it is",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const boot = bootId();
      const refused = (of: typeof boot, sequence: number) =>
        refusedInput(nodeId, "payload-malformed", { batch: { boot: of, sequence } });
      assert.deepEqual(await send(ledger, [refused(boot, 1), batchInput(nodeId, boot), refused(boot, 2)]), [
        "payload-malformed 0",
        "stored 1",
        "payload-malformed 1",
      ]);
      assert.deepEqual(
        await send(ledger, [
          refused(boot, 2),
          refused(bootId(), 2),
          refusedInput(nodeId),
          batchInput(nodeId, boot, { seq: 2 }),
        ]),
        ["payload-malformed 1", "payload-malformed 0", "schema-mismatch", "stored 2"],
      );
    }),
  );

  test(
    "a gap that is stated as dropped is crossed, and what it names is a duplicate afterwards",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const boot = bootId();
      const dropped = [
        { first: 4, last: 6, readings: 30, reason: "store-full" as const },
        { first: 2, last: 3, readings: 20, reason: "store-damaged" as const },
      ];
      assert.deepEqual(
        await send(ledger, [
          batchInput(nodeId, boot, { seq: 1 }),
          batchInput(nodeId, boot, { seq: 7, dropped: dropped.slice(0, 1) }),
          batchInput(nodeId, boot, { seq: 7, dropped }),
          batchInput(nodeId, boot, { seq: 5 }),
          batchInput(nodeId, boot, { seq: 8 }),
        ]),
        ["stored 1", "sequence-gap 1", "stored 7", "sequence-duplicate 7", "stored 8"],
      );
    }),
  );

  test(
    "sequence numbers and boot counters up to 2^53 - 1 are kept exactly",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const boot = bootId();
      const [n, seq] = [Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER];
      const dropped = [{ first: 1, last: seq - 1, readings: seq, reason: "refused" as const }];
      assert.deepEqual(await send(ledger, [batchInput(nodeId, boot, { n, seq, dropped })]), [`stored ${seq}`]);
      assert.deepEqual(await send(ledger, [batchInput(nodeId, boot, { n, seq })]), [`sequence-duplicate ${seq}`]);
      assert.deepEqual(await send(ledger, [evidenceInput(nodeId, boot, { bootCount: n })]), ["accepted"]);
      assert.equal((await ledger.nodes())[0]?.bootCount, n);
    }),
  );

  test(
    "every boot of every node has a watermark of its own, and backlog of an older boot is taken",
    onStore(open, async ({ ledger }) => {
      const [one, two] = [await enrolled(ledger), await enrolled(ledger)];
      const [older, newer] = [bootId(), bootId()];
      assert.deepEqual(
        await send(ledger, [
          batchInput(one.nodeId, newer, { n: 2, seq: 1 }),
          evidenceInput(one.nodeId, newer, { bootCount: 2 }),
          batchInput(one.nodeId, older, { n: 1, seq: 1 }),
          batchInput(one.nodeId, older, { n: 1, seq: 2 }),
          batchInput(one.nodeId, newer, { n: 2, seq: 2 }),
          batchInput(two.nodeId, newer, { n: 2, seq: 1 }),
        ]),
        ["stored 1", "accepted", "stored 1", "stored 2", "stored 2", "stored 1"],
      );
    }),
  );

  test(
    "a boot id under another counter is a mismatch, a counter under another boot id has regressed",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const [known, clone] = [bootId(), bootId()];
      await send(ledger, [batchInput(nodeId, known, { n: 3 })]);
      assert.deepEqual(
        await send(ledger, [
          batchInput(nodeId, known, { n: 4, seq: 2 }),
          evidenceInput(nodeId, known, { bootCount: 4 }),
          batchInput(nodeId, clone, { n: 3 }),
          evidenceInput(nodeId, clone, { bootCount: 3 }),
          batchInput(nodeId, known, { n: 3, seq: 2 }),
        ]),
        ["boot-mismatch 1", "boot-mismatch", "boot-regressed 0", "boot-regressed", "stored 2"],
      );
    }),
  );

  test(
    "the counter of accepted evidence never falls, whatever batches say",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const [first, second, third] = [bootId(), bootId(), bootId()];
      assert.deepEqual(
        await send(ledger, [
          batchInput(nodeId, third, { n: 7 }),
          evidenceInput(nodeId, second, { bootCount: 5, slot: 1 }),
          batchInput(nodeId, second, { n: 5 }),
          evidenceInput(nodeId, first, { bootCount: 4, slot: 2 }),
          evidenceInput(nodeId, second, { bootCount: 5, slot: 2 }),
          evidenceInput(nodeId, third, { bootCount: 7, slot: 3 }),
          evidenceInput(nodeId, second, { bootCount: 5, slot: 4 }),
          batchInput(nodeId, second, { n: 5, seq: 2 }),
        ]),
        ["stored 1", "accepted", "stored 1", "boot-regressed", "accepted", "accepted", "boot-regressed", "stored 2"],
      );
      assert.deepEqual(await send(ledger, [batchInput(nodeId, third, { n: 7, seq: 2 })]), ["stored 2"]);
      assert.deepEqual(await send(ledger, [evidenceInput(nodeId, second, { bootCount: 5, slot: 5 })]), [
        "boot-regressed",
      ]);
      assert.partialDeepStrictEqual((await ledger.nodes())[0], { boot: third, bootCount: 7 });
    }),
  );

  test(
    "evidence is stored once per slot, and the second answer leaves the first in place",
    onStore(open, async ({ ledger }) => {
      const [one, two] = [await enrolled(ledger), await enrolled(ledger)];
      const boot = bootId();
      await ledger.openSlot(slotRow(0));
      await ledger.openSlot(slotRow(1));
      const answer = (nodeId: NodeId, slot: number, receivedAt: number) =>
        evidenceInput(nodeId, boot, { slot, receivedAt, uptimeSeconds: receivedAt });
      assert.deepEqual(
        await send(ledger, [answer(one.nodeId, 0, 10), answer(one.nodeId, 0, 20), answer(two.nodeId, 0, 30)]),
        ["accepted", "evidence-duplicate", "accepted"],
      );
      assert.deepEqual(await send(ledger, [answer(one.nodeId, 0, 40), answer(one.nodeId, 1, 50)]), [
        "evidence-duplicate",
        "accepted",
      ]);
      const answers = [...(await ledger.answers(0, 1))].sort((a, b) => a.receivedAt - b.receivedAt);
      assert.deepEqual(answers, [
        { nodeId: one.nodeId, slot: 0, receivedAt: 10 },
        { nodeId: two.nodeId, slot: 0, receivedAt: 30 },
        { nodeId: one.nodeId, slot: 1, receivedAt: 50 },
      ]);
      assert.deepEqual((await ledger.answers(1, 9)).length, 1);
      const node = (await ledger.nodes()).find(({ nodeId }) => nodeId === one.nodeId);
      assert.partialDeepStrictEqual(node, { uptimeSeconds: 50, lastHeardBy: "evidence", lastHeardAt: 50 });
    }),
  );

  test(
    "a rule sees what the inputs before it in the same group have done",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const boot = bootId();
      const seen: unknown[] = [];
      const watching: OrderRules = {
        batch: (state, payload) => {
          seen.push({ ...state });
          return orderRules.batch(state, payload);
        },
        evidence: (state, ...rest) => {
          seen.push({ ...state, highestCount: state.highestCount });
          return orderRules.evidence(state, ...rest);
        },
      };
      const other = bootId();
      const group = [
        batchInput(nodeId, boot, { n: 2 }),
        evidenceInput(nodeId, boot, { bootCount: 2 }),
        evidenceInput(nodeId, other, { bootCount: 2, slot: 1 }),
        batchInput(nodeId, boot, { n: 2, seq: 2 }),
      ];
      await ledger.admit(group, watching);
      assert.partialDeepStrictEqual(seen, [
        { knownCount: null, countUsedBy: null, storedUpTo: 0 },
        { knownCount: 2, countUsedBy: null, highestCount: 0, storedUpTo: 1 },
        { knownCount: null, countUsedBy: boot, highestCount: 2, storedUpTo: 0 },
        { knownCount: 2, storedUpTo: 1 },
      ]);
    }),
  );

  test(
    "an input with a value that no column holds is told apart from a broken store, and leaves nothing of its group",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const boot = bootId();
      await ledger.openSlot(slotRow(0));
      const sound = batchInput(nodeId, boot, { seq: 1 });
      const unstorable = evidenceInput(nodeId, boot, { uptimeSeconds: 1e300 });
      const before = await everything(ledger, nodeId);
      await assert.rejects(ledger.admit([sound, unstorable], orderRules), { code: "input-unstorable" });
      assert.deepEqual(await everything(ledger, nodeId), before);
      assert.deepEqual(await send(ledger, [sound]), ["stored 1"]);
    }),
  );

  test(
    "a rule that throws in the middle of a group leaves nothing of the group, and the group can come again",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const boot = bootId();
      await ledger.openSlot(slotRow(0));
      const group = [
        birthInput(nodeId, boot),
        batchInput(nodeId, boot, { seq: 1, series: [column("sky.clouds", [1], [0.25])] }),
        evidenceInput(nodeId, boot),
        refusedInput(nodeId),
        batchInput(nodeId, boot, { seq: 1 }),
        batchInput(nodeId, boot, { seq: 2 }),
      ];
      const before = await everything(ledger, nodeId);
      for (const breaksAt of [2, 3]) {
        await assert.rejects(ledger.admit(group, breakingAt(breaksAt)), /the rule broke/);
        assert.deepEqual(await everything(ledger, nodeId), before);
      }
      assert.deepEqual(await send(ledger, group), [
        "accepted",
        "stored 1",
        "accepted",
        "schema-mismatch",
        "sequence-duplicate 1",
        "stored 2",
      ]);
      assert.deepEqual((await ledger.readings(nodeId, "sky.clouds", 0, 10, 10))?.values, [0.25]);
      assert.deepEqual(await ledger.counts(), { readings: 2, batches: 2 });
    }),
  );

  test(
    "a batch without readings raises the watermark and is no work",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      await ledger.openSlot(slotRow(0));
      assert.deepEqual(await send(ledger, [batchInput(nodeId, bootId(), { series: [] })]), ["stored 1"]);
      assert.deepEqual(await ledger.counts(), { readings: 0, batches: 1 });
      assert.deepEqual((await ledger.epochFacts(1, 0, 6)).nodes[0]?.worked, []);
    }),
  );
}

/** Verdicts in words: the code or "stored" with the watermark, "accepted" for what has none. */
export async function send(ledger: Ledger, inputs: readonly Input[], rules = orderRules): Promise<string[]> {
  const verdicts = await ledger.admit(inputs, rules);
  assert.equal(verdicts.length, inputs.length);
  return verdicts.map(({ rejection, storedUpTo }) => {
    const word = rejection?.code ?? (storedUpTo === undefined ? "accepted" : "stored");
    return storedUpTo === undefined ? word : `${word} ${storedUpTo}`;
  });
}

export async function enrolled(ledger: Ledger, name = "node", operator = operatorAddress(1)): Promise<Device> {
  const device = makeDevice(name, operator);
  await ledger.enrol([device.enrolment], slotTime(0));
  return device;
}

/** The rules of order, with the n-th batch that they judge being one too many for them. */
function breakingAt(breaksAt: number): OrderRules {
  let judged = 0;
  return {
    ...orderRules,
    batch(state, payload) {
      judged += 1;
      if (judged === breaksAt) throw new Error("the rule broke");
      return orderRules.batch(state, payload);
    },
  };
}

export async function everything(ledger: Ledger, nodeId: NodeId) {
  return {
    nodes: (await ledger.nodes()).map(({ publicKey: _, ...node }) => node),
    counts: await ledger.counts(),
    answers: await ledger.answers(0, 100),
    series: await ledger.latestReadings(nodeId),
    rejections: await ledger.rejections(100),
    rejectionCounts: await ledger.rejectionCounts(),
    facts: (await ledger.epochFacts(1, 0, 6)).nodes,
  };
}
