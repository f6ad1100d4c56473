import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { Address, Hex, NodeId } from "./identity.ts";
import { evidenceLevels, type NodeLeaf, nodeLeafHash, nodesTree, operatorLeafHash, operatorsTree } from "./leaves.ts";
import {
  addressOfKey,
  beaconDigest,
  bytesOf,
  domainSeparator,
  epochRootDigest,
  hexOf,
  recoverSigner,
  signDigest,
  slotReceiptDigest,
} from "./typed-data.ts";

const golden = JSON.parse(readFileSync(new URL("../golden/settlement.json", import.meta.url), "utf8"));
const domain = golden.domain;

const nodeLeaves: NodeLeaf[] = golden.nodeLeaves.map((leaf: Record<string, unknown>) => ({
  ...leaf,
  nodeId: String(leaf.nodeId).slice(2) as NodeId,
  evidenceLevel: evidenceLevels[leaf.evidenceLevel as number],
  amount: BigInt(leaf.amount as string),
}));
const operatorLeaves = golden.operatorLeaves.map((leaf: Record<string, string>) => ({
  operator: leaf.operator as Address,
  cumulativeAmount: BigInt(leaf.cumulativeAmount ?? ""),
  nodesRoot: leaf.nodesRoot as Hex,
}));

test("node and operator leaves hash to the golden bytes", () => {
  for (const [index, leaf] of nodeLeaves.entries())
    assert.equal(hexOf(nodeLeafHash(leaf)), golden.nodeLeaves[index].leaf);
  for (const [index, leaf] of operatorLeaves.entries())
    assert.equal(hexOf(operatorLeafHash(leaf)), golden.operatorLeaves[index].leaf);
});

test("the two trees have the golden roots and proofs whatever the order of their leaves", () => {
  assert.equal(nodesTree(nodeLeaves.toReversed()).root, golden.nodesRoot);
  const tree = operatorsTree(operatorLeaves.toReversed());
  assert.equal(tree.root, golden.root);
  for (const { operator, proof } of golden.operatorLeaves) assert.deepEqual(tree.proofs.get(operator), proof);
});

test("domain, beacon, slot receipt and epoch root have the golden EIP-712 digests", () => {
  assert.equal(hexOf(domainSeparator(domain)), golden.domainSeparator);
  assert.equal(hexOf(beaconDigest(domain, golden.beacon)), golden.beacon.digest);
  const receipt = { ...golden.slotReceipt, nodeId: golden.slotReceipt.nodeId.slice(2) };
  assert.equal(hexOf(slotReceiptDigest(domain, receipt)), golden.slotReceipt.digest);
  const root = { ...golden.epochRoot, total: BigInt(golden.epochRoot.total) };
  assert.equal(hexOf(epochRootDigest(domain, root)), golden.epochRoot.digest);
});

test("our signatures are those of ethers, and recovery names the signer", () => {
  const key = bytesOf(golden.verifierKey);
  for (const { digest, signer, signature } of [golden.epochRoot, golden.beacon, golden.slotReceipt]) {
    assert.equal(signDigest(bytesOf(digest), key), signature);
    assert.equal(recoverSigner(bytesOf(digest), signature), signer);
    assert.equal(addressOfKey(key), signer);
  }
});

test("a changed digest, a changed signature or a high s recovers nobody known", () => {
  const { digest, signer, signature } = golden.beacon;
  const flipped = bytesOf(digest);
  flipped[0] = (flipped[0] ?? 0) ^ 1;
  assert.notEqual(recoverSigner(flipped, signature), signer);
  assert.equal(recoverSigner(bytesOf(digest), `${signature.slice(0, -2)}1d`), undefined);
  assert.equal(recoverSigner(bytesOf(digest), signature.slice(0, 60)), undefined);
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const high = (order - BigInt(`0x${signature.slice(66, 130)}`)).toString(16).padStart(64, "0");
  const mirrored = `${signature.slice(0, 66)}${high}${signature.endsWith("1b") ? "1c" : "1b"}`;
  assert.equal(recoverSigner(bytesOf(digest), mirrored), undefined);
});
