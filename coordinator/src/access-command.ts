/** cairn-coordinator access: writes a broker's configuration from the network's access policy, and everybody's credentials. */
import { networkPattern } from "@cairn/protocol";
import { type Option, readOptions, refused, usageOf } from "./command-line.ts";
import { accessFiles } from "./decide/access.ts";
import { natsConfiguration, natsCoordinator, natsGateway, natsNode } from "./decide/access-nats.ts";
import type { NatsServer, PasswordBroker, Place } from "./model.ts";
import { parseRoster } from "./validate/roster.ts";
import { writeAccess } from "./wire/access-files.ts";
import { readInput } from "./wire/files.ts";

const what =
  "writes a broker's configuration from the network's access policy, and the credentials of nodes and coordinators.";
const options = {
  broker: { help: "mosquitto, emqx, hivemq, vernemq or nats", value: "KIND" },
  network: { help: "the network's name", value: "NAME", fallback: "local" },
  roster: { help: "file that lists the enrolled nodes", value: "FILE" },
  out: { help: "folder to write to; credentials that lie there are kept", value: "DIR" },
  listen: { help: "all but NATS: where the broker listens for nodes", value: "HOST:PORT", fallback: "0.0.0.0:1883" },
  coordinators: {
    help: "all but NATS: where the broker listens for coordinators",
    value: "HOST:PORT",
    fallback: "127.0.0.1:1884",
  },
  servers: {
    help: "NATS: name=host or name=host:client-port:mqtt-port:route-port of every server, separated by commas",
    value: "LIST",
    fallback: "nats-1=127.0.0.1",
  },
  store: {
    help: "NATS: folder in which the servers keep their streams; out/data if not said",
    value: "DIR",
    fallback: "",
  },
  "token-days": {
    help: "NATS: how long tokens are good for, days; the next run renews them in their last third",
    value: "N",
    fallback: "90",
  },
  "tls-cert": {
    help: "certificate in PEM for the nodes' listener, as the broker will find it",
    value: "FILE",
    fallback: "",
  },
  "tls-key": { help: "its key", value: "FILE", fallback: "" },
  user: { help: "Mosquitto: system user that the broker runs as", value: "NAME", fallback: "" },
  rotate: { help: "new credentials for everybody; those of before are revoked" },
} as const satisfies Record<string, Option>;

const daySeconds = 86_400;
const passwordBrokers: readonly PasswordBroker[] = ["mosquitto", "emqx", "hivemq", "vernemq"];
const natsOnly = ["servers", "store", "token-days"] as const;
const listeners = ["listen", "coordinators"] as const;
const natsPorts = ["4222", "1883", "6222"] as const;

/** Returns the exit code. Throws CoordinatorFault `setting-refused`, `file-missing`, `key-exposed` or `key-malformed`. */
export async function accessCommand(args: readonly string[]): Promise<number> {
  const given = readOptions("access", options, args);
  if (!given) {
    process.stdout.write(usageOf("access", what, options));
    return 0;
  }
  const { text } = given;
  const kind = text("broker");
  const password = passwordBrokers.find((each) => each === kind);
  if (!password && kind !== "nats") throw refused(`--broker is ${kind}: ${options.broker.help} is needed`);
  const foreign = [...(password ? natsOnly : listeners), ...(password === "mosquitto" ? [] : (["user"] as const))].find(
    (name) => args.some((arg) => arg === `--${name}` || arg.startsWith(`--${name}=`)),
  );
  if (foreign) throw refused(`--${foreign} is not for ${kind}: ${options[foreign].help}`);
  const network = text("network");
  if (!new RegExp(networkPattern).test(network))
    throw refused(`--network is ${network}: lower-case letters, digits and hyphens, at most 32, are needed`);
  const roster = parseRoster(readInput(text("roster"), "roster"));
  if (!roster.ok) throw refused(`--roster ${text("roster")}: ${roster.rejection.detail} (${roster.rejection.code})`);
  if ((text("tls-cert") === "") !== (text("tls-key") === ""))
    throw refused("--tls-cert and --tls-key are needed together");
  const common = {
    folder: text("out"),
    network,
    nodes: roster.value.map(({ nodeId }) => nodeId),
    rotate: given.has("rotate"),
    ...(text("tls-cert") ? { tls: { certFile: text("tls-cert"), keyFile: text("tls-key") } } : {}),
  };
  const writers = { passwordFiles: accessFiles, natsNode, natsCoordinator, natsGateway, natsConfiguration };
  const servers = password ? [] : serversOf(text("servers"));
  const written = await writeAccess(
    password
      ? {
          ...common,
          kind: password,
          listen: listenOf(text("listen"), text("coordinators")),
          ...(text("user") ? { user: text("user") } : {}),
        }
      : {
          ...common,
          kind: "nats",
          servers,
          replicas: servers.length >= 3 ? 3 : 1,
          ...(text("store") ? { storeFolder: text("store") } : {}),
          tokenSeconds: given.number("token-days", 1, 3_650) * daySeconds,
          now: Date.now,
        },
    writers,
  );
  const { files, added, kept, removed, expiresAt } = written;
  process.stdout.write(
    `${files.map((file) => `wrote ${file}\n`).join("")}credentials of ${common.nodes.length} nodes: ${added} new, ${kept} kept, ${removed} removed${
      expiresAt ? `; the first expires on ${new Date(expiresAt).toISOString().slice(0, 10)}, run this again before` : ""
    }\nnext: start the broker with these files, bring nodes/<NodeId>.json to each node (cairn-node run --broker-credentials), and give coordinator.json to the coordinators\n`,
  );
  return 0;
}

function placeOf(name: string, address: string): Place {
  const match = /^(.+):([0-9]{1,5})$/.exec(address);
  const port = Number(match?.[2]);
  if (!match?.[1] || port < 1 || port > 65_535) throw refused(`--${name} is ${address}: HOST:PORT is needed`);
  return { host: match[1], port };
}

function listenOf(listen: string, coordinators: string): { nodes: Place; coordinators: Place } {
  const places = { nodes: placeOf("listen", listen), coordinators: placeOf("coordinators", coordinators) };
  if (places.nodes.port === places.coordinators.port)
    throw refused(`--listen ${listen} and --coordinators ${coordinators} have one port: two are needed`);
  return places;
}

function serversOf(list: string): NatsServer[] {
  const servers = list.split(",").map((entry) => {
    const match = /^([a-z0-9][a-z0-9-]{0,62})=([^:]+)((?::[0-9]{1,5}){3})?$/.exec(entry.trim());
    if (!match?.[1] || !match[2]) throw refused(`--servers has "${entry}": ${options.servers.help}`);
    const [name, host, ports] = [match[1], match[2], match[3]?.slice(1).split(":") ?? natsPorts];
    const at = (index: number) => placeOf("servers", `${host}:${ports[index]}`);
    return { name, client: at(0), mqtt: at(1), route: at(2) };
  });
  const names = servers.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice) throw refused(`--servers has ${twice} twice: every server needs a name of its own`);
  return servers;
}
