/**
 * The folder with everything that a broker needs to hold the access policy, and what each node and the coordinator sign in with:
 *
 *   DIR/...                the broker's own configuration
 *   DIR/nodes/<NodeId>.json {username, password, expiresAt?}: to be brought to that node, for `cairn-node run --broker-credentials`
 *   DIR/coordinator.json   the same for the coordinators; with NATS also coordinator.creds beside it
 *   DIR/access.json        {kind, network}: whose access this is; no other's is written to the folder
 *
 * Credentials that are there already are kept, until they expire or are to be rotated; nodes that left the roster lose theirs.
 */
import { createPrivateKey, generateKeyPairSync, randomBytes, sign as signEd25519 } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { isNodeId, type NodeId } from "@cairn/protocol";
import { decode, encodeAccount, encodeOperator, encodeUser, fmtCreds } from "@nats-io/jwt";
import { createAccount, createOperator, createUser, fromSeed, type KeyPair, Prefix } from "nkeys.js";
// Its door leaves out how a public key is written.
import { Codec } from "nkeys.js/lib/codec.js";
import { CoordinatorFault } from "../fault.ts";
import type {
  AccessFile,
  NatsPermissions,
  NatsServer,
  NatsServers,
  PasswordAccess,
  PasswordBroker,
  Place,
} from "../model.ts";
import { readSecret, readSecretJson, writeDurably } from "./files.ts";

/** How the policy is written for each broker: the functions of decide/access.ts and decide/access-nats.ts. */
export type AccessWriters = {
  passwordFiles(kind: PasswordBroker, access: PasswordAccess): readonly AccessFile[];
  natsNode(network: string, nodeId: NodeId): NatsPermissions;
  natsCoordinator(network: string): NatsPermissions;
  natsGateway(network: string): NatsPermissions;
  natsConfiguration(all: NatsServers, server: NatsServer): string;
};

type Wanted = {
  readonly folder: string;
  readonly network: string;
  readonly nodes: readonly NodeId[];
  /** New credentials for all; what was signed before is revoked. */
  readonly rotate?: boolean;
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
};

export type PasswordAccessOptions = Wanted & {
  readonly kind: PasswordBroker;
  readonly listen: { readonly nodes: Place; readonly coordinators: Place };
  readonly user?: string;
};

export type NatsAccessOptions = Wanted & {
  readonly kind: "nats";
  readonly servers: readonly NatsServer[];
  readonly replicas: 1 | 3;
  /** Where the servers keep their streams; DIR/data when left out. */
  readonly storeFolder?: string;
  /** How long a token is good for, seconds. In its last third it is replaced by the next run. */
  readonly tokenSeconds: number;
  now(): number;
};

/** `expiresAt`: unix ms; none when the credential does not expire. */
export type BrokerCredential = { readonly username: string; readonly password: string; readonly expiresAt?: number };
export type CoordinatorCredential = BrokerCredential & {
  /** Name of the shared subscriptions, see PasswordAccess. */
  readonly shareGroup?: string;
  /** NATS: the file for the native connection, beside this one. */
  readonly creds?: string;
};

export type WrittenAccess = {
  /** Files of the broker's configuration, absolute. */
  readonly files: readonly string[];
  readonly added: number;
  readonly kept: number;
  readonly removed: number;
  /** When the first of the credentials expires, unix ms. */
  readonly expiresAt?: number;
};

const coordinatorFile = "coordinator.json";
const natsKeysFile = "nats-keys.json";
const noteFile = "access.json";

/**
 * Throws CoordinatorFault `setting-refused` when the folder is of another network or broker, `key-exposed` or `key-malformed` when what
 * lies in it may be read by others or is not ours.
 */
export async function writeAccess(
  options: PasswordAccessOptions | NatsAccessOptions,
  writers: AccessWriters,
): Promise<WrittenAccess> {
  mkdirSync(join(options.folder, "nodes"), { recursive: true, mode: 0o700 });
  noteOwner(options);
  return options.kind === "nats" ? writeNats(options, writers) : writePasswords(options, writers);
}

function noteOwner({ folder, kind, network }: PasswordAccessOptions | NatsAccessOptions): void {
  const path = join(folder, noteFile);
  if (!existsSync(path)) writeJson(path, { kind, network });
  const noted = readSecretJson(path, "note of whose access lies here") as { kind?: string; network?: string } | null;
  if (typeof noted?.kind !== "string" || typeof noted.network !== "string")
    throw new CoordinatorFault("key-malformed", `${path} names no kind and network`);
  if (noted.kind !== kind || noted.network !== network)
    throw new CoordinatorFault(
      "setting-refused",
      `${folder} holds the access of network ${noted.network} for ${noted.kind}: use another --out`,
    );
}

function writePasswords(options: PasswordAccessOptions, writers: AccessWriters): WrittenAccess {
  const { kind, network, rotate = false, listen, tls, user } = options;
  const folder = resolve(options.folder);
  const removed = removeOthers(folder, options.nodes, () => {});
  let kept = 0;
  const nodes = options.nodes.map((username) => {
    const known = readCredential(nodeFile(folder, username));
    if (known && !rotate) {
      kept += 1;
      return { username, password: known.password };
    }
    const password = newPassword();
    writeJson(nodeFile(folder, username), { username, password });
    return { username, password };
  });
  const path = join(folder, coordinatorFile);
  const known = readCredential(path);
  const coordinator = {
    username: "coordinator",
    password: known && !rotate ? known.password : newPassword(),
    // Kept when passwords change: sessions on the broker are bound to it.
    shareGroup: known?.shareGroup ?? `cairn-${network}-${randomBytes(12).toString("hex")}`,
  };
  writeJson(path, coordinator);
  const files = writers.passwordFiles(kind, {
    network,
    folder,
    nodes,
    coordinator,
    shareGroup: coordinator.shareGroup,
    listen,
    ...(tls ? { tls } : {}),
    ...(user === undefined ? {} : { user }),
    salt: () => randomBytes(12),
  });
  return { files: writeFiles(folder, files), added: nodes.length - kept, kept, removed };
}

/** Seeds of the keys that sign, and which users' tokens are not good any more: public key (or * for all) to unix seconds. */
type NatsKeys = {
  readonly operator: string;
  readonly account: string;
  readonly system: string;
  readonly revocations: Readonly<Record<string, number>>;
};

async function writeNats(options: NatsAccessOptions, writers: AccessWriters): Promise<WrittenAccess> {
  const { network, rotate = false, servers, replicas, tokenSeconds, tls, now } = options;
  const folder = resolve(options.folder);
  const nowSeconds = Math.floor(now() / 1000);
  const keysPath = join(folder, natsKeysFile);
  const keys: NatsKeys = existsSync(keysPath)
    ? (readSecretJson(keysPath, "keys of the NATS access") as NatsKeys)
    : {
        operator: seed(createOperator()),
        account: seed(createAccount()),
        system: seed(createAccount()),
        revocations: {},
      };
  const revocations: Record<string, number> = rotate ? { "*": nowSeconds - 1 } : { ...keys.revocations };
  const exp = nowSeconds + tokenSeconds;
  const good = (known: BrokerCredential | undefined): known is CoordinatorCredential =>
    known?.expiresAt !== undefined && !rotate && known.expiresAt / 1000 - nowSeconds > tokenSeconds / 3;
  const expiries: number[] = [];

  const removed = removeOthers(folder, options.nodes, (path) => {
    const subject = subjectOf(readCredential(path)?.password);
    if (subject) revocations[subject] = nowSeconds;
  });
  writeJson(keysPath, { ...keys, revocations });

  const issuer = nativeSigner(keys.account);
  const sign = async (name: string, user: string, permissions: NatsPermissions, mqtt: boolean, until: number) => {
    const allowed = mqtt ? (["MQTT"] as const) : (["STANDARD"] as const);
    const rights = {
      pub: { allow: [...permissions.pub.allow] },
      sub: { allow: [...permissions.sub.allow] },
      bearer_token: mqtt,
      allowed_connection_types: [...allowed],
    };
    return encodeUser(name, user, issuer, rights, { exp: until });
  };

  let kept = 0;
  for (const username of options.nodes) {
    const path = nodeFile(folder, username);
    const known = readCredential(path);
    if (good(known)) {
      kept += 1;
      expiries.push(known.expiresAt ?? 0);
      continue;
    }
    const password = await sign(username, newSubject(), writers.natsNode(network, username), true, exp);
    writeJson(path, { username, password, expiresAt: exp * 1000 });
    expiries.push(exp * 1000);
  }

  const path = join(folder, coordinatorFile);
  const known = readCredential(path);
  if (good(known) && existsSync(join(folder, "coordinator.creds"))) expiries.push(known.expiresAt ?? 0);
  else {
    const native = createUser();
    const token = await sign("coordinator", native.getPublicKey(), writers.natsCoordinator(network), false, exp);
    const creds = new TextDecoder().decode(fmtCreds(token, native));
    writeDurably(join(folder, "coordinator.creds"), creds, 0o600);
    const password = await sign("coordinator-mqtt", newSubject(), writers.natsGateway(network), true, exp);
    writeJson(path, { username: "coordinator-mqtt", password, creds: "coordinator.creds", expiresAt: exp * 1000 });
    expiries.push(exp * 1000);
  }

  const limits = { subs: -1, data: -1, payload: -1, conn: -1, leaf: -1, imports: -1, exports: -1, wildcards: true };
  const jetstream = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  const accountOf = async (name: string, secret: string, more: object) => ({
    id: publicKey(secret),
    token: await encodeAccount(name, secret, more, { signer: keys.operator }),
  });
  const system = await accountOf("system", keys.system, { limits });
  const account = await accountOf(network, keys.account, { limits: { ...limits, ...jetstream }, revocations });
  const all: NatsServers = {
    network,
    servers,
    replicas,
    folder: options.storeFolder ?? join(folder, "data"),
    ...(tls ? { tls } : {}),
    operatorToken: await encodeOperator("cairn", keys.operator, { system_account: system.id }),
    accounts: [account, system],
    systemAccount: system.id,
  };
  const files = servers.map((server) => ({
    path: `${server.name}.conf`,
    text: writers.natsConfiguration(all, server),
    secret: false,
  }));
  return {
    files: writeFiles(folder, files),
    added: options.nodes.length - kept,
    kept,
    removed,
    expiresAt: Math.min(...expiries),
  };
}

/** Reads what a coordinator signs in with. Throws CoordinatorFault `file-missing`, `key-exposed` or `key-malformed`. */
export function readCoordinatorCredential(path: string): CoordinatorCredential {
  const value = readSecretJson(path, "broker credentials") as Partial<CoordinatorCredential> | null;
  if (typeof value?.username !== "string" || typeof value.password !== "string")
    throw new CoordinatorFault("key-malformed", `the broker credentials ${path} hold no username and password`);
  return {
    ...(value as CoordinatorCredential),
    ...(value.creds === undefined ? {} : { creds: resolve(dirname(path), value.creds) }),
  };
}

/** The same for NATS, with the text of the .creds file that it names. */
export function readNatsCredential(path: string): BrokerCredential & { readonly creds: string } {
  const { creds, ...credential } = readCoordinatorCredential(path);
  if (creds === undefined)
    throw new CoordinatorFault(
      "key-malformed",
      `the broker credentials ${path} name no .creds file: they are not for NATS`,
    );
  return { ...credential, creds: readSecret(creds, "broker credentials") };
}

const nodeFile = (folder: string, nodeId: NodeId) => join(folder, "nodes", `${nodeId}.json`);
const newPassword = () => randomBytes(32).toString("base64url");
const seed = (pair: KeyPair) => new TextDecoder().decode(pair.getSeed());

/** RFC 8410: what stands before the 32 bytes of an Ed25519 seed in PKCS #8. */
const pkcs8Ed25519 = Buffer.from("302e020100300506032b657004220420", "hex");

/** The key of a seed, signing with the crypto of Node.js: that of nkeys is plain JavaScript, 20 ms a token. */
function nativeSigner(secret: string): KeyPair {
  const pair = fromSeed(new TextEncoder().encode(secret)) as KeyPair & { getRawSeed(): Uint8Array };
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Ed25519, pair.getRawSeed()]), format: "der", type: "pkcs8" });
  const known = pair.getPublicKey();
  return Object.assign(Object.create(pair) as KeyPair, {
    getPublicKey: () => known,
    sign: (input: Uint8Array) => new Uint8Array(signEd25519(null, input, key)),
  });
}

/** A bearer token names a user's key, but nobody ever signs with it: only its public half is made. */
function newSubject(): string {
  const { publicKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  return new TextDecoder().decode(Codec.encode(Prefix.User, raw));
}

function publicKey(secret: string): string {
  return fromSeed(new TextEncoder().encode(secret)).getPublicKey();
}

function subjectOf(token: string | undefined): string | undefined {
  try {
    return token === undefined ? undefined : decode(token).sub;
  } catch {
    // No token of ours: nothing that a server would take either.
    return undefined;
  }
}

function readCredential(path: string): CoordinatorCredential | undefined {
  return existsSync(path) ? readCoordinatorCredential(path) : undefined;
}

function removeOthers(folder: string, nodes: readonly NodeId[], leaving: (path: string) => void): number {
  const wanted = new Set<string>(nodes);
  const others = readdirSync(join(folder, "nodes"))
    .map((name) => name.replace(/\.json$/, ""))
    .filter((name) => isNodeId(name) && !wanted.has(name));
  for (const nodeId of others) {
    const path = nodeFile(folder, nodeId as NodeId);
    leaving(path);
    rmSync(path);
  }
  return others.length;
}

function writeJson(path: string, value: unknown): void {
  writeDurably(path, `${JSON.stringify(value, null, 2)}\n`, 0o600);
}

function writeFiles(folder: string, files: readonly AccessFile[]): string[] {
  return files.map(({ path, text, secret }) => {
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
    writeDurably(target, text, secret ? 0o600 : 0o644);
    return target;
  });
}
