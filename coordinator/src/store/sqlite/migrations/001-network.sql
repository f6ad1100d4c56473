-- The network this ledger belongs to (one row) and its enrolled nodes.
create table network (
  only_row integer primary key check (only_row = 1),
  founding text not null
) strict;

create table node (
  id integer primary key,
  node_id text not null unique,
  name text not null,
  operator text not null,
  public_key text not null,
  evidence_level text not null,
  enrolled_at integer not null,
  state text not null default 'unheard',
  state_since integer,
  state_reason text not null default 'never heard of since it was enrolled',
  last_heard_at integer,
  last_heard_by text,
  died_boot text,
  birth text,
  boot text,
  boot_count integer,
  uptime_seconds integer,
  software text,
  readings integer not null default 0,
  rejections integer not null default 0
) strict;
