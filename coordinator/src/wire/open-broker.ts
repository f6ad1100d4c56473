/** Opens the broker that the settings name. What speaks to a broker that is not used is not loaded. */
import { topicsOf } from "@cairn/protocol";
import type { BrokerAddress, Founding } from "../model.ts";
import type { Broker, BrokerListener } from "./broker.ts";
import type { BrokerLog } from "./broker-log.ts";
import { readInput } from "./files.ts";

export type BrokerPlan = {
  readonly settings: {
    readonly host: string;
    readonly mqttPort: number;
    readonly replica: string;
    readonly broker: BrokerAddress;
  };
  readonly founding: Founding;
  /** Whether messages of nodes are wanted here. */
  readonly takesIn: boolean;
  now(): number;
  random(): number;
  readonly log: BrokerLog;
};

/** Throws CoordinatorFault `broker-...`, `file-missing`, `key-exposed` or `key-malformed`. */
export async function openBroker(plan: BrokerPlan, listener: BrokerListener): Promise<Broker> {
  const { settings, founding, takesIn, now, random, log } = plan;
  const { network, chainId, rewards } = founding;
  const { broker, host, mqttPort: port, replica } = settings;
  const topics = topicsOf(network);
  if (broker.kind === "embedded") {
    const { openEmbeddedBroker } = await import("./embedded-broker.ts");
    return openEmbeddedBroker({ topics, host, port, now }, listener);
  }
  const { readCoordinatorCredential, readNatsCredential } = await import("./access-files.ts");
  const common = {
    ...{ urls: broker.urls, topics, network, takesIn, now, random, log },
    clientId: `cairn-${network}-${replica}`,
    mark: { chainId, rewards, genesisAt: founding.time.genesisAt },
    ...(broker.ca ? { ca: readInput(broker.ca, "broker's authority") } : {}),
  };
  if (broker.kind === "mqtt") {
    const { openMqttBroker } = await import("./mqtt-broker.ts");
    return openMqttBroker({ ...common, credentials: () => readCoordinatorCredential(broker.credentials) }, listener);
  }
  const { openNatsBroker } = await import("./nats-broker.ts");
  return openNatsBroker(
    {
      ...common,
      gateway: broker.gateway,
      replicas: broker.streamReplicas,
      credentials: () => readNatsCredential(broker.credentials),
    },
    listener,
  );
}
