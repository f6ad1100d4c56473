/** What tests and benchmarks use of the simulated fleet; the package's door hands it on. */
export type { BrokerAddress } from "./connection.ts";
export {
  type Fleet,
  type FleetCounts,
  type FleetInterval,
  type FleetNode,
  type FleetPlan,
  startFleet,
} from "./fleet.ts";
export { type Journal, type JournalEntry, openJournal, readJournal } from "./journal.ts";
export { fleetKeys, fleetRoster, simulatedKey } from "./keys.ts";
export { type FleetShape, type Misdeed, misdeeds, quietShape } from "./plan.ts";
export { type FleetSummary, summarise } from "./report.ts";
