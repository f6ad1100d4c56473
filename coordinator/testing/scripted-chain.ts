/**
 * A chain for tests behind the interface that settlement uses: one account with its nonces, the rules of EpochRewards (rising epochs,
 * verifier's signature, proofs, cumulative claims), one block per transaction. Switches make it sick, blocks can be taken from its end.
 */
import { createHash } from "node:crypto";
import {
  type Address,
  bytesOf,
  epochRootDigest,
  type Hex,
  hexOf,
  keccak,
  operatorLeafHash,
  recoverSigner,
} from "@cairn/protocol";
import type { SettlementActions } from "../src/act/settlement.ts";
import type { OperatorOutcome } from "../src/model.ts";
import { domain, verifier } from "./founding.ts";

type Call =
  | {
      readonly kind: "post-root";
      readonly epoch: number;
      readonly root: Hex;
      readonly total: string;
      readonly evidence: Hex;
      readonly signatures: readonly Hex[];
    }
  | ({ readonly kind: "claim"; readonly epoch: number; readonly cumulativeAmount: string } & Pick<
      OperatorOutcome,
      "operator" | "nodesRoot" | "proof"
    >)
  | { readonly kind: "other" };

type Block = {
  readonly transaction: Hex;
  readonly nonce: number | null;
  readonly call: Call;
  readonly reverted: boolean;
};

/** What goes wrong with a transaction that is sent. */
export type SendTrouble =
  | "none"
  /** The answer never comes, the transaction neither. */
  | "hangs"
  /** It is taken, but no block ever holds it. */
  | "lost"
  /** It is mined, but the answer is an error. */
  | "answer-lost"
  /** It is mined and fails. */
  | "reverted"
  /** Another transaction of the same account was faster. */
  | "nonce-taken";

export type ScriptedChain = {
  readonly chain: SettlementActions["chain"];
  /** What the next transactions meet, one after the other. */
  readonly troubles: SendTrouble[];
  /** Posts this root by the hand of somebody else with a verifier's signature. */
  postByAnother(epoch: number, root: Hex, total: bigint): void;
  /** Claims by the hand of somebody else; anyone may. */
  claimByAnother(epoch: number, operator: OperatorOutcome): void;
  loseLastBlocks(count: number): void;
  readonly blocks: number;
  /** Times that a transaction with this effect has succeeded. */
  posts(epoch: number): number;
  claims(epoch: number, operator: Address): number;
  /** Minted, held and paid, smallest units. */
  readonly books: { readonly minted: bigint; readonly paid: ReadonlyMap<Address, bigint> };
};

export function createScriptedChain(): ScriptedChain {
  let blocks: Block[] = [];
  const troubles: SendTrouble[] = [];

  const effective = () => blocks.filter(({ reverted }) => !reverted).map(({ call }) => call);
  const postOf = (epoch: number) => effective().find((call) => call.kind === "post-root" && call.epoch === epoch);
  const nonce = () => blocks.filter((block) => block.nonce !== null).length;

  function claimedBy(operator: Address): bigint {
    let claimed = 0n;
    for (const call of effective())
      if (call.kind === "claim" && call.operator === operator) claimed = BigInt(call.cumulativeAmount);
    return claimed;
  }

  /** Why the contract would refuse; null when it would not. */
  function refusal(call: Call): string | null {
    if (call.kind === "other") return null;
    const post = postOf(call.epoch);
    if (call.kind === "post-root") {
      const last = effective().reduce(
        (most, other) => (other.kind === "post-root" ? Math.max(most, other.epoch) : most),
        0,
      );
      if (call.epoch <= last) return `EpochNotRising(${call.epoch}, ${last})`;
      const digest = epochRootDigest(domain, { ...call, total: BigInt(call.total) });
      const signers = call.signatures.map((signature) => recoverSigner(digest, signature));
      return signers.length === 1 && signers[0] === verifier.address ? null : "TooFewSignatures()";
    }
    if (post?.kind !== "post-root") return `RootUnknown(${call.epoch})`;
    const leaf = operatorLeafHash({ ...call, cumulativeAmount: BigInt(call.cumulativeAmount) });
    const root = call.proof.reduce<Buffer>((hash, sibling) => hashPair(hash, bytesOf(sibling)), leaf);
    if (hexOf(root) !== post.root) return "ProofInvalid()";
    if (BigInt(call.cumulativeAmount) <= claimedBy(call.operator)) return "NothingToClaim()";
    return null;
  }

  /** As a wallet does it: what would fail is not signed, and the same call under the same nonce gives the same bytes. */
  function sign(call: Call): { transaction: Hex; raw: Hex } {
    const refused = refusal(call);
    if (refused) throw new Error(`execution reverted: ${refused}`);
    const raw = hexOf(Buffer.from(JSON.stringify({ nonce: nonce(), call })));
    return { raw, transaction: hashOf(raw) };
  }

  function mine(transaction: Hex, call: Call, of: { nonce: number | null; fails?: boolean }): void {
    const reverted = of.fails === true || refusal(call) !== null;
    blocks.push({ transaction, call, nonce: of.nonce, reverted });
  }

  async function send(raw: Hex): Promise<"sent" | "nonce-used" | "nonce-gap"> {
    const trouble = troubles.shift();
    const { nonce: wanted, call } = JSON.parse(bytesOf(raw).toString()) as { nonce: number; call: Call };
    if (trouble === "hangs") return new Promise(() => {});
    if (trouble === "lost") return "sent";
    if (trouble === "nonce-taken") mine(hashOf(`0x${blocks.length}`), { kind: "other" }, { nonce: nonce() });
    if (wanted < nonce()) return "nonce-used";
    if (wanted > nonce()) return "nonce-gap";
    mine(hashOf(raw), call, { nonce: wanted, fails: trouble === "reverted" });
    if (trouble === "answer-lost") throw new Error("the connection was reset");
    return "sent";
  }

  const byAnother = (call: Call) => mine(hashOf(`0x${blocks.length}ff`), call, { nonce: null });

  return {
    troubles,
    chain: {
      async rootOf(epoch) {
        const post = postOf(epoch);
        return post?.kind === "post-root" ? post.root : null;
      },
      claimed: async (operator) => claimedBy(operator),
      signPostRoot: async ({ epoch, root, total, evidence }, signatures) =>
        sign({ kind: "post-root", epoch, root, total: total.toString(), evidence, signatures }),
      signClaim: async (epoch, { operator, cumulativeAmount, nodesRoot, proof }) =>
        sign({ kind: "claim", epoch, operator, cumulativeAmount: cumulativeAmount.toString(), nodesRoot, proof }),
      send,
      async outcomeOf(transaction) {
        const block = blocks.find((other) => other.transaction === transaction);
        return block ? (block.reverted ? "reverted" : "success") : null;
      },
    },
    postByAnother(epoch, root, total) {
      blocks.push({
        transaction: hashOf(root),
        nonce: null,
        reverted: false,
        call: { kind: "post-root", epoch, root, total: total.toString(), evidence: root, signatures: [] },
      });
    },
    claimByAnother: (epoch, { operator, cumulativeAmount, nodesRoot, proof }) =>
      byAnother({ kind: "claim", epoch, operator, cumulativeAmount: cumulativeAmount.toString(), nodesRoot, proof }),
    loseLastBlocks(count) {
      blocks = blocks.slice(0, Math.max(0, blocks.length - count));
    },
    get blocks() {
      return blocks.length;
    },
    posts: (epoch) => effective().filter((call) => call.kind === "post-root" && call.epoch === epoch).length,
    claims: (epoch, operator) =>
      effective().filter((call) => call.kind === "claim" && call.epoch === epoch && call.operator === operator).length,
    get books() {
      const calls = effective();
      const minted = calls.reduce((sum, call) => (call.kind === "post-root" ? sum + BigInt(call.total) : sum), 0n);
      const operators = new Set(calls.flatMap((call) => (call.kind === "claim" ? [call.operator] : [])));
      return { minted, paid: new Map([...operators].map((operator) => [operator, claimedBy(operator)])) };
    },
  };
}

function hashPair(a: Buffer, b: Buffer): Buffer {
  return keccak(Buffer.compare(a, b) <= 0 ? Buffer.concat([a, b]) : Buffer.concat([b, a]));
}

function hashOf(raw: Hex): Hex {
  return hexOf(createHash("sha256").update(raw).digest());
}
