// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {EpochRewards} from "../src/EpochRewards.sol";
import {EpochId} from "../src/Ids.sol";
import {Leaves} from "../src/Leaves.sol";
import {RewardToken} from "../src/RewardToken.sol";
import {VerifierSet} from "../src/VerifierSet.sol";
import {IEpochRewards} from "../src/interfaces/IEpochRewards.sol";
import {IVerifierSet} from "../src/interfaces/IVerifierSet.sol";
import {Settlement} from "./Settlement.sol";
import {Tree} from "./Tree.sol";

contract EpochRewardsTest is Settlement {
    address private constant ALICE = address(0xa11ce);
    address private constant BOB = address(0xb0b);
    EpochId private constant ONE = EpochId.wrap(1);
    EpochId private constant TWO = EpochId.wrap(2);

    function setUp() external {
        vm.warp(1_800_000_000);
        deploy(5, 3);
    }

    function pair(uint256 alice, uint256 bob) private pure returns (Line[] memory lines) {
        lines = new Line[](2);
        lines[0] = Line(ALICE, alice, keccak256("nodes of Alice"));
        lines[1] = Line(BOB, bob, keccak256("nodes of Bob"));
    }

    /* Construction */

    function test_KeepsWhatItWasBuiltWith() external view {
        vm.assertEq(address(rewards.token()), address(token), "token");
        vm.assertEq(address(rewards.verifierSet()), address(verifierSet), "verifier set");
        vm.assertEq(rewards.epochBudget(), BUDGET, "budget");
        vm.assertEq(rewards.activationDelay(), DELAY, "delay");
        vm.assertEq(EpochId.unwrap(rewards.lastEpoch()), 0, "last epoch");
    }

    function test_RefusesATokenWithAnotherMinter() external {
        vm.expectRevert(abi.encodeWithSelector(IEpochRewards.TokenMinterMismatch.selector, address(rewards)));
        new EpochRewards(token, verifierSet, BUDGET, DELAY);
    }

    function test_RefusesABudgetOutOfRange() external {
        vm.expectRevert(abi.encodeWithSelector(IEpochRewards.EpochBudgetOutOfRange.selector, 0));
        new EpochRewards(token, verifierSet, 0, DELAY);
        uint256 tooMuch = uint256(type(uint192).max) + 1;
        vm.expectRevert(abi.encodeWithSelector(IEpochRewards.EpochBudgetOutOfRange.selector, tooMuch));
        new EpochRewards(token, verifierSet, tooMuch, DELAY);
    }

    function test_RefusesADelayGivenInMilliseconds() external {
        uint64 tooLong = rewards.MAX_ACTIVATION_DELAY() + 1;
        vm.expectRevert(abi.encodeWithSelector(IEpochRewards.ActivationDelayOutOfRange.selector, tooLong));
        new EpochRewards(token, verifierSet, BUDGET, tooLong);
    }

    /* The domain */

    function test_SignsUnderTheDomainOfThisContractAndChain() external {
        bytes32 typeHash =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        bytes32 here =
            keccak256(abi.encode(typeHash, keccak256("Cairn"), keccak256("1"), block.chainid, address(rewards)));
        vm.assertEq(rewards.domainSeparator(), here, "domain separator");
        bytes32 digest = rewards.epochRootDigest(ONE, EVIDENCE, 1, EVIDENCE);

        vm.chainId(block.chainid + 1);
        vm.assertNotEq(rewards.domainSeparator(), here, "domain separator of a fork");
        vm.assertNotEq(rewards.epochRootDigest(ONE, EVIDENCE, 1, EVIDENCE), digest, "digest on a fork");
    }

    /* Posting */

    function test_PostingStoresTheRootMintsItsTotalAndTellsTheIndexer() external {
        bytes32 root = keccak256("root");
        bytes[] memory signatures = rootSignatures(ONE, root, 5 ether);
        uint64 activatesAt = uint64(block.timestamp) + DELAY;
        vm.expectEmit(address(rewards));
        emit IEpochRewards.RootPosted(ONE, root, 5 ether, EVIDENCE, activatesAt, firstOf(addressesOf(keys), 3));
        vm.prank(BOB);
        rewards.postRoot(ONE, root, 5 ether, EVIDENCE, signatures);

        vm.assertEq(rewards.rootOf(ONE), root, "root");
        vm.assertEq(rewards.activatesAt(ONE), activatesAt, "activates at");
        vm.assertEq(rewards.totalOf(ONE), 5 ether, "total");
        vm.assertEq(EpochId.unwrap(rewards.lastEpoch()), 1, "last epoch");
        vm.assertEq(token.balanceOf(address(rewards)), 5 ether, "held");
        vm.assertEq(token.totalSupply(), 5 ether, "supply");
    }

    function test_AnEpochIsPostedOnce() external {
        post(ONE, keccak256("root"), 5 ether);
        bytes[] memory signatures = rootSignatures(ONE, keccak256("other root"), 5 ether);
        vm.expectRevert(abi.encodeWithSelector(IEpochRewards.EpochNotRising.selector, ONE, ONE));
        rewards.postRoot(ONE, keccak256("other root"), 5 ether, EVIDENCE, signatures);
    }

    function test_SignaturesCannotBePostedTwice() external {
        bytes32 root = keccak256("root");
        bytes[] memory signatures = rootSignatures(ONE, root, 5 ether);
        rewards.postRoot(ONE, root, 5 ether, EVIDENCE, signatures);
        vm.expectRevert(abi.encodeWithSelector(IEpochRewards.EpochNotRising.selector, ONE, ONE));
        rewards.postRoot(ONE, root, 5 ether, EVIDENCE, signatures);
        vm.assertEq(token.totalSupply(), 5 ether, "supply");
    }

    function testFuzz_EpochsOnlyRiseAndMayLeaveGaps(uint64 first, uint64 second) external {
        first = uint64(bound(first, 1, type(uint64).max));
        EpochId later = EpochId.wrap(second);
        post(EpochId.wrap(first), keccak256("first"), 1);
        bytes[] memory signatures = rootSignatures(later, keccak256("second"), 1);
        if (second <= first) {
            vm.expectRevert(abi.encodeWithSelector(IEpochRewards.EpochNotRising.selector, later, EpochId.wrap(first)));
            rewards.postRoot(later, keccak256("second"), 1, EVIDENCE, signatures);
        } else {
            rewards.postRoot(later, keccak256("second"), 1, EVIDENCE, signatures);
            vm.assertEq(EpochId.unwrap(rewards.lastEpoch()), second, "last epoch");
        }
    }

    function test_ThereIsNoEpochZero() external {
        EpochId zero = EpochId.wrap(0);
        bytes[] memory signatures = rootSignatures(zero, keccak256("root"), 1);
        vm.expectRevert(abi.encodeWithSelector(IEpochRewards.EpochNotRising.selector, zero, zero));
        rewards.postRoot(zero, keccak256("root"), 1, EVIDENCE, signatures);
    }

    function test_RefusesAnEmptyRoot() external {
        bytes[] memory signatures = rootSignatures(ONE, bytes32(0), 1);
        vm.expectRevert(abi.encodeWithSelector(IEpochRewards.RootEmpty.selector));
        rewards.postRoot(ONE, bytes32(0), 1, EVIDENCE, signatures);
    }

    function test_MintsUpToTheBudgetAndNotOneMore() external {
        bytes32 root = keccak256("root");
        bytes[] memory signatures = rootSignatures(ONE, root, BUDGET + 1);
        vm.expectRevert(abi.encodeWithSelector(IEpochRewards.TotalAboveBudget.selector, BUDGET + 1, BUDGET));
        rewards.postRoot(ONE, root, BUDGET + 1, EVIDENCE, signatures);
        post(ONE, root, BUDGET);
        vm.assertEq(token.totalSupply(), BUDGET, "supply");
    }

    function test_AnEpochThatEarnedNothingCanBePosted() external {
        post(ONE, keccak256("root"), 0);
        vm.assertEq(token.totalSupply(), 0, "supply");
        vm.assertEq(rewards.rootOf(ONE), keccak256("root"), "root");
    }

    function test_PostsNothingBeyondTheTokensCap() external {
        address next = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        token = new RewardToken("Scarce", "SCARCE", 7 ether, next);
        rewards = new EpochRewards(token, verifierSet, BUDGET, DELAY);
        post(ONE, keccak256("root"), 5 ether);
        bytes[] memory signatures = rootSignatures(TWO, keccak256("root"), 3 ether);
        vm.expectRevert(abi.encodeWithSelector(ERC20Votes.ERC20ExceededSafeSupply.selector, 8 ether, 7 ether));
        rewards.postRoot(TWO, keccak256("root"), 3 ether, EVIDENCE, signatures);
        vm.assertEq(EpochId.unwrap(rewards.lastEpoch()), 1, "last epoch");
    }

    function test_RefusesTooFewSignatures() external {
        bytes32 root = keccak256("root");
        bytes[] memory signatures = signaturesOf(keys, 2, rewards.epochRootDigest(ONE, root, 1, EVIDENCE));
        vm.expectRevert(abi.encodeWithSelector(IVerifierSet.TooFewSignatures.selector, 2, 3));
        rewards.postRoot(ONE, root, 1, EVIDENCE, signatures);
    }

    function test_RefusesOneSignerCountedTwice() external {
        bytes32 root = keccak256("root");
        bytes[] memory signatures = rootSignatures(ONE, root, 1);
        signatures[1] = signatures[0];
        address signer = vm.addr(keys[0]);
        vm.expectRevert(abi.encodeWithSelector(IVerifierSet.SignersNotAscending.selector, signer, signer));
        rewards.postRoot(ONE, root, 1, EVIDENCE, signatures);
    }

    /// Each of the four signed values is covered by the signatures.
    function testFuzz_NothingSignedCanBeChanged(uint256 field, bytes32 changed) external {
        uint64 epoch = 1;
        bytes32 root = keccak256("root");
        uint256 total = 5 ether;
        bytes32 evidence = EVIDENCE;
        bytes[] memory signatures = rootSignatures(ONE, root, total);
        field = bound(field, 0, 3);
        if (field == 0) epoch = uint64(bound(uint256(changed), 2, type(uint64).max));
        if (field == 1) root = changed;
        if (field == 2) total = bound(uint256(changed), 0, BUDGET);
        if (field == 3) evidence = changed;
        vm.assume(root != bytes32(0));
        vm.assume(epoch != 1 || root != keccak256("root") || total != 5 ether || evidence != EVIDENCE);

        try rewards.postRoot(EpochId.wrap(epoch), root, total, evidence, signatures) {
            vm.assertTrue(false, "a changed root was accepted");
        } catch {}
        vm.assertEq(token.totalSupply(), 0, "supply");
    }

    function test_RefusesSignaturesForAnotherContract() external {
        bytes32 root = keccak256("root");
        bytes[] memory signatures = rootSignatures(ONE, root, 1);
        address next = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        RewardToken otherToken = new RewardToken("Other", "OTHER", CAP, next);
        EpochRewards other = new EpochRewards(otherToken, verifierSet, BUDGET, DELAY);
        try other.postRoot(ONE, root, 1, EVIDENCE, signatures) {
            vm.assertTrue(false, "signatures for another contract were accepted");
        } catch {}
    }

    function test_ARotatedSetSignsAndTheOldOneNoMore() external {
        bytes32 root = keccak256("root");
        bytes[] memory old = rootSignatures(ONE, root, 1);
        keys = ascendingKeys(2, "next verifier");
        verifierSet.rotate(addressesOf(keys), 2);
        try rewards.postRoot(ONE, root, 1, EVIDENCE, old) {
            vm.assertTrue(false, "the old set was accepted");
        } catch {}
        post(ONE, root, 1);
        vm.assertEq(rewards.rootOf(ONE), root, "root");
    }

    /* Claiming */

    function test_AnyoneClaimsForAnOperatorAndOnlyTheOperatorIsPaid() external {
        Line[] memory lines = pair(3 ether, 2 ether);
        post(ONE, lines, 5 ether);
        vm.warp(block.timestamp + DELAY);
        bytes32[] memory proof = Tree.proofOf(leavesOf(lines), 0);
        vm.expectEmit(address(rewards));
        emit IEpochRewards.RewardClaimed(ALICE, ONE, 3 ether, 3 ether, lines[0].nodesRoot);
        vm.prank(BOB);
        rewards.claim(ONE, ALICE, 3 ether, lines[0].nodesRoot, proof);

        vm.assertEq(token.balanceOf(ALICE), 3 ether, "paid to Alice");
        vm.assertEq(token.balanceOf(BOB), 0, "paid to the caller");
        vm.assertEq(token.balanceOf(address(rewards)), 2 ether, "held");
        vm.assertEq(rewards.claimed(ALICE), 3 ether, "claimed");
        vm.assertEq(rewards.claimed(BOB), 0, "claimed by Bob");
    }

    function test_ASecondClaimOfTheSameEpochIsRefused() external {
        Line[] memory lines = pair(3 ether, 2 ether);
        post(ONE, lines, 5 ether);
        vm.warp(block.timestamp + DELAY);
        claim(ONE, lines, 0);
        bytes32[] memory proof = Tree.proofOf(leavesOf(lines), 0);
        vm.expectRevert(abi.encodeWithSelector(IEpochRewards.NothingToClaim.selector, ALICE, 3 ether, 3 ether));
        rewards.claim(ONE, ALICE, 3 ether, lines[0].nodesRoot, proof);
        vm.assertEq(token.balanceOf(ALICE), 3 ether, "paid");
    }

    function test_ALaterEpochPaysTheDifferenceAndTheEarlierThenNothing() external {
        Line[] memory first = pair(3 ether, 2 ether);
        Line[] memory second = pair(4 ether, 9 ether);
        post(ONE, first, 5 ether);
        post(TWO, second, 8 ether);
        vm.warp(block.timestamp + DELAY);
        claim(ONE, first, 0);
        claim(TWO, second, 0);
        claim(TWO, second, 1);
        vm.assertEq(token.balanceOf(ALICE), 4 ether, "Alice, in two steps");
        vm.assertEq(token.balanceOf(BOB), 9 ether, "Bob, who skipped an epoch");
        vm.assertEq(token.balanceOf(address(rewards)), 0, "held");

        bytes32[] memory proof = Tree.proofOf(leavesOf(first), 1);
        vm.expectRevert(abi.encodeWithSelector(IEpochRewards.NothingToClaim.selector, BOB, 2 ether, 9 ether));
        rewards.claim(ONE, BOB, 2 ether, first[1].nodesRoot, proof);
    }

    function test_RefusesAnEpochWithoutARoot() external {
        post(ONE, pair(3 ether, 2 ether), 5 ether);
        vm.expectRevert(abi.encodeWithSelector(IEpochRewards.RootUnknown.selector, TWO));
        rewards.claim(TWO, ALICE, 3 ether, bytes32(0), new bytes32[](0));
    }

    function test_PaysFromTheSecondOfActivationOnAndNotBefore() external {
        Line[] memory lines = pair(3 ether, 2 ether);
        post(ONE, lines, 5 ether);
        uint64 activatesAt = rewards.activatesAt(ONE);
        bytes32[] memory proof = Tree.proofOf(leavesOf(lines), 0);
        vm.warp(activatesAt - 1);
        vm.expectRevert(abi.encodeWithSelector(IEpochRewards.RootNotActive.selector, ONE, activatesAt));
        rewards.claim(ONE, ALICE, 3 ether, lines[0].nodesRoot, proof);
        vm.warp(activatesAt);
        rewards.claim(ONE, ALICE, 3 ether, lines[0].nodesRoot, proof);
        vm.assertEq(token.balanceOf(ALICE), 3 ether, "paid");
    }

    function testFuzz_NoMemberOfALeafCanBeChanged(address operator, uint256 amount, bytes32 nodesRoot, uint256 field)
        external
    {
        Line[] memory lines = pair(3 ether, 2 ether);
        post(ONE, lines, 5 ether);
        vm.warp(block.timestamp + DELAY);
        Line memory forged = lines[0];
        bytes32[] memory proof = Tree.proofOf(leavesOf(lines), 0);
        field = bound(field, 0, 2);
        if (field == 0) forged.operator = operator;
        if (field == 1) forged.cumulativeAmount = amount;
        if (field == 2) forged.nodesRoot = nodesRoot;
        bytes32 leaf = Leaves.operatorLeaf(forged.operator, forged.cumulativeAmount, forged.nodesRoot);
        vm.assume(leaf != leavesOf(pair(3 ether, 2 ether))[0]);

        vm.expectRevert(abi.encodeWithSelector(IEpochRewards.ProofInvalid.selector, leaf));
        rewards.claim(ONE, forged.operator, forged.cumulativeAmount, forged.nodesRoot, proof);
    }

    function test_ALeafOfAnotherEpochProvesNothing() external {
        Line[] memory first = pair(3 ether, 2 ether);
        Line[] memory second = pair(4 ether, 9 ether);
        post(ONE, first, 5 ether);
        post(TWO, second, 8 ether);
        vm.warp(block.timestamp + DELAY);
        bytes32[] memory leaves = leavesOf(second);
        bytes32[] memory proof = Tree.proofOf(leaves, 0);
        vm.expectRevert(abi.encodeWithSelector(IEpochRewards.ProofInvalid.selector, leaves[0]));
        rewards.claim(ONE, ALICE, 4 ether, second[0].nodesRoot, proof);
    }

    /// Leaves that promise more than was minted end at the balance; what others were paid is not touched.
    function test_PaysNoMoreThanWasMinted() external {
        Line[] memory lines = pair(4 ether, 2 ether);
        post(ONE, lines, 5 ether);
        vm.warp(block.timestamp + DELAY);
        claim(ONE, lines, 0);
        bytes32[] memory proof = Tree.proofOf(leavesOf(lines), 1);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, address(rewards), 1 ether, 2 ether)
        );
        rewards.claim(ONE, BOB, 2 ether, lines[1].nodesRoot, proof);
        vm.assertEq(rewards.claimed(BOB), 0, "claimed");
    }

    /// However an operator spreads its claims over epochs, it ends with what the last claimed leaf says.
    function testFuzz_SkippingEpochsCostsNothing(uint256[8] memory earned, uint8 claimedIn) external {
        uint256 cumulative = 0;
        uint256 lastClaimed = 0;
        for (uint64 i = 0; i < 8; ++i) {
            earned[i] = bound(earned[i], 1, BUDGET);
            cumulative += earned[i];
            EpochId epoch = EpochId.wrap(i + 1);
            Line[] memory lines = pair(cumulative, 0);
            post(epoch, lines, earned[i]);
            vm.warp(block.timestamp + DELAY);
            if ((claimedIn >> i) & 1 == 1) {
                claim(epoch, lines, 0);
                lastClaimed = cumulative;
            }
            vm.assertEq(token.balanceOf(ALICE), lastClaimed, "paid");
            vm.assertEq(token.balanceOf(address(rewards)), cumulative - lastClaimed, "held");
        }
    }
}
