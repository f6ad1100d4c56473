// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The verifiers, and how many of them must agree
interface IVerifierSet {
    /* Rotation */

    /// @notice More verifiers than MAX_VERIFIERS.
    error TooManyVerifiers(uint256 count, uint256 most);

    /// @notice The threshold is zero or more than there are verifiers.
    error ThresholdOutOfRange(uint256 threshold, uint256 count);

    /// @notice The list is not strictly ascending, so it could hold one address twice, or it begins with zero.
    error VerifiersNotAscending(address previous, address next);

    /* Signatures */

    /// @notice Fewer signatures than the threshold.
    error TooFewSignatures(uint256 given, uint256 needed);

    /// @notice The signers are not strictly ascending, so one could be counted twice.
    error SignersNotAscending(address previous, address next);

    /// @notice A signature is valid but its signer is no verifier. A signature over other data also ends here, as it
    /// recovers to some other address.
    error NotAVerifier(address signer);

    /// @notice The set was replaced; emitted at construction too.
    event VerifiersRotated(address[] verifiers, uint256 threshold);

    /// @notice Replaces the whole set at once. Only the owner.
    /// @param verifiers_ Strictly ascending, none zero, at most MAX_VERIFIERS.
    /// @param threshold_ From 1 to the number of verifiers.
    function rotate(address[] calldata verifiers_, uint256 threshold_) external;

    /// @notice Reverts unless at least `threshold()` verifiers signed `digest`.
    /// @param signatures 65 bytes each (r, s, v), in strictly ascending order of signer address.
    /// @return signers Who signed, in the same order.
    function requireSignedBy(bytes32 digest, bytes[] calldata signatures)
        external
        view
        returns (address[] memory signers);

    /// @notice The verifiers in ascending order.
    function verifiers() external view returns (address[] memory);

    /// @notice How many verifiers must sign.
    function threshold() external view returns (uint256);

    /// @notice Whether `account` is a verifier now.
    function isVerifier(address account) external view returns (bool);
}
