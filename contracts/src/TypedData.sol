// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EpochId, NodeId} from "./Ids.sol";

/// @title Struct hashes of what verifiers sign (EIP-712)
/// @notice All are signed under one domain: name "Cairn", version "1", the chain's id, the address of EpochRewards. The
/// digest to sign is keccak256(0x1901 || domain separator || struct hash).
library TypedData {
    bytes32 internal constant EPOCH_ROOT_TYPEHASH =
        keccak256("EpochRoot(uint64 epoch,bytes32 root,uint256 total,bytes32 evidence)");

    bytes32 internal constant BEACON_TYPEHASH =
        keccak256("Beacon(uint64 epoch,uint64 slot,bytes32 nonce,uint64 opensAt,uint64 closesAt)");

    bytes32 internal constant SLOT_RECEIPT_TYPEHASH = keccak256(
        "SlotReceipt(bytes20 nodeId,uint64 epoch,uint64 firstSlot,uint32 slotCount,bytes credited,bytes void)"
    );

    /// @notice What m verifiers agree an epoch came to.
    struct EpochRoot {
        EpochId epoch;
        /// Root over the operator leaves.
        bytes32 root;
        /// Earned by all operators in this epoch, in the token's smallest unit.
        uint256 total;
        /// Hash of the evidence bundle from which anyone can compute the root again.
        bytes32 evidence;
    }

    /// @notice A verifier's unpredictable nonce for one slot.
    struct Beacon {
        EpochId epoch;
        uint64 slot;
        bytes32 nonce;
        /// Unix milliseconds, by the verifier's clock.
        uint64 opensAt;
        /// Unix milliseconds, by the verifier's clock.
        uint64 closesAt;
    }

    /// @notice Which slots of a run a verifier credited to a node, and which it held void.
    struct SlotReceipt {
        NodeId nodeId;
        EpochId epoch;
        uint64 firstSlot;
        uint32 slotCount;
        /// Bitmap of slotCount bits.
        bytes credited;
        /// Bitmap of slotCount bits. Named `void` in the signed type.
        bytes voided;
    }

    function hash(EpochRoot memory signed) internal pure returns (bytes32) {
        return keccak256(abi.encode(EPOCH_ROOT_TYPEHASH, signed));
    }

    function hash(Beacon memory signed) internal pure returns (bytes32) {
        return keccak256(abi.encode(BEACON_TYPEHASH, signed));
    }

    /// @dev EIP-712, encodeData: a member of type bytes is encoded as the hash of its contents.
    function hash(SlotReceipt memory signed) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                SLOT_RECEIPT_TYPEHASH,
                signed.nodeId,
                signed.epoch,
                signed.firstSlot,
                signed.slotCount,
                keccak256(signed.credited),
                keccak256(signed.voided)
            )
        );
    }
}
