// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {RewardToken} from "../src/RewardToken.sol";
import {IRewardToken} from "../src/interfaces/IRewardToken.sol";
import {TestCase} from "./TestCase.sol";

contract RewardTokenTest is TestCase {
    uint256 private constant CAP = 1000 ether;
    address private constant MINTER = address(0x314e5);
    address private constant ALICE = address(0xa11ce);

    RewardToken private token;

    function setUp() external {
        token = new RewardToken("Cairn Reward", "CAIRN", CAP, MINTER);
    }

    function test_KnowsItsNameCapAndMinter() external view {
        vm.assertEq(token.name(), "Cairn Reward", "name");
        vm.assertEq(token.symbol(), "CAIRN", "symbol");
        vm.assertEq(token.decimals(), 18, "decimals");
        vm.assertEq(token.cap(), CAP, "cap");
        vm.assertEq(token.minter(), MINTER, "minter");
        vm.assertEq(token.totalSupply(), 0, "supply");
    }

    function testFuzz_OnlyTheMinterMints(address caller, uint256 amount) external {
        vm.assume(caller != MINTER);
        vm.expectRevert(abi.encodeWithSelector(IRewardToken.NotTheMinter.selector, caller));
        vm.prank(caller);
        token.mint(ALICE, amount);
    }

    function testFuzz_TheSupplyNeverPassesTheCap(uint256 first, uint256 second) external {
        first = bound(first, 0, CAP);
        second = bound(second, 0, 2 * CAP);
        vm.prank(MINTER);
        token.mint(ALICE, first);
        if (first + second > CAP) {
            vm.expectRevert(abi.encodeWithSelector(ERC20Votes.ERC20ExceededSafeSupply.selector, first + second, CAP));
            vm.prank(MINTER);
            token.mint(ALICE, second);
            vm.assertEq(token.totalSupply(), first, "supply");
        } else {
            vm.prank(MINTER);
            token.mint(ALICE, second);
            vm.assertEq(token.totalSupply(), first + second, "supply");
        }
    }

    function test_RefusesACapOfZero() external {
        vm.expectRevert(abi.encodeWithSelector(IRewardToken.CapOutOfRange.selector, 0));
        new RewardToken("Cairn Reward", "CAIRN", 0, MINTER);
    }

    function test_RefusesACapThatVotesCannotCount() external {
        uint256 most = type(uint208).max;
        new RewardToken("Cairn Reward", "CAIRN", most, MINTER);
        vm.expectRevert(abi.encodeWithSelector(IRewardToken.CapOutOfRange.selector, most + 1));
        new RewardToken("Cairn Reward", "CAIRN", most + 1, MINTER);
    }

    function test_RefusesToBeWithoutAMinter() external {
        vm.expectRevert(abi.encodeWithSelector(IRewardToken.MinterMissing.selector));
        new RewardToken("Cairn Reward", "CAIRN", CAP, address(0));
    }

    function test_VotesAreCountedByTime() external {
        vm.assertEq(token.CLOCK_MODE(), "mode=timestamp", "clock mode");
        vm.warp(1_000_000);
        vm.assertEq(token.clock(), 1_000_000, "clock");
        vm.prank(MINTER);
        token.mint(ALICE, 7 ether);
        vm.prank(ALICE);
        token.delegate(ALICE);
        vm.warp(1_000_010);
        vm.prank(ALICE);
        require(token.transfer(MINTER, 2 ether));
        vm.warp(1_000_020);
        vm.assertEq(token.getPastVotes(ALICE, 1_000_009), 7 ether, "votes before the transfer");
        vm.assertEq(token.getVotes(ALICE), 5 ether, "votes after it");
        vm.assertEq(token.getPastTotalSupply(1_000_009), 7 ether, "past supply");
    }

    function test_PermitAllowsBySignatureOnce() external {
        uint256[] memory keys = ascendingKeys(1, "holder");
        address holder = vm.addr(keys[0]);
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                holder,
                ALICE,
                3 ether,
                token.nonces(holder),
                block.timestamp
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(keys[0], keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash)));
        token.permit(holder, ALICE, 3 ether, block.timestamp, v, r, s);
        vm.assertEq(token.allowance(holder, ALICE), 3 ether, "allowance");
        vm.assertEq(token.nonces(holder), 1, "nonce");
    }
}
