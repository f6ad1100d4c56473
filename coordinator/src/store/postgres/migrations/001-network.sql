-- compatible-from: 1
-- The network this ledger belongs to (one row) and its enrolled nodes.
create table network (
  only_row integer primary key check (only_row = 1),
  founding text collate "C" not null
);

-- Nearly every commit updates some of these rows, in columns that no index holds. A page that is not filled to its end keeps the new
-- version beside the old one, without touching an index (a heap-only tuple), and a reader clears it away by the way. Vacuum has to come
-- for the rest before it is a fifth of the table, which is the server's default.
create table node (
  id integer generated always as identity primary key,
  node_id text collate "C" not null unique,
  name text collate "C" not null,
  operator text collate "C" not null,
  public_key text collate "C" not null,
  evidence_level text collate "C" not null,
  enrolled_at bigint not null,
  state text collate "C" not null default 'unheard',
  state_since bigint,
  state_reason text collate "C" not null default 'never heard of since it was enrolled',
  last_heard_at bigint,
  last_heard_by text collate "C",
  died_boot text collate "C",
  birth text collate "C",
  boot text collate "C",
  boot_count bigint,
  uptime_seconds bigint,
  software text collate "C",
  readings bigint not null default 0,
  rejections bigint not null default 0
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
