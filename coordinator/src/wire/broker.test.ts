import { freePorts } from "@cairn/neighbours";
import { topicsOf } from "@cairn/protocol";
import { describeBroker } from "../../testing/broker-behaviour.ts";
import { founding } from "../../testing/founding.ts";
import { openEmbeddedBroker } from "./embedded-broker.ts";

const lives = "it lives inside the coordinator: they end together, and nodes keep what they have no receipt for";

describeBroker({
  name: "embedded",
  async open() {
    const [port = 0] = await freePorts(1);
    return {
      urls: [`mqtt://127.0.0.1:${port}`],
      open: (_name, listener, { now = Date.now } = {}) =>
        openEmbeddedBroker({ topics: topicsOf(founding.network), host: "127.0.0.1", port, now }, listener),
      signIn: ({ nodeId }) => ({ username: nodeId, password: `of ${nodeId}` }),
      async remove() {},
    };
  },
  cannot: {
    restart: lives,
    queueing: lives,
    redelivery: "it has no queue: what is taken from a node is in the coordinator's hands",
    replicas: "one coordinator has it, in its own process",
  },
});
