// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EpochId} from "../Ids.sol";
import {IRewardToken} from "./IRewardToken.sol";
import {IVerifierSet} from "./IVerifierSet.sol";

/// @title Rewards by epoch: verifiers post a root, operators are paid against it
interface IEpochRewards {
    /* Construction */

    /// @notice The budget is zero or does not fit the 192 bits in which an epoch's total is kept.
    error EpochBudgetOutOfRange(uint256 epochBudget);

    /// @notice The delay is longer than MAX_ACTIVATION_DELAY.
    error ActivationDelayOutOfRange(uint64 activationDelay);

    /// @notice The token was built for another minter than this contract.
    error TokenMinterMismatch(address minter);

    /* Posting */

    /// @notice Epochs only rise; gaps are allowed.
    error EpochNotRising(EpochId epoch, EpochId lastEpoch);

    /// @notice A root of zero would read as "no root".
    error RootEmpty();

    /// @notice The epoch's total is more than one epoch may mint.
    error TotalAboveBudget(uint256 total, uint256 epochBudget);

    /* Claiming */

    /// @notice No root was posted for the epoch.
    error RootUnknown(EpochId epoch);

    /// @notice The root is posted but cannot be claimed against before `activatesAt` (unix seconds).
    error RootNotActive(EpochId epoch, uint64 activatesAt);

    /// @notice The proof does not lead from this leaf to the epoch's root.
    error ProofInvalid(bytes32 leaf);

    /// @notice The operator already received that much or more.
    error NothingToClaim(address operator, uint256 cumulativeAmount, uint256 claimed);

    /// @notice An epoch's root was accepted and its total minted.
    /// @param activatesAt Unix seconds from which claims are paid.
    /// @param signers The verifiers whose signatures were given, ascending.
    event RootPosted(
        EpochId indexed epoch,
        bytes32 indexed root,
        uint256 total,
        bytes32 evidence,
        uint64 activatesAt,
        address[] signers
    );

    /// @notice An operator was paid `amount`, which brings it to `cumulativeAmount`.
    event RewardClaimed(
        address indexed operator, EpochId indexed epoch, uint256 amount, uint256 cumulativeAmount, bytes32 nodesRoot
    );

    /// @notice Accepts an epoch's root and mints its total to this contract. Anyone may call.
    /// @param epoch Greater than `lastEpoch()`.
    /// @param root Root over the epoch's operator leaves.
    /// @param total Earned by all operators in this epoch; at most `epochBudget()`.
    /// @param evidence Hash of the evidence bundle from which the root was computed.
    /// @param signatures Over `epochRootDigest(epoch, root, total, evidence)`; see IVerifierSet.requireSignedBy.
    function postRoot(EpochId epoch, bytes32 root, uint256 total, bytes32 evidence, bytes[] calldata signatures)
        external;

    /// @notice Pays an operator what it earned and has not yet received. Anyone may call for any operator; the money
    /// goes to the operator alone.
    /// @param epoch An epoch whose root is active; the latest pays the most.
    /// @param cumulativeAmount As in the operator's leaf: all it has earned up to and with that epoch.
    /// @param nodesRoot As in the operator's leaf.
    /// @param proof From the operator's leaf to the epoch's root.
    function claim(
        EpochId epoch,
        address operator,
        uint256 cumulativeAmount,
        bytes32 nodesRoot,
        bytes32[] calldata proof
    ) external;

    /// @notice Root of an epoch, zero where none was posted.
    function rootOf(EpochId epoch) external view returns (bytes32);

    /// @notice Unix seconds from which an epoch's root can be claimed against, zero where none was posted.
    function activatesAt(EpochId epoch) external view returns (uint64);

    /// @notice What was minted for an epoch, zero where no root was posted.
    function totalOf(EpochId epoch) external view returns (uint256);

    /// @notice The greatest epoch with a root, zero before the first.
    function lastEpoch() external view returns (EpochId);

    /// @notice All that was ever paid to an operator, in the token's smallest unit.
    function claimed(address operator) external view returns (uint256);

    /// @notice Digest that verifiers sign for an epoch's root (EIP-712).
    function epochRootDigest(EpochId epoch, bytes32 root, uint256 total, bytes32 evidence)
        external
        view
        returns (bytes32);

    /// @notice Domain separator of everything verifiers sign (EIP-712).
    function domainSeparator() external view returns (bytes32);

    /// @notice The token in which rewards are paid.
    function token() external view returns (IRewardToken);

    /// @notice The verifiers who sign roots.
    function verifierSet() external view returns (IVerifierSet);

    /// @notice The most that one epoch may mint, in the token's smallest unit.
    function epochBudget() external view returns (uint256);

    /// @notice Seconds between the posting of a root and the first claim against it.
    function activationDelay() external view returns (uint64);
}
