/** What can be broken in the coordinator's world. Refusals of inputs are values; this is thrown. */
export type FaultCode =
  /** A setting or an input file was refused: nothing was started. */
  | "setting-refused"
  | "file-missing"
  | "key-exposed"
  | "key-malformed"
  | "ledger-unreadable"
  | "ledger-newer"
  | "ledger-foreign"
  /** The ledger is well, but one of the inputs cannot be held by it. */
  | "input-unstorable"
  | "chain-foreign"
  /** The chain shows what this ledger did not do, or does not show what was sent. */
  | "settlement-stuck";

export class CoordinatorFault extends Error {
  readonly code: FaultCode;

  constructor(code: FaultCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CoordinatorFault";
    this.code = code;
  }
}
