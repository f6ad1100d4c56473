// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {EpochId} from "../src/Ids.sol";
import {Leaves} from "../src/Leaves.sol";
import {Settlement} from "./Settlement.sol";

/// Gas of whole transactions (with the 21,000 and the calldata), written to snapshots/EpochRewards.json so that a
/// review sees what a change costs. With FORGE_SNAPSHOT_CHECK=true a difference fails instead.
/// forge-config: default.isolate = true
contract GasTest is Settlement {
    address private constant OPERATOR = address(0xa11ce);
    bytes32 private constant NODES_ROOT = keccak256("nodes");
    /// A tree of a million operators.
    uint256 private constant PROOF_LENGTH = 20;

    function setUp() external {
        vm.warp(1_800_000_000);
    }

    function test_PostRoot1Of1() external {
        deploy(1, 1);
        postAndSnapshot(1, "postRoot, 1 of 1, first");
        postAndSnapshot(2, "postRoot, 1 of 1, later");
    }

    function test_PostRoot3Of5() external {
        deploy(5, 3);
        postAndSnapshot(1, "postRoot, 3 of 5, first");
        postAndSnapshot(2, "postRoot, 3 of 5, later");
    }

    function test_Claim() external {
        deploy(1, 1);
        postLeaf(1, 10 ether);
        postLeaf(2, 20 ether);
        vm.warp(block.timestamp + DELAY);
        claimAndSnapshot(1, 10 ether, "claim, proof of 20, first");
        claimAndSnapshot(2, 20 ether, "claim, proof of 20, repeat");
    }

    function test_ClaimOfAnOperatorThatDelegatedItsVotes() external {
        deploy(1, 1);
        vm.prank(OPERATOR);
        token.delegate(OPERATOR);
        postLeaf(1, 10 ether);
        postLeaf(2, 20 ether);
        vm.warp(block.timestamp + DELAY);
        claimAndSnapshot(1, 10 ether, "claim, proof of 20, votes delegated, first");
        vm.warp(block.timestamp + DELAY);
        claimAndSnapshot(2, 20 ether, "claim, proof of 20, votes delegated, repeat");
    }

    function postAndSnapshot(uint256 number, string memory name) private {
        EpochId epoch = epochId(number);
        bytes32 root = keccak256(abi.encode("root", number));
        bytes[] memory signatures = rootSignatures(epoch, root, 100 ether);
        vm.warp(block.timestamp + 1);
        rewards.postRoot(epoch, root, 100 ether, EVIDENCE, signatures);
        vm.snapshotGasLastCall("EpochRewards", name);
    }

    function postLeaf(uint256 number, uint256 cumulative) private {
        bytes32 root = Leaves.operatorLeaf(OPERATOR, cumulative, NODES_ROOT);
        bytes32[] memory proof = siblings();
        for (uint256 i = 0; i < proof.length; ++i) {
            root = Hashes.commutativeKeccak256(root, proof[i]);
        }
        vm.warp(block.timestamp + 1);
        post(epochId(number), root, 100 ether);
    }

    function claimAndSnapshot(uint256 number, uint256 cumulative, string memory name) private {
        rewards.claim(epochId(number), OPERATOR, cumulative, NODES_ROOT, siblings());
        vm.snapshotGasLastCall("EpochRewards", name);
    }

    function siblings() private pure returns (bytes32[] memory proof) {
        proof = new bytes32[](PROOF_LENGTH);
        for (uint256 i = 0; i < PROOF_LENGTH; ++i) {
            proof[i] = keccak256(abi.encode("sibling", i));
        }
    }
}
