/**
 * npm start: the local network. Runs until SIGINT, SIGTERM or SIGHUP, or until the epochs asked for are settled, and ends every process
 * it started.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { LocalnetFault } from "./fault.ts";
import { startNetwork } from "./network.ts";
import { holdParts } from "./parts.ts";
import { within } from "./processes.ts";
import { totalsLine } from "./report.ts";
import { removeRecord, takeFolder, thisMachine } from "./run-record.ts";
import { parseSettings, type Settings, usage } from "./settings.ts";

const interruptedExit = 130;
/** How long the summary is waited for: at a stop that somebody waits for, and at the end of the epochs asked for. */
const summaryWithinMs = { stop: 800, enough: 10_000 } as const;
/** What a network keeps in the data folder and `--fresh` removes; nothing else there is touched. */
const keptParts = ["chain", "coordinator", "nodes", "logs", "localnet.json"];

/** Resolves when the network shall stop. Later signals, as the second one of a Ctrl-C under npm, change nothing. */
function askedToStop(): Promise<"stop"> {
  return new Promise((done) => {
    const stop = () => done("stop");
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
    // The starting process is gone, or nobody reads the lines any more.
    process.once("disconnect", stop);
    process.channel?.unref();
    process.stdout.on("error", stop);
    process.stderr.on("error", stop);
  });
}

/** Resolves to the exit code. Throws LocalnetFault. */
async function run(settings: Settings): Promise<number> {
  const say = (line: string) => (settings.json ? console.error(line) : console.log(line));
  const stop = askedToStop();
  const { data } = settings;
  const { launcher, ended } = await takeFolder(data, thisMachine, process.pid);
  if (ended > 0) say(`ended ${ended} processes that an earlier start left behind`);
  if (settings.fresh) for (const part of keptParts) rmSync(join(data, part), { recursive: true, force: true });

  /** To stop before the epochs asked for were settled is not what was asked for. */
  const stoppedExit = settings.epochs === undefined ? 0 : interruptedExit;
  const parts = holdParts(data, launcher, say);
  const startedAt = performance.now();
  const starting = startNetwork(settings, parts, say);
  try {
    const network = await Promise.race([starting, stop, parts.broken]);
    if (network === "stop") return stoppedExit;
    const outcome = await Promise.race([network.enough.then(() => "enough" as const), stop, parts.broken]);
    const summary = await within(network.summary(), summaryWithinMs[outcome]).catch(() => undefined);
    if (!summary && outcome === "enough")
      throw new LocalnetFault(
        "part-broken",
        "the coordinator or the chain gives no figures",
        `see the logs in ${data}`,
      );
    if (summary) say(totalsLine(summary, performance.now() - startedAt));
    if (summary && settings.json) console.log(JSON.stringify(summary));
    return outcome === "stop" ? stoppedExit : 0;
  } finally {
    const stoppingAt = performance.now();
    starting.then(
      (network) => network.close(),
      () => undefined,
    );
    const killed = await parts.stop();
    removeRecord(data);
    if (killed.length > 0) say(`had to be killed: ${killed.join(", ")}`);
    const seconds = ((performance.now() - stoppingAt) / 1_000).toFixed(1);
    say(`every process ended in ${seconds} s; what the network holds is kept in ${data}`);
  }
}

async function main(): Promise<number> {
  const settings = parseSettings(process.argv.slice(2), process.cwd());
  if (settings) return run(settings);
  console.log(usage());
  return 0;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    if (!(error instanceof LocalnetFault)) throw error;
    console.error(`${error.message}\n${error.remedy}`);
    process.exit(error.exitCode);
  },
);
