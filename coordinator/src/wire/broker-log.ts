/** What a connection to a broker tells its log; pino's levels. */
export type BrokerLog = {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
};
