// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {VerifierSet} from "../src/VerifierSet.sol";
import {IVerifierSet} from "../src/interfaces/IVerifierSet.sol";
import {TestCase} from "./TestCase.sol";

contract VerifierSetTest is TestCase {
    bytes32 private constant DIGEST = keccak256("what is signed");
    address private constant OWNER = address(0x0417e7);

    uint256[] private keys;
    address[] private members;
    VerifierSet private set;

    function setUp() external {
        keys = ascendingKeys(5, "verifier");
        members = addressesOf(keys);
        set = new VerifierSet(OWNER, members, 3);
    }

    /* Signatures */

    function test_AcceptsExactlyTheThreshold() external view {
        address[] memory signers = set.requireSignedBy(DIGEST, signaturesOf(keys, 3, DIGEST));
        vm.assertEq(signers, firstOf(members, 3), "signers");
    }

    function test_AcceptsAllMembers() external view {
        vm.assertEq(set.requireSignedBy(DIGEST, signaturesOf(keys, 5, DIGEST)), members, "signers");
    }

    function test_RefusesOneSignatureTooFew() external {
        bytes[] memory signatures = signaturesOf(keys, 2, DIGEST);
        vm.expectRevert(abi.encodeWithSelector(IVerifierSet.TooFewSignatures.selector, 2, 3));
        set.requireSignedBy(DIGEST, signatures);
    }

    function test_RefusesNoSignatures() external {
        vm.expectRevert(abi.encodeWithSelector(IVerifierSet.TooFewSignatures.selector, 0, 3));
        set.requireSignedBy(DIGEST, new bytes[](0));
    }

    function test_RefusesOneSignerTwice() external {
        bytes[] memory signatures = signaturesOf(keys, 3, DIGEST);
        signatures[2] = signatures[1];
        vm.expectRevert(abi.encodeWithSelector(IVerifierSet.SignersNotAscending.selector, members[1], members[1]));
        set.requireSignedBy(DIGEST, signatures);
    }

    function test_RefusesSignersOutOfOrder() external {
        bytes[] memory signatures = signaturesOf(keys, 3, DIGEST);
        (signatures[0], signatures[1]) = (signatures[1], signatures[0]);
        vm.expectRevert(abi.encodeWithSelector(IVerifierSet.SignersNotAscending.selector, members[1], members[0]));
        set.requireSignedBy(DIGEST, signatures);
    }

    function test_RefusesAStrangerAmongMembers() external {
        uint256[] memory mixed = ascendingKeys(3, "stranger");
        bytes[] memory signatures = signaturesOf(mixed, 3, DIGEST);
        vm.expectRevert(abi.encodeWithSelector(IVerifierSet.NotAVerifier.selector, vm.addr(mixed[0])));
        set.requireSignedBy(DIGEST, signatures);
    }

    function test_RefusesAStrangerBeyondTheThreshold() external {
        VerifierSet pair = new VerifierSet(OWNER, firstOf(members, 2), 2);
        bytes[] memory signatures = signaturesOf(keys, 3, DIGEST);
        vm.expectRevert(abi.encodeWithSelector(IVerifierSet.NotAVerifier.selector, members[2]));
        pair.requireSignedBy(DIGEST, signatures);
    }

    function test_RefusesASignatureOfWrongLength() external {
        bytes[] memory signatures = signaturesOf(keys, 3, DIGEST);
        signatures[0] = hex"00112233";
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureLength.selector, 4));
        set.requireSignedBy(DIGEST, signatures);
    }

    function test_RefusesASignatureThatRecoversToNobody() external {
        bytes[] memory signatures = signaturesOf(keys, 3, DIGEST);
        signatures[0][64] = bytes1(uint8(99));
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignature.selector));
        set.requireSignedBy(DIGEST, signatures);
    }

    function test_RefusesTheOtherSignatureOfTheSameKey() external {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[0], DIGEST);
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        bytes32 highS = bytes32(order - uint256(s));
        bytes[] memory signatures = signaturesOf(keys, 3, DIGEST);
        signatures[0] = abi.encodePacked(r, highS, v == 27 ? uint8(28) : uint8(27));
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureS.selector, highS));
        set.requireSignedBy(DIGEST, signatures);
    }

    /// Any subset of the members passes if and only if it is as large as the threshold.
    function testFuzz_AnySubsetCountsByItsSize(uint256 chosen, uint256 threshold, bytes32 digest) external {
        threshold = bound(threshold, 1, 5);
        VerifierSet fresh = new VerifierSet(OWNER, members, threshold);
        uint256[] memory signing = new uint256[](5);
        uint256 count = 0;
        for (uint256 i = 0; i < 5; ++i) {
            if ((chosen >> i) & 1 == 1) signing[count++] = keys[i];
        }
        bytes[] memory signatures = signaturesOf(signing, count, digest);
        if (count < threshold) {
            vm.expectRevert(abi.encodeWithSelector(IVerifierSet.TooFewSignatures.selector, count, threshold));
            fresh.requireSignedBy(digest, signatures);
        } else {
            vm.assertEq(fresh.requireSignedBy(digest, signatures).length, count, "signers");
        }
    }

    /// What was signed cannot be passed off as anything else.
    function testFuzz_SignaturesHoldForOneDigest(bytes32 other) external view {
        vm.assume(other != DIGEST);
        bytes[] memory signatures = signaturesOf(keys, 3, DIGEST);
        try set.requireSignedBy(other, signatures) {
            vm.assertTrue(false, "signatures over another digest were accepted");
        } catch {}
    }

    /* Rotation */

    function test_RotationReplacesTheWholeSet() external {
        uint256[] memory newKeys = ascendingKeys(2, "next");
        address[] memory newMembers = addressesOf(newKeys);
        vm.expectEmit(address(set));
        emit IVerifierSet.VerifiersRotated(newMembers, 2);
        vm.prank(OWNER);
        set.rotate(newMembers, 2);

        vm.assertEq(set.verifiers(), newMembers, "verifiers");
        vm.assertEq(set.threshold(), 2, "threshold");
        vm.assertTrue(set.isVerifier(newMembers[0]) && set.isVerifier(newMembers[1]), "new members");
        for (uint256 i = 0; i < members.length; ++i) {
            vm.assertFalse(set.isVerifier(members[i]), "old member");
        }
        set.requireSignedBy(DIGEST, signaturesOf(newKeys, 2, DIGEST));
        bytes[] memory old = signaturesOf(keys, 3, DIGEST);
        vm.expectRevert(abi.encodeWithSelector(IVerifierSet.NotAVerifier.selector, members[0]));
        set.requireSignedBy(DIGEST, old);
    }

    function test_RotationKeepsMembersOfBothSets() external {
        vm.prank(OWNER);
        set.rotate(firstOf(members, 2), 1);
        vm.assertTrue(set.isVerifier(members[0]) && set.isVerifier(members[1]), "kept");
        vm.assertFalse(set.isVerifier(members[2]), "dropped");
    }

    function test_OnlyTheOwnerRotates() external {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, address(this)));
        set.rotate(members, 3);
    }

    function test_OwnershipMovesOnlyWhenAccepted() external {
        vm.prank(OWNER);
        set.transferOwnership(address(this));
        vm.assertEq(set.owner(), OWNER, "owner before");
        set.acceptOwnership();
        vm.assertEq(set.owner(), address(this), "owner after");
        set.rotate(members, 5);
        vm.assertEq(set.threshold(), 5, "threshold");
    }

    function test_RefusesAThresholdOfZero() external {
        vm.expectRevert(abi.encodeWithSelector(IVerifierSet.ThresholdOutOfRange.selector, 0, 5));
        vm.prank(OWNER);
        set.rotate(members, 0);
    }

    function test_RefusesAThresholdAboveTheCount() external {
        vm.expectRevert(abi.encodeWithSelector(IVerifierSet.ThresholdOutOfRange.selector, 6, 5));
        new VerifierSet(OWNER, members, 6);
    }

    function test_RefusesAnEmptySet() external {
        vm.expectRevert(abi.encodeWithSelector(IVerifierSet.ThresholdOutOfRange.selector, 1, 0));
        vm.prank(OWNER);
        set.rotate(new address[](0), 1);
    }

    function test_RefusesOneVerifierTwice() external {
        members[3] = members[2];
        vm.expectRevert(abi.encodeWithSelector(IVerifierSet.VerifiersNotAscending.selector, members[2], members[3]));
        vm.prank(OWNER);
        set.rotate(members, 3);
    }

    function test_RefusesTheZeroAddressAsVerifier() external {
        members[0] = address(0);
        vm.expectRevert(abi.encodeWithSelector(IVerifierSet.VerifiersNotAscending.selector, address(0), address(0)));
        new VerifierSet(OWNER, members, 3);
    }

    function test_HoldsAsManyVerifiersAsItSaysAndNoMore() external {
        uint256 most = set.MAX_VERIFIERS();
        address[] memory many = new address[](most + 1);
        for (uint256 i = 0; i < many.length; ++i) {
            // forge-lint: disable-next-line(unsafe-typecast)
            many[i] = address(uint160(i + 1));
        }
        vm.prank(OWNER);
        set.rotate(firstOf(many, most), most);
        vm.assertEq(set.verifiers().length, most, "verifiers");

        vm.expectRevert(abi.encodeWithSelector(IVerifierSet.TooManyVerifiers.selector, most + 1, most));
        vm.prank(OWNER);
        set.rotate(many, 1);
    }
}
