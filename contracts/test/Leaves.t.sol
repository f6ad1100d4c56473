// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {EpochId, NodeId} from "../src/Ids.sol";
import {Leaves} from "../src/Leaves.sol";
import {TypedData} from "../src/TypedData.sol";
import {TestCase} from "./TestCase.sol";
import {Tree} from "./Tree.sol";

contract LeavesTest is TestCase {
    function testFuzz_OperatorLeafHashesItsEncodingTwice(address operator, uint256 amount, bytes32 nodesRoot)
        external
        pure
    {
        bytes32 typeHash = keccak256("OperatorLeaf(address operator,uint256 cumulativeAmount,bytes32 nodesRoot)");
        bytes32 once = keccak256(abi.encode(typeHash, operator, amount, nodesRoot));
        vm.assertEq(Leaves.operatorLeaf(operator, amount, nodesRoot), keccak256(bytes.concat(once)), "operator leaf");
    }

    function testFuzz_NodeLeafEncodesItsMembersInOrder(Leaves.NodeLeaf memory leaf) external pure {
        bytes32 typeHash = keccak256(
            "NodeLeaf(bytes20 nodeId,uint32 slotsAttested,uint32 slotsExpected,uint32 slotsVoid,uint8 evidenceLevel,uint64 workUnits,uint256 amount)"
        );
        bytes32 once = keccak256(
            abi.encode(
                typeHash,
                leaf.nodeId,
                leaf.slotsAttested,
                leaf.slotsExpected,
                leaf.slotsVoid,
                leaf.evidenceLevel,
                leaf.workUnits,
                leaf.amount
            )
        );
        vm.assertEq(Leaves.nodeLeaf(leaf), keccak256(bytes.concat(once)), "node leaf");
    }

    function testFuzz_EveryLeafOfATreeIsProvedAndNoOther(bytes32 seed, uint256 size, uint256 pick, bytes32 foreign)
        external
        pure
    {
        bytes32[] memory leaves = new bytes32[](bound(size, 1, 40));
        for (uint256 i = 0; i < leaves.length; ++i) {
            leaves[i] = keccak256(abi.encode(seed, i));
        }
        uint256 index = bound(pick, 0, leaves.length - 1);
        vm.assume(foreign != leaves[index]);

        bytes32 root = Tree.rootOf(leaves);
        bytes32[] memory proof = Tree.proofOf(leaves, index);
        vm.assertTrue(MerkleProof.verify(proof, root, leaves[index]), "own leaf");
        vm.assertFalse(MerkleProof.verify(proof, root, foreign), "foreign leaf");
    }
}

contract TypedDataTest is TestCase {
    function testFuzz_EpochRootHash(EpochId epoch, bytes32 root, uint256 total, bytes32 evidence) external pure {
        bytes32 typeHash = keccak256("EpochRoot(uint64 epoch,bytes32 root,uint256 total,bytes32 evidence)");
        vm.assertEq(
            TypedData.hash(TypedData.EpochRoot(epoch, root, total, evidence)),
            keccak256(abi.encode(typeHash, epoch, root, total, evidence)),
            "EpochRoot"
        );
    }

    function testFuzz_BeaconHash(EpochId epoch, uint64 slot, bytes32 nonce, uint64 opensAt, uint64 closesAt)
        external
        pure
    {
        bytes32 typeHash = keccak256("Beacon(uint64 epoch,uint64 slot,bytes32 nonce,uint64 opensAt,uint64 closesAt)");
        vm.assertEq(
            TypedData.hash(TypedData.Beacon(epoch, slot, nonce, opensAt, closesAt)),
            keccak256(abi.encode(typeHash, epoch, slot, nonce, opensAt, closesAt)),
            "Beacon"
        );
    }

    function testFuzz_SlotReceiptHashCoversBothBitmapsByTheirHashes(
        NodeId nodeId,
        EpochId epoch,
        uint64 firstSlot,
        uint32 slotCount,
        bytes memory credited,
        bytes memory voided
    ) external pure {
        bytes32 typeHash = keccak256(
            "SlotReceipt(bytes20 nodeId,uint64 epoch,uint64 firstSlot,uint32 slotCount,bytes credited,bytes void)"
        );
        vm.assertEq(
            TypedData.hash(TypedData.SlotReceipt(nodeId, epoch, firstSlot, slotCount, credited, voided)),
            keccak256(
                abi.encode(typeHash, nodeId, epoch, firstSlot, slotCount, keccak256(credited), keccak256(voided))
            ),
            "SlotReceipt"
        );
    }
}
