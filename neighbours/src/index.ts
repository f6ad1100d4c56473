/** The door of @cairn/neighbours: real programs for tests and benchmarks. */
export { openPostgres, type Postgres } from "./postgres.ts";
export { freePorts, type Program, program, temporaryFolder } from "./program.ts";
