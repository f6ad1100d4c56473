// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EpochRewards} from "../src/EpochRewards.sol";
import {EpochId} from "../src/Ids.sol";
import {RewardToken} from "../src/RewardToken.sol";
import {Settlement} from "./Settlement.sol";
import {Tree} from "./Tree.sol";

/// The network in any order of events: epochs with gaps, earnings of any size, claims early, late, twice, of old epochs.
/// It keeps its own books, against which the invariants hold the contracts.
contract Network is Settlement {
    uint256 private constant OPERATORS = 5;

    EpochId[] private epochs;
    mapping(EpochId => Line[]) private linesOf;
    uint256[OPERATORS] private earnedSoFar;

    /// Sum of the totals of all roots accepted.
    uint256 public minted;
    /// Claims that paid although the operator already had as much.
    uint256 public paidTwice;
    /// Claims that paid before the root was active.
    uint256 public paidEarly;
    /// Claims refused although money was due.
    uint256 public refusedWrongly;

    constructor() {
        deploy(3, 2);
    }

    function contracts() external view returns (EpochRewards, RewardToken) {
        return (rewards, token);
    }

    function operator(uint256 index) public pure returns (address) {
        return vm.addr(index + 1);
    }

    function operatorCount() external pure returns (uint256) {
        return OPERATORS;
    }

    function earned(uint256 index) external view returns (uint256) {
        return earnedSoFar[index];
    }

    function closeEpoch(uint256 gap, uint256[OPERATORS] memory amounts) external {
        EpochId epoch = epochId(EpochId.unwrap(rewards.lastEpoch()) + 1 + bound(gap, 0, 3));
        uint256 total = 0;
        Line[] memory lines = new Line[](OPERATORS);
        for (uint256 i = 0; i < OPERATORS; ++i) {
            uint256 amount = bound(amounts[i], 0, BUDGET / OPERATORS);
            total += amount;
            earnedSoFar[i] += amount;
            lines[i] = Line(operator(i), earnedSoFar[i], keccak256(abi.encode(epoch, i)));
            linesOf[epoch].push(lines[i]);
        }
        post(epoch, lines, total);
        minted += total;
        epochs.push(epoch);
    }

    function claimOne(uint256 epochPick, uint256 operatorPick) external {
        if (epochs.length == 0) return;
        _claim(epochs[bound(epochPick, 0, epochs.length - 1)], bound(operatorPick, 0, OPERATORS - 1));
    }

    /// What every operator's own software does, twice in a row.
    function claimLatestForAll() external {
        if (epochs.length == 0) return;
        for (uint256 i = 0; i < 2 * OPERATORS; ++i) {
            _claim(epochs[epochs.length - 1], i % OPERATORS);
        }
    }

    /// Nothing posted is ever posted again, by whomever.
    function replay(uint256 epochPick) external {
        if (epochs.length == 0) return;
        EpochId epoch = epochs[bound(epochPick, 0, epochs.length - 1)];
        bytes32 root = rewards.rootOf(epoch);
        uint256 total = rewards.totalOf(epoch);
        try rewards.postRoot(epoch, root, total, EVIDENCE, rootSignatures(epoch, root, total)) {
            minted += total;
            ++paidTwice;
        } catch {}
    }

    function wait(uint256 time) external {
        vm.warp(block.timestamp + bound(time, 1, 2 * DELAY));
    }

    function _claim(EpochId epoch, uint256 index) private {
        Line[] memory lines = linesOf[epoch];
        Line memory line = lines[index];
        uint256 before = rewards.claimed(line.operator);
        bool active = block.timestamp >= rewards.activatesAt(epoch);
        bytes32[] memory proof = Tree.proofOf(leavesOf(lines), index);
        try rewards.claim(epoch, line.operator, line.cumulativeAmount, line.nodesRoot, proof) {
            if (before >= line.cumulativeAmount) ++paidTwice;
            if (!active) ++paidEarly;
        } catch {
            if (active && before < line.cumulativeAmount) ++refusedWrongly;
        }
    }
}

contract EpochRewardsInvariants is Settlement {
    Network private network;

    function setUp() external {
        vm.warp(1_800_000_000);
        network = new Network();
        (rewards, token) = network.contracts();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(network);
    }

    function invariant_MintedIsHeldPlusClaimed() external view {
        uint256 claimed = 0;
        for (uint256 i = 0; i < network.operatorCount(); ++i) {
            claimed += rewards.claimed(network.operator(i));
        }
        vm.assertEq(token.totalSupply(), network.minted(), "supply is what the posted totals come to");
        vm.assertEq(token.totalSupply(), token.balanceOf(address(rewards)) + claimed, "minted == held + claimed");
        vm.assertLe(claimed, token.totalSupply(), "claimed <= minted");
    }

    function invariant_EveryOperatorHoldsWhatItClaimedAndNoMoreThanItEarned() external view {
        for (uint256 i = 0; i < network.operatorCount(); ++i) {
            address operator = network.operator(i);
            vm.assertEq(token.balanceOf(operator), rewards.claimed(operator), "balance == claimed");
            vm.assertLe(rewards.claimed(operator), network.earned(i), "claimed <= earned");
        }
    }

    function invariant_NothingIsPaidTwiceOrEarlyAndNothingDueIsRefused() external view {
        vm.assertEq(network.paidTwice(), 0, "paid twice");
        vm.assertEq(network.paidEarly(), 0, "paid early");
        vm.assertEq(network.refusedWrongly(), 0, "refused although due");
    }
}
