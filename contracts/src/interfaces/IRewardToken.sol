// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title Token in which operators are paid
interface IRewardToken is IERC20 {
    /* Construction */

    /// @notice The cap is zero, or more than the vote checkpoints can count (2^208 - 1).
    error CapOutOfRange(uint256 cap);

    /// @notice The minter is the zero address.
    error MinterMissing();

    /* Minting */

    /// @notice Only the minter mints.
    error NotTheMinter(address caller);

    /// @notice Creates `amount` for `to`. Only the minter; the supply never passes the cap.
    /// @param amount In the token's smallest unit.
    function mint(address to, uint256 amount) external;

    /// @notice The one account that mints, fixed at construction.
    function minter() external view returns (address);

    /// @notice The supply that is never passed, in the token's smallest unit.
    function cap() external view returns (uint256);
}
