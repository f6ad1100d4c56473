// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";
import {IRewardToken} from "./interfaces/IRewardToken.sol";

/// @title Reward token: capped, with votes and permit
/// @notice Nobody owns this contract. Its minter is an immutable, given at construction as the address at which the
/// rewards contract is going to be created: no account ever holds the power to choose a minter, there is no state in
/// which the token is live but not set up, and a mint reads no storage to know its caller.
contract RewardToken is ERC20, ERC20Permit, ERC20Votes, IRewardToken {
    /// @inheritdoc IRewardToken
    address public immutable minter;

    /// @inheritdoc IRewardToken
    uint256 public immutable cap;

    /// @param name_ At most 31 bytes; also the name of the permit and delegation domain (version "1").
    /// @param cap_ From 1 to 2^208 - 1, in the smallest unit (18 decimals).
    /// @param minter_ Address of the rewards contract, which may not exist yet.
    constructor(string memory name_, string memory symbol_, uint256 cap_, address minter_)
        ERC20(name_, symbol_)
        ERC20Permit(name_)
    {
        require(cap_ > 0 && cap_ <= type(uint208).max, CapOutOfRange(cap_));
        require(minter_ != address(0), MinterMissing());
        cap = cap_;
        minter = minter_;
    }

    /// @inheritdoc IRewardToken
    function mint(address to, uint256 amount) external {
        require(msg.sender == minter, NotTheMinter(msg.sender));
        _mint(to, amount);
    }

    /// @notice Votes are counted at points of time, because block numbers mean different things on different chains.
    function clock() public view override returns (uint48) {
        return Time.timestamp();
    }

    /// @notice Machine-readable description of the clock (ERC-6372).
    // forge-lint: disable-next-line(mixed-case-function)
    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    /// @inheritdoc ERC20Permit
    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }

    /// @dev ERC20Votes checks this maximum after every mint.
    function _maxSupply() internal view override returns (uint256) {
        return cap;
    }

    function _update(address from, address to, uint256 amount) internal override(ERC20, ERC20Votes) {
        super._update(from, to, amount);
    }
}
