// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {EpochRewards} from "../src/EpochRewards.sol";
import {EpochId, NodeId} from "../src/Ids.sol";
import {Leaves} from "../src/Leaves.sol";
import {RewardToken} from "../src/RewardToken.sol";
import {TypedData} from "../src/TypedData.sol";
import {VerifierSet} from "../src/VerifierSet.sol";
import {TestCase} from "./TestCase.sol";
import {Tree} from "./Tree.sol";

/// The vectors that TypeScript writes (protocol/golden/settlement.json) hold in Solidity too: what one side signs and
/// proves, the other accepts, byte for byte.
contract GoldenTest is TestCase {
    string private constant FILE = "../protocol/golden/settlement.json";
    uint64 private constant DELAY = 1 hours;

    string private json;
    EpochRewards private rewards;
    RewardToken private token;

    /// Builds EpochRewards at the address under which the vectors were signed, on the chain they were signed for.
    function setUp() external {
        json = vm.readFile(FILE);
        vm.chainId(number(".domain.chainId"));
        address where = vm.parseJsonAddress(json, ".domain.verifyingContract");

        address[] memory verifiers = new address[](1);
        verifiers[0] = vm.parseJsonAddress(json, ".epochRoot.signer");
        VerifierSet verifierSet = new VerifierSet(address(this), verifiers, 1);
        token = new RewardToken("Cairn Reward", "CAIRN", type(uint208).max, where);
        bytes memory arguments = abi.encode(token, verifierSet, number(".epochRoot.total"), DELAY);
        vm.etch(where, bytes.concat(type(EpochRewards).creationCode, arguments));
        (bool built, bytes memory code) = where.call("");
        require(built, "EpochRewards refused its arguments");
        vm.etch(where, code);
        rewards = EpochRewards(where);
    }

    function test_DomainSeparator() external view {
        (, string memory name, string memory version, uint256 chainId, address verifyingContract,,) =
            rewards.eip712Domain();
        vm.assertEq(name, vm.parseJsonString(json, ".domain.name"), "name");
        vm.assertEq(version, vm.parseJsonString(json, ".domain.version"), "version");
        vm.assertEq(chainId, number(".domain.chainId"), "chain id");
        vm.assertEq(verifyingContract, vm.parseJsonAddress(json, ".domain.verifyingContract"), "contract");
        vm.assertEq(rewards.domainSeparator(), word(".domainSeparator"), "domain separator");
    }

    function test_NodeLeavesAndTheirRoot() external view {
        bytes32[] memory leaves = new bytes32[](countOf(".nodeLeaves"));
        for (uint256 i = 0; i < leaves.length; ++i) {
            string memory at = element(".nodeLeaves", i);
            leaves[i] = Leaves.nodeLeaf(
                Leaves.NodeLeaf({
                    nodeId: nodeId(member(at, ".nodeId")),
                    slotsAttested: uint32(number(member(at, ".slotsAttested"))),
                    slotsExpected: uint32(number(member(at, ".slotsExpected"))),
                    slotsVoid: uint32(number(member(at, ".slotsVoid"))),
                    evidenceLevel: uint8(number(member(at, ".evidenceLevel"))),
                    workUnits: uint64(number(member(at, ".workUnits"))),
                    amount: number(member(at, ".amount"))
                })
            );
            vm.assertEq(leaves[i], word(member(at, ".leaf")), at);
        }
        vm.assertEq(Tree.rootOf(leaves), word(".nodesRoot"), "nodes root");
    }

    function test_OperatorLeavesTheirRootAndTheirProofs() external view {
        bytes32[] memory leaves = new bytes32[](countOf(".operatorLeaves"));
        for (uint256 i = 0; i < leaves.length; ++i) {
            string memory at = element(".operatorLeaves", i);
            leaves[i] = Leaves.operatorLeaf(
                vm.parseJsonAddress(json, member(at, ".operator")),
                number(member(at, ".cumulativeAmount")),
                word(member(at, ".nodesRoot"))
            );
            vm.assertEq(leaves[i], word(member(at, ".leaf")), at);
        }
        vm.assertEq(Tree.rootOf(leaves), word(".root"), "root");
        for (uint256 i = 0; i < leaves.length; ++i) {
            string memory at = element(".operatorLeaves", i);
            bytes32[] memory proof = vm.parseJsonBytes32Array(json, member(at, ".proof"));
            vm.assertTrue(MerkleProof.verify(proof, word(".root"), leaves[i]), at);
            vm.assertEq(keccak256(abi.encode(proof)), keccak256(abi.encode(Tree.proofOf(leaves, i))), "the one proof");
        }
    }

    function test_EpochRootDigestAndSignature() external view {
        bytes32 digest = rewards.epochRootDigest(
            epoch(".epochRoot.epoch"), word(".epochRoot.root"), number(".epochRoot.total"), word(".epochRoot.evidence")
        );
        assertSigned(digest, ".epochRoot");
        vm.assertEq(word(".epochRoot.root"), word(".root"), "the root signed is the root of the leaves");
    }

    function test_BeaconDigestAndSignature() external view {
        TypedData.Beacon memory beacon = TypedData.Beacon({
            epoch: epoch(".beacon.epoch"),
            slot: uint64(number(".beacon.slot")),
            nonce: word(".beacon.nonce"),
            opensAt: uint64(number(".beacon.opensAt")),
            closesAt: uint64(number(".beacon.closesAt"))
        });
        assertSigned(digestOf(TypedData.hash(beacon)), ".beacon");
    }

    function test_SlotReceiptDigestAndSignature() external view {
        TypedData.SlotReceipt memory receipt = TypedData.SlotReceipt({
            nodeId: nodeId(".slotReceipt.nodeId"),
            epoch: epoch(".slotReceipt.epoch"),
            firstSlot: uint64(number(".slotReceipt.firstSlot")),
            slotCount: uint32(number(".slotReceipt.slotCount")),
            credited: vm.parseJsonBytes(json, ".slotReceipt.credited"),
            voided: vm.parseJsonBytes(json, ".slotReceipt.void")
        });
        assertSigned(digestOf(TypedData.hash(receipt)), ".slotReceipt");
    }

    function test_TheContractAcceptsTheGoldenRootAndPaysTheGoldenLeaves() external {
        EpochId posted = epoch(".epochRoot.epoch");
        bytes[] memory signatures = new bytes[](1);
        signatures[0] = vm.parseJsonBytes(json, ".epochRoot.signature");
        rewards.postRoot(
            posted, word(".epochRoot.root"), number(".epochRoot.total"), word(".epochRoot.evidence"), signatures
        );
        vm.assertEq(token.balanceOf(address(rewards)), number(".epochRoot.total"), "minted");

        vm.warp(block.timestamp + DELAY);
        for (uint256 i = 0; i < countOf(".operatorLeaves"); ++i) {
            claimGolden(posted, element(".operatorLeaves", i));
        }
    }

    function claimGolden(EpochId posted, string memory at) private {
        address operator = vm.parseJsonAddress(json, member(at, ".operator"));
        uint256 cumulative = number(member(at, ".cumulativeAmount"));
        // The leaves are cumulative: what earlier epochs minted is not in this one's total.
        vm.prank(address(rewards));
        token.mint(address(rewards), cumulative);
        bytes32[] memory proof = vm.parseJsonBytes32Array(json, member(at, ".proof"));
        rewards.claim(posted, operator, cumulative, word(member(at, ".nodesRoot")), proof);
        vm.assertEq(token.balanceOf(operator), cumulative, at);
    }

    function assertSigned(bytes32 digest, string memory at) private view {
        vm.assertEq(digest, word(member(at, ".digest")), string.concat("digest of ", at));
        address signer = ECDSA.recover(digest, vm.parseJsonBytes(json, member(at, ".signature")));
        vm.assertEq(signer, vm.parseJsonAddress(json, member(at, ".signer")), string.concat("signer of ", at));
    }

    function digestOf(bytes32 structHash) private view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(rewards.domainSeparator(), structHash);
    }

    /* Reading the file */

    function countOf(string memory list) private view returns (uint256 count) {
        while (vm.keyExistsJson(json, element(list, count))) {
            ++count;
        }
        require(count > 0, string.concat(list, " is empty"));
    }

    function element(string memory list, uint256 index) private pure returns (string memory) {
        return string.concat(list, "[", vm.toString(index), "]");
    }

    function member(string memory of_, string memory name) private pure returns (string memory) {
        return string.concat(of_, name);
    }

    function word(string memory key) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, key);
    }

    function number(string memory key) private view returns (uint256) {
        return vm.parseJsonUint(json, key);
    }

    function epoch(string memory key) private view returns (EpochId) {
        return epochId(number(key));
    }

    function nodeId(string memory key) private view returns (NodeId) {
        bytes memory id = vm.parseJsonBytes(json, key);
        require(id.length == 20, string.concat(key, " is not 20 bytes long"));
        // forge-lint: disable-next-line(unsafe-typecast)
        return NodeId.wrap(bytes20(id));
    }
}
