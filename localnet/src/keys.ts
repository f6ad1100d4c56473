/**
 * Keys of the local network. The accounts are those of the mnemonic that every local development chain funds: they are public and
 * worth nothing elsewhere. The verifier's key is random, made once and kept in the data folder.
 */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type Address, addressOfKey } from "@cairn/protocol";
import { HDNodeWallet } from "ethers";
import { LocalnetFault } from "./fault.ts";

const mnemonic = "test test test test test test test test test test test junk";

/** Places in the mnemonic's row of accounts. */
const deployerIndex = 0;
const settlementIndex = 1;
const operatorIndexes = [5, 6] as const;

function account(index: number): HDNodeWallet {
  return HDNodeWallet.fromPhrase(mnemonic, undefined, `m/44'/60'/0'/0/${index}`);
}

/** Deploys the contracts and owns the verifier set. */
export function deployerAccount(): HDNodeWallet {
  return account(deployerIndex);
}

/** The operators that are paid; nodes take turns, so that one operator has several nodes. */
export function operatorAddresses(): readonly Address[] {
  return operatorIndexes.map((index) => account(index).address.toLowerCase() as Address);
}

/** Writes the key of the account that pays for transactions, readable by its owner only. */
export function writeSettlementKey(file: string): void {
  writeSecret(file, account(settlementIndex).privateKey);
}

/** The address of the verifier's key in the file; the key is made when there is none. Throws LocalnetFault `data-unusable`. */
export function verifierAddress(file: string): Address {
  if (!existsSync(file)) writeSecret(file, `0x${randomBytes(32).toString("hex")}`);
  const text = readFileSync(file, "utf8").trim();
  if (!/^0x[0-9a-f]{64}$/.test(text))
    throw new LocalnetFault("data-unusable", `${file} holds no key`, "begin anew with npm start -- --fresh");
  return addressOfKey(Buffer.from(text.slice(2), "hex"));
}

function writeSecret(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, `${text}\n`, { mode: 0o600 });
}
