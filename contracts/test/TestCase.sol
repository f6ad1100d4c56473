// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EpochId} from "../src/Ids.sol";
import {Vm} from "./Vm.sol";

/// What every test contract starts from: the cheat codes, bounded fuzz inputs, and signing keys.
abstract contract TestCase {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    // forge-lint: disable-next-line(screaming-snake-case-const)
    bool public constant IS_TEST = true;

    /// Maps any input into [least, most], each value about as often as any other.
    function bound(uint256 input, uint256 least, uint256 most) internal pure returns (uint256) {
        uint256 width = most - least;
        return width == type(uint256).max ? input : least + input % (width + 1);
    }

    /// `count` keys in the ascending order of their addresses, as the contracts want signers.
    function ascendingKeys(uint256 count, string memory seed) internal pure returns (uint256[] memory keys) {
        keys = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 key = uint256(keccak256(abi.encode(seed, i))) >> 8;
            uint256 place = i;
            for (; place > 0 && vm.addr(keys[place - 1]) > vm.addr(key); --place) {
                keys[place] = keys[place - 1];
            }
            keys[place] = key;
        }
    }

    function addressesOf(uint256[] memory keys) internal pure returns (address[] memory addresses) {
        addresses = new address[](keys.length);
        for (uint256 i = 0; i < keys.length; ++i) {
            addresses[i] = vm.addr(keys[i]);
        }
    }

    function signatureOf(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// Signatures of the first `count` keys.
    function signaturesOf(uint256[] memory keys, uint256 count, bytes32 digest)
        internal
        pure
        returns (bytes[] memory signatures)
    {
        signatures = new bytes[](count);
        for (uint256 i = 0; i < count; ++i) {
            signatures[i] = signatureOf(keys[i], digest);
        }
    }

    function firstOf(address[] memory all, uint256 count) internal pure returns (address[] memory first) {
        first = new address[](count);
        for (uint256 i = 0; i < count; ++i) {
            first[i] = all[i];
        }
    }

    function epochId(uint256 number) internal pure returns (EpochId) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return EpochId.wrap(uint64(number));
    }
}
