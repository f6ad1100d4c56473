/**
 * Readings wait in one table per priority, so that every batch is one unbroken range of ids and is freed by range. Rows that no batch
 * covers are not sealed yet. `gap` holds the sequence numbers that will never come; `born` 1: never sealed, so nobody was ever sent it.
 */
export const outboxMigration = `
CREATE TABLE tally (name TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  unit TEXT NOT NULL,
  UNIQUE (name, unit)
) STRICT;

CREATE TABLE results (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  series INTEGER NOT NULL,
  at INTEGER NOT NULL,
  value REAL NOT NULL,
  quality INTEGER NOT NULL
) STRICT;

CREATE TABLE telemetry (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  series INTEGER NOT NULL,
  at INTEGER NOT NULL,
  value REAL NOT NULL,
  quality INTEGER NOT NULL
) STRICT;

CREATE TABLE boot (
  count INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  sealed INTEGER NOT NULL DEFAULT 0,
  stored INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE batch (
  boot INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  priority TEXT NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  readings INTEGER NOT NULL,
  PRIMARY KEY (boot, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE gap (
  boot INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  readings INTEGER NOT NULL,
  reason TEXT NOT NULL,
  born INTEGER NOT NULL,
  PRIMARY KEY (boot, first)
) STRICT, WITHOUT ROWID;

CREATE TABLE refused (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  boot TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  code TEXT NOT NULL,
  at INTEGER NOT NULL,
  readings INTEGER NOT NULL,
  payload TEXT NOT NULL
) STRICT;
`;
