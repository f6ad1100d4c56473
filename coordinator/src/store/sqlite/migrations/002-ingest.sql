-- Boots with their watermarks (the markers), and what batches brought (the effects).
create table boot (
  node integer not null references node (id),
  boot text not null,
  boot_count integer not null,
  stored_up_to integer not null default 0,
  in_evidence integer not null default 0,
  primary key (node, boot)
) strict, without rowid;
create unique index boot_count_once on boot (node, boot_count);

create table channel (
  id integer primary key,
  node integer not null references node (id),
  series text not null,
  unit text not null,
  unique (node, series, unit)
) strict;

create table batch (
  -- Never used twice, also after the oldest are gone.
  id integer primary key autoincrement,
  node integer not null references node (id),
  boot text not null,
  sequence integer not null,
  readings integer not null,
  bytes integer not null,
  received_at integer not null
) strict;
create index batch_by_time on batch (received_at);

-- Clustered by series and time, as it is read: one narrow tree instead of a table and an index. `id` is 512 x batch + place in the
-- batch: it tells apart readings of one millisecond, and where each came from.
create table reading (
  channel integer not null,
  at integer not null,
  id integer not null,
  value real not null,
  quality integer not null,
  primary key (channel, at, id)
) strict, without rowid;

-- What nodes stated as dropped: a gap is said, not guessed.
create table dropped (
  node integer not null references node (id),
  boot text not null,
  first_sequence integer not null,
  last_sequence integer not null,
  readings integer not null,
  reason text not null,
  stated_at integer not null,
  primary key (node, boot, first_sequence)
) strict, without rowid;

-- Slots in which readings of a node were accepted: its work units.
create table work (
  slot integer not null,
  node integer not null references node (id),
  readings integer not null,
  primary key (slot, node)
) strict, without rowid;

-- Refused inputs. The same refusal again raises the count of its row.
create table rejection (
  id integer primary key,
  node_id text not null,
  topic text not null,
  code text not null,
  detail text not null,
  bytes integer not null,
  sample blob not null,
  first_at integer not null,
  at integer not null,
  count integer not null,
  unique (node_id, topic, code, detail)
) strict;
create index rejection_by_time on rejection (at);

create table rejection_count (
  code text primary key,
  count integer not null
) strict, without rowid;

create table total (
  only_row integer primary key check (only_row = 1),
  readings integer not null,
  batches integer not null
) strict;
insert into total values (1, 0, 0);
