/** Why the daemon cannot start or go on, closed list. Each has its own exit code, so that a supervisor can tell them apart. */
export const exitCodes = {
  "usage-wrong": 2,
  "setting-refused": 2,
  "key-refused": 3,
  "store-unusable": 4,
  "network-refused": 5,
} as const;

export type FaultCode = keyof typeof exitCodes;

/** A broken world: names the input, the reason and, in `remedy`, what its operator can do. */
export class NodeFault extends Error {
  override readonly name = "NodeFault";
  readonly code: FaultCode;
  readonly remedy: string;

  constructor(code: FaultCode, message: string, remedy: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.remedy = remedy;
  }
}
