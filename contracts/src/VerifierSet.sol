// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IVerifierSet} from "./interfaces/IVerifierSet.sol";

/// @title Verifier set: m of n
/// @notice A rotation counts from its own transaction on: what was signed by the old set and is not yet posted must be
/// signed again by the new one.
contract VerifierSet is Ownable2Step, IVerifierSet {
    /// @notice Bounds the loops of a rotation, which touches every old and every new verifier.
    uint256 public constant MAX_VERIFIERS = 64;

    /// @inheritdoc IVerifierSet
    uint256 public threshold;

    /// @inheritdoc IVerifierSet
    mapping(address account => bool) public isVerifier;

    address[] private _verifiers;

    /// @param owner_ May rotate the set and hand over that right in two steps.
    /// @param verifiers_ Strictly ascending, none zero, at most MAX_VERIFIERS.
    /// @param threshold_ From 1 to the number of verifiers.
    constructor(address owner_, address[] memory verifiers_, uint256 threshold_) Ownable(owner_) {
        _rotate(verifiers_, threshold_);
    }

    /// @inheritdoc IVerifierSet
    function rotate(address[] calldata verifiers_, uint256 threshold_) external onlyOwner {
        _rotate(verifiers_, threshold_);
    }

    /// @inheritdoc IVerifierSet
    function requireSignedBy(bytes32 digest, bytes[] calldata signatures)
        external
        view
        returns (address[] memory signers)
    {
        require(signatures.length >= threshold, TooFewSignatures(signatures.length, threshold));
        signers = new address[](signatures.length);
        address previous = address(0);
        for (uint256 i = 0; i < signatures.length; ++i) {
            address signer = ECDSA.recoverCalldata(digest, signatures[i]);
            require(signer > previous, SignersNotAscending(previous, signer));
            require(isVerifier[signer], NotAVerifier(signer));
            signers[i] = signer;
            previous = signer;
        }
    }

    /// @inheritdoc IVerifierSet
    function verifiers() external view returns (address[] memory) {
        return _verifiers;
    }

    function _rotate(address[] memory verifiers_, uint256 threshold_) private {
        uint256 count = verifiers_.length;
        require(count <= MAX_VERIFIERS, TooManyVerifiers(count, MAX_VERIFIERS));
        require(threshold_ > 0 && threshold_ <= count, ThresholdOutOfRange(threshold_, count));

        for (uint256 i = 0; i < _verifiers.length; ++i) {
            isVerifier[_verifiers[i]] = false;
        }
        address previous = address(0);
        for (uint256 i = 0; i < count; ++i) {
            address next = verifiers_[i];
            require(next > previous, VerifiersNotAscending(previous, next));
            isVerifier[next] = true;
            previous = next;
        }
        _verifiers = verifiers_;
        threshold = threshold_;
        emit VerifiersRotated(verifiers_, threshold_);
    }
}
