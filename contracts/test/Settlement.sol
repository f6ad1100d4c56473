// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EpochRewards} from "../src/EpochRewards.sol";
import {EpochId} from "../src/Ids.sol";
import {Leaves} from "../src/Leaves.sol";
import {RewardToken} from "../src/RewardToken.sol";
import {VerifierSet} from "../src/VerifierSet.sol";
import {TestCase} from "./TestCase.sol";
import {Tree} from "./Tree.sol";

/// The three contracts deployed in the order a deployer uses, and the off-chain half of a settlement.
abstract contract Settlement is TestCase {
    uint256 internal constant CAP = 1_000_000 ether;
    uint256 internal constant BUDGET = 1000 ether;
    uint64 internal constant DELAY = 1 hours;
    bytes32 internal constant EVIDENCE = keccak256("evidence bundle");

    uint256[] internal keys;
    VerifierSet internal verifierSet;
    RewardToken internal token;
    EpochRewards internal rewards;

    struct Line {
        address operator;
        uint256 cumulativeAmount;
        bytes32 nodesRoot;
    }

    function deploy(uint256 verifiers, uint256 threshold) internal {
        keys = ascendingKeys(verifiers, "verifier");
        verifierSet = new VerifierSet(address(this), addressesOf(keys), threshold);
        address next = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        token = new RewardToken("Cairn Reward", "CAIRN", CAP, next);
        rewards = new EpochRewards(token, verifierSet, BUDGET, DELAY);
    }

    function leavesOf(Line[] memory lines) internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](lines.length);
        for (uint256 i = 0; i < lines.length; ++i) {
            leaves[i] = Leaves.operatorLeaf(lines[i].operator, lines[i].cumulativeAmount, lines[i].nodesRoot);
        }
    }

    function rootSignatures(EpochId epoch, bytes32 root, uint256 total) internal view returns (bytes[] memory) {
        return signaturesOf(keys, verifierSet.threshold(), rewards.epochRootDigest(epoch, root, total, EVIDENCE));
    }

    function post(EpochId epoch, bytes32 root, uint256 total) internal {
        rewards.postRoot(epoch, root, total, EVIDENCE, rootSignatures(epoch, root, total));
    }

    function post(EpochId epoch, Line[] memory lines, uint256 total) internal {
        post(epoch, Tree.rootOf(leavesOf(lines)), total);
    }

    function claim(EpochId epoch, Line[] memory lines, uint256 index) internal {
        Line memory line = lines[index];
        bytes32[] memory proof = Tree.proofOf(leavesOf(lines), index);
        rewards.claim(epoch, line.operator, line.cumulativeAmount, line.nodesRoot, proof);
    }
}
