// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {NodeId} from "./Ids.sol";

/// @title Leaves of the two reward trees
/// @notice An epoch's root covers one leaf per operator; each operator leaf carries the root of a second tree, one leaf
/// per node of that operator. Both trees hash sorted pairs and promote an odd last node unchanged, which is what
/// OpenZeppelin's MerkleProof verifies.
/// @dev A leaf is hashed twice, so that no inner node (a hash of 64 bytes) can be passed off as a leaf, and begins with
/// its type hash, so that no leaf of one tree can be passed off as a leaf of the other.
library Leaves {
    bytes32 internal constant OPERATOR_LEAF_TYPEHASH =
        keccak256("OperatorLeaf(address operator,uint256 cumulativeAmount,bytes32 nodesRoot)");

    bytes32 internal constant NODE_LEAF_TYPEHASH = keccak256(
        "NodeLeaf(bytes20 nodeId,uint32 slotsAttested,uint32 slotsExpected,uint32 slotsVoid,uint8 evidenceLevel,uint64 workUnits,uint256 amount)"
    );

    /// @notice What one node did in one epoch and what it earned by it.
    struct NodeLeaf {
        NodeId nodeId;
        /// Slots credited.
        uint32 slotsAttested;
        /// Slots that could have been credited: all of the epoch's that are not void.
        uint32 slotsExpected;
        /// Slots that count for nobody.
        uint32 slotsVoid;
        /// Strength of key and measurements, as numbered by the protocol package.
        uint8 evidenceLevel;
        uint64 workUnits;
        /// Earned in this epoch, in the token's smallest unit.
        uint256 amount;
    }

    /// @notice Hash of an operator's leaf.
    /// @param operator The account that is paid.
    /// @param cumulativeAmount All that the operator has earned since epoch 1, in the token's smallest unit.
    /// @param nodesRoot Root over the operator's node leaves of the epoch.
    function operatorLeaf(address operator, uint256 cumulativeAmount, bytes32 nodesRoot)
        internal
        pure
        returns (bytes32)
    {
        return _hashTwice(abi.encode(OPERATOR_LEAF_TYPEHASH, operator, cumulativeAmount, nodesRoot));
    }

    /// @notice Hash of a node's leaf.
    /// @dev NodeLeaf has only static members, so its encoding is that of its members in order.
    function nodeLeaf(NodeLeaf memory leaf) internal pure returns (bytes32) {
        return _hashTwice(abi.encode(NODE_LEAF_TYPEHASH, leaf));
    }

    function _hashTwice(bytes memory encoded) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(encoded)));
    }
}
