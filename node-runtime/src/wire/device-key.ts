/** The device key in a file: P-256, PKCS#8 PEM, readable by its owner alone. Other homes (tpm:, pkcs11:) give the same Signer. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type NodeId, nodeIdOf, parseDevicePublicKey, type Signer, signerOf, ueidOf } from "@cairn/protocol";
import { NodeFault } from "../fault.ts";

export type DeviceKey = {
  readonly nodeId: NodeId;
  /** Base64url, for evidence. */
  readonly ueid: string;
  /** SPKI PEM, what is enrolled. */
  readonly publicKey: string;
  readonly sign: Signer;
  /** Where the key lives: `file:///...`. */
  readonly uri: string;
};

const keyFile = (folder: string) => join(resolve(folder), "device.key");

/** Reads DIR/device.key. Throws NodeFault "key-refused" when it is absent, no P-256 key, or readable by others than its owner. */
export function readDeviceKey(folder: string): DeviceKey {
  const file = keyFile(folder);
  let pem: Buffer;
  try {
    const { mode } = statSync(file);
    if ((mode & 0o077) !== 0)
      throw new NodeFault(
        "key-refused",
        `the device key ${file} may be read by others (mode ${(mode & 0o777).toString(8)})`,
        `Run: chmod 600 ${file}; if others may have read it, delete it and enrol the node anew.`,
      );
    pem = readFileSync(file);
  } catch (cause) {
    if (cause instanceof NodeFault) throw cause;
    const absent = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new NodeFault(
      "key-refused",
      absent
        ? `there is no device key at ${file}`
        : `the device key ${file} cannot be read: ${(cause as Error).message}`,
      absent ? "Create it with: cairn-node key --data DIR" : "Run cairn-node as the key's owner.",
      cause,
    );
  }
  return deviceKeyOf(file, pem);
}

/** Creates DIR (0700) and DIR/device.key (0600) where absent, then reads it. An existing key is never replaced. */
export function createDeviceKey(folder: string): DeviceKey {
  const file = keyFile(folder);
  try {
    mkdirSync(resolve(folder), { recursive: true, mode: 0o700 });
    if (!statSync(file, { throwIfNoEntry: false })) {
      const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const fresh = `${file}.new`;
      writeFileSync(fresh, privateKey.export({ format: "pem", type: "pkcs8" }), { mode: 0o600, flush: true });
      chmodSync(fresh, 0o600);
      renameSync(fresh, file);
    }
  } catch (cause) {
    throw new NodeFault(
      "key-refused",
      `no device key can be written to ${file}: ${(cause as Error).message}`,
      "Name a data folder that this user may write to.",
      cause,
    );
  }
  return readDeviceKey(folder);
}

function deviceKeyOf(file: string, pem: Buffer): DeviceKey {
  const remedy = "Restore the key from the device's backup, or delete it, create a new one and enrol the node anew.";
  let privateKey: KeyObject;
  let publicKey: KeyObject;
  try {
    privateKey = createPrivateKey(pem);
    publicKey = createPublicKey(privateKey);
  } catch (cause) {
    throw new NodeFault("key-refused", `the device key ${file} is not a private key in PEM`, remedy, cause);
  }
  const spki = publicKey.export({ format: "pem", type: "spki" }).toString();
  const checked = parseDevicePublicKey(spki);
  if (!checked.ok) throw new NodeFault("key-refused", `the device key ${file}: ${checked.rejection.detail}`, remedy);
  return {
    nodeId: nodeIdOf(publicKey),
    ueid: ueidOf(publicKey).toString("base64url"),
    publicKey: spki,
    sign: signerOf(privateKey),
    uri: pathToFileURL(file).href,
  };
}
