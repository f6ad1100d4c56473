import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { decideShape, defaultShape, readShape, writeShape } from "./shape.ts";

const nothingAsked = { nodes: undefined, slotSeconds: undefined, slotsPerEpoch: undefined };
const folder = mkdtempSync(join(tmpdir(), "cairn-shape-"));
after(() => rmSync(folder, { recursive: true }));

describe("the shape of a network", () => {
  test("is three nodes, slots of 10 s and epochs of 6 slots when nobody says otherwise", () => {
    assert.deepEqual(decideShape(nothingAsked, undefined), { nodes: 3, slotSeconds: 10, slotsPerEpoch: 6 });
  });

  test("is the remembered one on a later start without flags", () => {
    const remembered = { nodes: 7, slotSeconds: 2, slotsPerEpoch: 3 };
    assert.deepEqual(decideShape(nothingAsked, remembered), remembered);
  });

  test("takes another number of nodes at any start", () => {
    assert.equal(decideShape({ ...nothingAsked, nodes: 5 }, defaultShape).nodes, 5);
  });

  test("refuses another cut of time and names the flag, what holds, and the remedy", () => {
    const asked = { ...nothingAsked, slotSeconds: 5 };
    assert.throws(() => decideShape(asked, defaultShape), {
      code: "setting-refused",
      message: /--slot-seconds 5: this network was begun with 10 s/,
      remedy: /--fresh --slot-seconds 5/,
    });
    assert.throws(() => decideShape({ ...nothingAsked, slotsPerEpoch: 2 }, defaultShape), /begun with 6 slots/);
  });

  test("may be asked for again as it is", () => {
    assert.deepEqual(decideShape({ nodes: 3, slotSeconds: 10, slotsPerEpoch: 6 }, defaultShape), defaultShape);
  });

  test("is read back as it was written, and a torn file is refused rather than replaced by defaults", () => {
    assert.equal(readShape(folder), undefined);
    writeShape(folder, { nodes: 4, slotSeconds: 1, slotsPerEpoch: 2 });
    assert.deepEqual(readShape(folder), { nodes: 4, slotSeconds: 1, slotsPerEpoch: 2 });
    for (const text of ["{", '{"nodes":4}', '{"nodes":4,"slotSeconds":0,"slotsPerEpoch":2}']) {
      writeFileSync(join(folder, "localnet.json"), text);
      assert.throws(() => readShape(folder), { code: "data-unusable", remedy: /--fresh/ });
    }
  });
});
