/** Files the coordinator reads and writes beside its ledger: keys, roster, the network's description. */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { CoordinatorFault } from "../fault.ts";

/** Throws CoordinatorFault `file-missing`. */
export function readInput(path: string, what: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new CoordinatorFault("file-missing", `cannot read the ${what} ${path}: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** The coordinator's own P-256 key, made on the first start. */
export function coordinatorKey(path: string): KeyObject {
  if (!existsSync(path)) {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    writeDurably(path, privateKey.export({ format: "pem", type: "pkcs8" }).toString(), 0o600);
  }
  const text = readSecret(path, "coordinator's key");
  try {
    return createPrivateKey(text);
  } catch (cause) {
    throw new CoordinatorFault("key-malformed", `the coordinator's key ${path} is not a private key in PEM`, { cause });
  }
}

/** A secp256k1 private key as 0x and 64 hex digits. */
export function secp256k1Key(path: string, what: string): Buffer {
  const text = readSecret(path, what).trim();
  if (!/^0x[0-9a-fA-F]{64}$/.test(text))
    throw new CoordinatorFault("key-malformed", `the ${what} ${path} is not 0x and 64 hex digits`);
  return Buffer.from(text.slice(2), "hex");
}

/** A JSON file that holds a secret. Throws CoordinatorFault `file-missing`, `key-exposed` or `key-malformed`. */
export function readSecretJson(path: string, what: string): unknown {
  const text = readSecret(path, what);
  try {
    return JSON.parse(text);
  } catch (cause) {
    const why = text.includes("BEGIN NATS USER JWT")
      ? "give coordinator.json; coordinator.creds is read from beside it"
      : "not JSON";
    throw new CoordinatorFault("key-malformed", `the ${what} ${path}: ${why}`, { cause });
  }
}

/** Refuses a secret that others on this machine may read. Throws CoordinatorFault `file-missing`, `key-exposed`. */
export function readSecret(path: string, what: string): string {
  const bytes = readInput(path, what);
  if ((statSync(path).mode & 0o077) !== 0)
    throw new CoordinatorFault("key-exposed", `the ${what} ${path} may be read by others: chmod 600 ${path}`);
  return bytes.toString("utf8");
}

/** Whole or not at all, also when the power goes. */
export function writeDurably(path: string, text: string, mode = 0o644): void {
  const draft = `${path}.new`;
  // What a crash left behind may have another mode.
  rmSync(draft, { force: true });
  const file = openSync(draft, "wx", mode);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
}
