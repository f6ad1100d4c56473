// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// Number of an epoch. The first is 1, so 0 can mean "none yet". In the ABI: uint64.
type EpochId is uint64;

/// First 20 bytes of SHA-256 over the device key's SPKI DER. In the ABI: bytes20.
type NodeId is bytes20;

using {isAfter as >} for EpochId global;

function isAfter(EpochId epoch, EpochId other) pure returns (bool) {
    return EpochId.unwrap(epoch) > EpochId.unwrap(other);
}
