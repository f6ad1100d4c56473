/** What can be broken in the coordinator's world. Refusals of inputs are values; this is thrown. */
export type FaultCode =
  /** A setting or an input file was refused: nothing was started. */
  | "setting-refused"
  | "file-missing"
  | "key-exposed"
  | "key-malformed"
  | "ledger-unreadable"
  | "ledger-newer"
  /** Programs run on it that could not live with a migration this one brings: it was left as it is. */
  | "ledger-in-use"
  | "ledger-foreign"
  /** No network was founded in it yet, and this replica cannot. */
  | "ledger-unfounded"
  /** A migration was interrupted, or the schema is not what its migrations make. */
  | "ledger-damaged"
  /**
   * The database cannot be reached, or does not answer in time. Nothing was written, unless the answer to a commit was what got lost:
   * trying again does nothing twice.
   */
  | "ledger-unreachable"
  /** Another replica has taken the duty meanwhile: nothing was written. */
  | "duty-lost"
  /** The ledger is well, but one of the inputs cannot be held by it. */
  | "input-unstorable"
  | "broker-unreachable"
  /** The broker does not grant what the access policy promises the coordinator. */
  | "broker-refused"
  /** Another network of the same name uses this broker. */
  | "broker-foreign"
  /** The stream or the consumer is gone, or is not as it was made. */
  | "broker-stream-lost"
  | "broker-credentials-expired"
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
