/** Why the local network does not start, or cannot go on. */
export type FaultCode =
  /** The command line, or a setting that contradicts the network in the data folder. */
  | "setting-refused"
  | "port-in-use"
  /** Another launcher runs in the same data folder. */
  | "folder-in-use"
  /** A program that the network needs is not installed. */
  | "program-missing"
  /** What lies in the data folder does not fit together, or cannot be read. */
  | "data-unusable"
  /** A part of the network ends at once each time it is started, or does not answer. */
  | "part-broken";

/** 2: ask differently. 3: wait, or end the other one. 1: something is broken. */
const exitCodes: Readonly<Record<FaultCode, number>> = {
  "setting-refused": 2,
  "port-in-use": 2,
  "folder-in-use": 3,
  "program-missing": 1,
  "data-unusable": 1,
  "part-broken": 1,
};

/** Names what is wrong and, after it, what to do about it. */
export class LocalnetFault extends Error {
  readonly code: FaultCode;
  readonly remedy: string;

  constructor(code: FaultCode, message: string, remedy: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "LocalnetFault";
    this.code = code;
    this.remedy = remedy;
  }

  get exitCode(): number {
    return exitCodes[this.code];
  }
}
