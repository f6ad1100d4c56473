/**
 * What every broker must do for the coordinator and its nodes, whichever it is. The embedded one, a real Mosquitto and real NATS servers
 * pass the same suite; what one of them cannot do at all stands in `cannot`, with the reason.
 */
import { describe } from "node:test";
import { describeAccess } from "./broker/access.ts";
import { describeDelivery } from "./broker/delivery.ts";
import { type OpenedBroker, removeBroker } from "./broker/opened-broker.ts";
import { describeRetained } from "./broker/retained.ts";

export type Suite = {
  readonly name: string;
  open(): Promise<OpenedBroker>;
  /** Abilities that this broker lacks by its nature, and why. */
  readonly cannot?: Partial<Record<Ability, string>>;
};

export type Ability = "restart" | "replicas" | "redelivery" | "queueing";

/** `{ skip: reason }` where the broker lacks the ability. */
export function needs({ cannot = {} }: Suite, ...abilities: Ability[]): { skip: string | false } {
  const reason = abilities.map((ability) => cannot[ability]).find((text) => text !== undefined);
  return { skip: reason ?? false };
}

export async function withBroker(suite: Suite, body: (opened: OpenedBroker) => Promise<void>): Promise<void> {
  const opened = await suite.open();
  try {
    await body(opened);
  } finally {
    await removeBroker(opened);
  }
}

export function describeBroker(suite: Suite): void {
  describe(`broker: ${suite.name}`, () => {
    describeDelivery(suite);
    describeRetained(suite);
    describeAccess(suite);
  });
}
