/** The parts of the network that run, in the groups in which they are started and, the other way round, stopped. */
import { join } from "node:path";
import type { LocalnetFault } from "./fault.ts";
import { type Program, type Supervised, stopInTurn, supervise } from "./processes.ts";
import { type ProcessMark, writeRecord } from "./run-record.ts";

export type Group = "chain" | "coordinator" | "nodes";

export type Parts = {
  /** Starts a part and keeps it running. Throws once the parts are being stopped. */
  start(group: Group, program: Program): void;
  /** Rejects when a part cannot be kept running. */
  readonly broken: Promise<never>;
  /** Ends every part; resolves to the names of those that had to be killed. */
  stop(): Promise<readonly string[]>;
};

/** Every change of a process id is written to the data folder's record, in the launcher's name. */
export function holdParts(data: string, launcher: ProcessMark, say: (line: string) => void): Parts {
  const groups: Readonly<Record<Group, Supervised[]>> = { chain: [], coordinator: [], nodes: [] };
  let stopping = false;
  let givenUp: (fault: LocalnetFault) => void = () => {};
  const broken = new Promise<never>((_, failed) => {
    givenUp = failed;
  });
  broken.catch(() => undefined);

  const changed = () => {
    const processes = Object.values(groups)
      .flat()
      .flatMap(({ name, pid }) => {
        const id = pid();
        return id === undefined ? [] : [{ name, pid: id }];
      });
    try {
      writeRecord(data, { launcher, processes });
    } catch (cause) {
      // Without the record the next start cannot end leftovers; the running network must not end over it.
      say(`the record of the running processes cannot be written: ${(cause as Error).message}`);
    }
  };

  return {
    broken,
    start(group, program) {
      if (stopping) throw new Error(`${program.name} is not started: the network is being stopped`);
      const supervision = {
        ...{ say, changed, givenUp },
        logs: join(data, "logs"),
        random: Math.random,
        clock: () => performance.now(),
      };
      groups[group].push(supervise(program, supervision));
      changed();
    },
    stop() {
      stopping = true;
      return stopInTurn([groups.nodes, groups.coordinator, groups.chain]);
    },
  };
}
