/** cairn-coordinator size: what a fleet of a given size takes, computed from measured unit costs. */
import { sizeFleet, sizeText } from "./decide/size.ts";
import { parseSizeSettings, sizeUsage } from "./decide/size-settings.ts";
import { unitCosts } from "./decide/unit-costs.ts";

/** Returns the exit code. Throws CoordinatorFault `setting-refused`. */
export function sizeCommand(args: readonly string[]): number {
  const settings = parseSizeSettings(args);
  if (!settings) {
    process.stdout.write(sizeUsage());
    return 0;
  }
  const report = sizeFleet(settings.load, unitCosts);
  process.stdout.write(settings.json ? `${JSON.stringify(report)}\n` : sizeText(report));
  return 0;
}
