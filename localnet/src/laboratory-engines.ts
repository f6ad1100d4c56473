/** The engines beside a laboratory's coordinators: a broker with its access policy, and a ledger. */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { freePorts, openPostgres, type Postgres, type Program, program } from "@cairn/neighbours";
import { houseRoot, programFile } from "./house.ts";
import type { Places } from "./places.ts";

export type BrokerEngine = {
  /** Where nodes connect. */
  readonly nodeUrls: readonly string[];
  /** Folder of the nodes' credentials; none where they show the token. */
  readonly logins: string | undefined;
  /** The coordinator's settings. */
  readonly flags: readonly string[];
  readonly servers: readonly Program[];
};

export type BrokerPlan = {
  readonly kind: "mosquitto" | "nats";
  /** NATS: servers in the cluster. */
  readonly servers: 1 | 3;
  readonly network: string;
  readonly folder: string;
  readonly roster: string;
  readonly places: Places;
};

/** Writes the access policy as an admin does, and starts the servers. */
export async function startBroker(plan: BrokerPlan): Promise<BrokerEngine> {
  const out = join(plan.folder, "broker");
  mkdirSync(out);
  const write = (...more: string[]) => {
    const args = ["access", "--broker", plan.kind, "--network", plan.network, "--roster", plan.roster, "--out", out];
    const { status, stderr } = spawnSync(process.execPath, [programFile("cairn-coordinator"), ...args, ...more], {
      cwd: houseRoot,
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`cairn-coordinator access: ${stderr}`);
  };
  const credentials = ["--broker-credentials", join(out, "coordinator.json")];
  const logins = join(out, "nodes");
  if (plan.kind === "mosquitto") {
    const { host, wrap } = plan.places.at("broker-1");
    const [nodes = 0, coordinators = 0] = await freePorts(2);
    write("--listen", `${host}:${nodes}`, "--coordinators", `${host}:${coordinators}`, "--user", userInfo().username);
    const server = program({
      ...wrap("mosquitto", ["-c", join(out, "mosquitto.conf")]),
      host,
      ports: [nodes, coordinators],
    });
    await server.start();
    const flags = ["--broker", `mqtt://${host}:${coordinators}`, ...credentials];
    return { nodeUrls: [`mqtt://${host}:${nodes}`], logins, flags, servers: [server] };
  }
  const ports = await freePorts(3 * plan.servers);
  const servers = Array.from({ length: plan.servers }, (_, index) => {
    const [client = 0, mqtt = 0, route = 0] = ports.slice(3 * index);
    return { name: `broker-${index + 1}`, place: plan.places.at(`broker-${index + 1}`), client, mqtt, route };
  });
  write(
    "--servers",
    servers.map(({ name, place, client, mqtt, route }) => `${name}=${place.host}:${client}:${mqtt}:${route}`).join(),
  );
  const programs = servers.map(({ name, place, client, mqtt }) =>
    program({
      ...place.wrap("nats-server", ["-c", join(out, `${name}.conf`)]),
      host: place.host,
      ports: [client, mqtt],
    }),
  );
  await Promise.all(programs.map((server) => server.start()));
  const gateways = servers.map(({ place, mqtt }) => `mqtt://${place.host}:${mqtt}`);
  const natives = servers.map(({ place, client }) => `nats://${place.host}:${client}`);
  const flags = ["--broker", natives.join(), "--broker-gateway", gateways.join(), ...credentials];
  return {
    nodeUrls: gateways,
    logins,
    flags: [...flags, "--stream-replicas", `${plan.servers}`],
    servers: programs,
  };
}

export type LedgerEngine = { readonly postgres: Postgres; readonly url: string };

/** A PostgreSQL server with an empty database. `folder`: where its data lies. */
export async function startLedger(places: Places, folder?: string): Promise<LedgerEngine> {
  const { host, wrap } = places.at("postgres");
  const inNamespace = host !== "127.0.0.1";
  const postgres = await openPostgres({
    host,
    ...(folder ? { folder } : {}),
    ...(inNamespace ? { wrap, allow: host.replace(/\d+$/, "0/24") } : {}),
  });
  return { postgres, url: await postgres.createDatabase() };
}
