/** Behaviour of every ledger: sessions of nodes (birth, last will), and what is kept of refused inputs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { orderRules } from "../../src/decide/order.ts";
import { bootId } from "../devices.ts";
import { slotTime } from "../founding.ts";
import { batchInput, birthInput, deathInput, evidenceInput, refusedInput } from "../inputs.ts";
import { enrolled, send } from "./admission.ts";
import { type OpenStore, onStore } from "./opened-store.ts";

const forever = { readingsMs: Number.MAX_SAFE_INTEGER, evidenceMs: Number.MAX_SAFE_INTEGER };

export function sessionBehaviour(open: OpenStore): void {
  test(
    "a birth message is kept whole and is a sign of life",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const birth = birthInput(nodeId, bootId(), 3, slotTime(2));
      await ledger.admit([birthInput(nodeId, bootId(), 2), birth], orderRules);
      assert.partialDeepStrictEqual((await ledger.nodes())[0], {
        birth: birth.birth,
        lastHeardAt: slotTime(2),
        lastHeardBy: "its birth message",
        diedBoot: null,
      });
    }),
  );

  test(
    "the last will of the running session ends it, that of an older boot is ignored",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const [older, running] = [bootId(), bootId()];
      const diedBoot = async () => (await ledger.nodes())[0]?.diedBoot;
      await send(ledger, [birthInput(nodeId, older, 1), birthInput(nodeId, running, 2)]);
      await send(ledger, [deathInput(nodeId, older)]);
      assert.equal(await diedBoot(), null);
      await send(ledger, [deathInput(nodeId, running)]);
      assert.equal(await diedBoot(), running);
    }),
  );

  test(
    "a last will after data of the same group ends the session, data after a last will begins it anew",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const boot = bootId();
      const diedBoot = async () => (await ledger.nodes())[0]?.diedBoot;
      await send(ledger, [birthInput(nodeId, boot), batchInput(nodeId, boot), deathInput(nodeId, boot)]);
      assert.equal(await diedBoot(), boot);
      await send(ledger, [deathInput(nodeId, boot), batchInput(nodeId, boot, { seq: 2, receivedAt: slotTime(1) })]);
      assert.equal(await diedBoot(), null);
      assert.partialDeepStrictEqual((await ledger.nodes())[0], {
        lastHeardAt: slotTime(1),
        lastHeardBy: "a batch of readings",
      });
      await send(ledger, [deathInput(nodeId, boot)]);
      await send(ledger, [evidenceInput(nodeId, boot)]);
      assert.equal(await diedBoot(), null);
    }),
  );

  test(
    "a refused input is no sign of life",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const boot = bootId();
      await send(ledger, [refusedInput(nodeId), batchInput(nodeId, boot, { seq: 9 })]);
      assert.partialDeepStrictEqual((await ledger.nodes())[0], { lastHeardAt: null, rejections: 2 });
    }),
  );

  test(
    "equal refusals are one entry with its count and newest time, and each is in the count of its code",
    onStore(open, async ({ ledger }) => {
      const [one, two] = [await enrolled(ledger), await enrolled(ledger)];
      const at = (receivedAt: number, bytes = 42) => ({ receivedAt, bytes });
      await send(ledger, [
        refusedInput(one.nodeId, "schema-mismatch", at(10)),
        refusedInput(one.nodeId, "schema-mismatch", at(20, 43)),
        refusedInput(one.nodeId, "schema-mismatch", { ...at(30), detail: "another place" }),
        refusedInput(two.nodeId, "schema-mismatch", at(40)),
        refusedInput(null, "key-unknown", { ...at(50), detail: "a stranger" }),
      ]);
      const entries = (await ledger.rejections(10)).map(({ at, nodeId, rejection, bytes, count }) => [
        at,
        nodeId,
        rejection.code,
        bytes,
        count,
      ]);
      assert.deepEqual(entries, [
        [50, null, "key-unknown", 42, 1],
        [40, two.nodeId, "schema-mismatch", 42, 1],
        [30, one.nodeId, "schema-mismatch", 42, 1],
        [20, one.nodeId, "schema-mismatch", 43, 2],
      ]);
      assert.deepEqual(
        await ledger.rejectionCounts(),
        new Map([
          ["key-unknown", 1],
          ["schema-mismatch", 4],
        ]),
      );
      const counts = new Map((await ledger.nodes()).map(({ nodeId, rejections }) => [nodeId, rejections]));
      assert.deepEqual([counts.get(one.nodeId), counts.get(two.nodeId)], [3, 1]);
    }),
  );

  test(
    "a verdict about order is stored as a refusal of its node and topic",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const late = batchInput(nodeId, bootId(), { seq: 3 });
      await send(ledger, [late]);
      const [entry] = await ledger.rejections(10, nodeId);
      assert.partialDeepStrictEqual(entry, {
        nodeId,
        topic: late.topic,
        at: late.receivedAt,
        bytes: late.bytes,
        count: 1,
      });
      assert.equal(entry?.rejection.code, "sequence-gap");
    }),
  );

  test(
    "refusals are asked for newest first, of all or of one node, no more than wanted",
    onStore(open, async ({ ledger }) => {
      const [one, two] = [await enrolled(ledger), await enrolled(ledger)];
      for (let at = 1; at <= 6; at++) {
        const { nodeId } = at % 2 === 1 ? one : two;
        await send(ledger, [refusedInput(nodeId, "payload-malformed", { receivedAt: at, detail: `${at}` })]);
      }
      const details = async (limit: number, nodeId = one.nodeId) =>
        (await ledger.rejections(limit, nodeId)).map(({ rejection }) => rejection.detail);
      assert.deepEqual(await details(10), ["5", "3", "1"]);
      assert.deepEqual(await details(2, two.nodeId), ["6", "4"]);
      assert.equal((await ledger.rejections(4)).length, 4);
    }),
  );

  test(
    "pruning keeps as many entries of refusals as allowed, the newest, and forgets no count",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const refusals = Array.from({ length: 150 }, (_, index) =>
        refusedInput(nodeId, "envelope-malformed", { receivedAt: index, detail: `kind ${index}` }),
      );
      await send(ledger, refusals);
      assert.equal(await ledger.prune({ ...forever, rejections: 100 }, slotTime(0)), 50);
      const kept = await ledger.rejections(1_000);
      assert.deepEqual([kept.length, kept[0]?.at, kept.at(-1)?.at], [100, 149, 50]);
      assert.deepEqual(await ledger.rejectionCounts(), new Map([["envelope-malformed", 150]]));
      assert.equal((await ledger.nodes())[0]?.rejections, 150);
    }),
  );

  test(
    "a refusal with a very long reason is kept with the beginning of it",
    onStore(open, async ({ ledger }) => {
      const { nodeId } = await enrolled(ledger);
      const sample = Buffer.alloc(100_000, 0xff);
      await send(ledger, [refusedInput(nodeId, "schema-mismatch", { detail: "ä€😀".repeat(10_000), sample })]);
      const [entry] = await ledger.rejections(1);
      const { length } = entry?.rejection.detail ?? "";
      assert.ok(length > 20 && length <= 500, `${length} characters are kept`);
    }),
  );
}
