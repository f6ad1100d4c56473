/**
 * Writes settlement.json: the vectors that bind leaf bytes, roots and EIP-712 digests of TypeScript and Solidity.
 * Made with ethers, not with the code under test. Run `node protocol/golden/make.ts` only when the protocol changes on purpose.
 */
import { writeFileSync } from "node:fs";
import { AbiCoder, concat, getBytes, id, keccak256, TypedDataEncoder, Wallet } from "ethers";

const abi = AbiCoder.defaultAbiCoder();
const domain = {
  name: "Cairn",
  version: "1",
  chainId: 31337,
  verifyingContract: "0x5fbdb2315678afecb367f032d93f642f64180aa3",
};
const wallet = new Wallet(id("cairn golden verifier"));
const signer = wallet.address.toLowerCase();
const twice = (types: string[], values: unknown[]) => keccak256(keccak256(abi.encode(types, values)));
const pair = (a: string, b: string) => keccak256(a < b ? concat([a, b]) : concat([b, a]));
const evidence = id("cairn golden evidence");

const levels = ["software", "secure-element", "tpm-measured"];
const nodeType = id(
  "NodeLeaf(bytes20 nodeId,uint32 slotsAttested,uint32 slotsExpected,uint32 slotsVoid,uint8 evidenceLevel,uint64 workUnits,uint256 amount)",
);
const nodeLeaves = [0, 1, 2]
  .map((index) => ({
    nodeId: id(`cairn golden node ${index}`).slice(0, 42),
    slotsAttested: 6 - index,
    slotsExpected: 6,
    slotsVoid: index,
    evidenceLevel: index,
    workUnits: 5 + index,
    amount: (12345678901234567890n * BigInt(index + 1)).toString(),
  }))
  .sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1))
  .map((leaf) => ({
    ...leaf,
    leaf: twice(
      ["bytes32", "bytes20", "uint32", "uint32", "uint32", "uint8", "uint64", "uint256"],
      [nodeType, ...Object.values(leaf)],
    ),
  }));
const [n0 = "", n1 = "", n2 = ""] = nodeLeaves.map(({ leaf }) => leaf);
const nodesRoot = pair(pair(n0, n1), n2);

const operatorType = id("OperatorLeaf(address operator,uint256 cumulativeAmount,bytes32 nodesRoot)");
const operators = [0, 1, 2, 3, 4]
  .map((index) => ({
    operator: id(`cairn golden operator ${index}`).slice(0, 42),
    cumulativeAmount: (10n ** 18n * BigInt(index * 7 + 1) + BigInt(index)).toString(),
    nodesRoot: index === 0 ? nodesRoot : id(`cairn golden nodes ${index}`),
  }))
  .sort((a, b) => (a.operator < b.operator ? -1 : 1))
  .map((leaf) => ({
    ...leaf,
    leaf: twice(["bytes32", "address", "uint256", "bytes32"], [operatorType, ...Object.values(leaf)]),
  }));
const [o0 = "", o1 = "", o2 = "", o3 = "", o4 = ""] = operators.map(({ leaf }) => leaf);
const [left, right] = [pair(o0, o1), pair(o2, o3)];
const proofs = [[o1, right, o4], [o0, right, o4], [o3, left, o4], [o2, left, o4], [pair(left, right)]];
const operatorLeaves = operators.map((leaf, index) => ({ ...leaf, proof: proofs[index] }));
const root = pair(pair(left, right), o4);

async function signed(name: string, fields: [string, string, unknown][]) {
  const types = { [name]: fields.map(([field, type]) => ({ name: field, type })) };
  const value = Object.fromEntries(fields.map(([field, , content]) => [field, content]));
  return {
    ...value,
    digest: TypedDataEncoder.hash(domain, types, value),
    signer,
    signature: await wallet.signTypedData(domain, types, value),
  };
}

const golden = {
  domain,
  domainSeparator: TypedDataEncoder.hashDomain(domain),
  verifierKey: wallet.privateKey,
  evidenceLevels: levels,
  nodeLeaves,
  nodesRoot,
  operatorLeaves,
  root,
  epochRoot: await signed("EpochRoot", [
    ["epoch", "uint64", 7],
    ["root", "bytes32", root],
    ["total", "uint256", "100000000000000000000"],
    ["evidence", "bytes32", evidence],
  ]),
  beacon: await signed("Beacon", [
    ["epoch", "uint64", 7],
    ["slot", "uint64", 39],
    ["nonce", "bytes32", id("cairn golden nonce")],
    ["opensAt", "uint64", 1_790_000_000_000],
    ["closesAt", "uint64", 1_790_000_010_000],
  ]),
  slotReceipt: await signed("SlotReceipt", [
    ["nodeId", "bytes20", nodeLeaves[0]?.nodeId],
    ["epoch", "uint64", 7],
    ["firstSlot", "uint64", 36],
    ["slotCount", "uint32", 10],
    ["credited", "bytes", "0x0f02"],
    ["void", "bytes", "0x1000"],
  ]),
};
if (getBytes(golden.root).length !== 32) throw new Error("the golden root is not 32 bytes");
writeFileSync(new URL("./settlement.json", import.meta.url), `${JSON.stringify(golden, null, 2)}\n`);
