// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {EpochId} from "./Ids.sol";
import {Leaves} from "./Leaves.sol";
import {TypedData} from "./TypedData.sol";
import {IEpochRewards} from "./interfaces/IEpochRewards.sol";
import {IRewardToken} from "./interfaces/IRewardToken.sol";
import {IVerifierSet} from "./interfaces/IVerifierSet.sol";

/// @title Epoch rewards
/// @notice The money equation, where no tokens were sent here by hand:
///
///     minted (sum of posted totals) = held by this contract + paid (sum of claimed)
///
/// A total is minted once, when its root is posted, and moved by plain transfers afterwards: a mint per claim would
/// write a vote checkpoint of the total supply each time. Leaves are cumulative, so a missed epoch costs an operator
/// nothing and one number per operator is all that stops a second payment.
///
/// @dev The contract cannot see the sum of the leaves under a root; that it matches the minted totals is what the
/// verifiers sign for. Leaves that promise more than was minted fail at the transfer, once the money is gone.
contract EpochRewards is EIP712, IEpochRewards {
    using SafeERC20 for IRewardToken;

    struct PostedRoot {
        bytes32 root;
        uint64 activatesAt;
        uint192 total;
    }

    /// @notice A longer delay is taken for a mistake of unit.
    uint64 public constant MAX_ACTIVATION_DELAY = 90 days;

    /// @inheritdoc IEpochRewards
    IRewardToken public immutable token;

    /// @inheritdoc IEpochRewards
    IVerifierSet public immutable verifierSet;

    /// @inheritdoc IEpochRewards
    uint256 public immutable epochBudget;

    /// @inheritdoc IEpochRewards
    uint64 public immutable activationDelay;

    /// @inheritdoc IEpochRewards
    EpochId public lastEpoch;

    /// @inheritdoc IEpochRewards
    mapping(address operator => uint256) public claimed;

    mapping(EpochId epoch => PostedRoot) private _posted;

    /// @param token_ Must name this contract as its minter.
    /// @param epochBudget_ From 1 to 2^192 - 1, in the token's smallest unit.
    /// @param activationDelay_ Seconds, from 0 to MAX_ACTIVATION_DELAY.
    constructor(IRewardToken token_, IVerifierSet verifierSet_, uint256 epochBudget_, uint64 activationDelay_)
        EIP712("Cairn", "1")
    {
        require(epochBudget_ > 0 && epochBudget_ <= type(uint192).max, EpochBudgetOutOfRange(epochBudget_));
        require(activationDelay_ <= MAX_ACTIVATION_DELAY, ActivationDelayOutOfRange(activationDelay_));
        address minter = token_.minter();
        require(minter == address(this), TokenMinterMismatch(minter));
        token = token_;
        verifierSet = verifierSet_;
        epochBudget = epochBudget_;
        activationDelay = activationDelay_;
    }

    /// @inheritdoc IEpochRewards
    function postRoot(EpochId epoch, bytes32 root, uint256 total, bytes32 evidence, bytes[] calldata signatures)
        external
    {
        require(epoch > lastEpoch, EpochNotRising(epoch, lastEpoch));
        require(root != bytes32(0), RootEmpty());
        require(total <= epochBudget, TotalAboveBudget(total, epochBudget));
        address[] memory signers =
            verifierSet.requireSignedBy(epochRootDigest(epoch, root, total, evidence), signatures);

        uint64 active = uint64(block.timestamp) + activationDelay;
        // The constructor keeps epochBudget, and so total, within 192 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        _posted[epoch] = PostedRoot({root: root, activatesAt: active, total: uint192(total)});
        lastEpoch = epoch;
        emit RootPosted(epoch, root, total, evidence, active, signers);
        token.mint(address(this), total);
    }

    /// @inheritdoc IEpochRewards
    function claim(
        EpochId epoch,
        address operator,
        uint256 cumulativeAmount,
        bytes32 nodesRoot,
        bytes32[] calldata proof
    ) external {
        PostedRoot storage posted = _posted[epoch];
        bytes32 root = posted.root;
        require(root != bytes32(0), RootUnknown(epoch));
        uint64 active = posted.activatesAt;
        require(block.timestamp >= active, RootNotActive(epoch, active));
        bytes32 leaf = Leaves.operatorLeaf(operator, cumulativeAmount, nodesRoot);
        require(MerkleProof.verifyCalldata(proof, root, leaf), ProofInvalid(leaf));
        uint256 paid = claimed[operator];
        require(cumulativeAmount > paid, NothingToClaim(operator, cumulativeAmount, paid));

        uint256 amount = cumulativeAmount - paid;
        claimed[operator] = cumulativeAmount;
        emit RewardClaimed(operator, epoch, amount, cumulativeAmount, nodesRoot);
        token.safeTransfer(operator, amount);
    }

    /// @inheritdoc IEpochRewards
    function rootOf(EpochId epoch) external view returns (bytes32) {
        return _posted[epoch].root;
    }

    /// @inheritdoc IEpochRewards
    function activatesAt(EpochId epoch) external view returns (uint64) {
        return _posted[epoch].activatesAt;
    }

    /// @inheritdoc IEpochRewards
    function totalOf(EpochId epoch) external view returns (uint256) {
        return _posted[epoch].total;
    }

    /// @inheritdoc IEpochRewards
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc IEpochRewards
    function epochRootDigest(EpochId epoch, bytes32 root, uint256 total, bytes32 evidence)
        public
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(
            TypedData.hash(TypedData.EpochRoot({epoch: epoch, root: root, total: total, evidence: evidence}))
        );
    }
}
