-- compatible-from: 1
-- Boots with their watermarks (the markers), and what batches brought (the effects).
-- A running boot's watermark rises with every commit: room on the page and an early vacuum, as for `node`.
create table boot (
  node integer not null references node (id),
  boot text collate "C" not null,
  boot_count bigint not null,
  stored_up_to bigint not null default 0,
  in_evidence integer not null default 0,
  primary key (node, boot)
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
create unique index boot_count_once on boot (node, boot_count);

create table channel (
  id integer generated always as identity primary key,
  node integer not null references node (id),
  series text collate "C" not null,
  unit text collate "C" not null,
  unique (node, series, unit)
);

-- Without a reference to `node`: the row of the node is locked when a batch of it is written, and no node is ever removed.
create table batch (
  -- Never used twice, also after the oldest are gone.
  id bigint generated always as identity primary key,
  node integer not null,
  boot text collate "C" not null,
  sequence bigint not null,
  readings integer not null,
  bytes bigint not null,
  received_at bigint not null
) with (autovacuum_vacuum_scale_factor = 0.05);
create index batch_by_time on batch (received_at);

-- In partitions of one day each, so that what is too old goes at once, as a file: `day` is the day (UTC, since 1970) on which it was
-- received. The partitions are made by the program, ahead of need. `id` is 512 x batch + place in the batch: it tells apart readings of
-- one millisecond, and where each came from. The columns stand so that none needs padding.
create table reading (
  at bigint not null,
  id bigint not null,
  value double precision not null,
  channel integer not null,
  day integer not null,
  quality smallint not null,
  primary key (channel, at, id, day)
) partition by range (day);
-- Rows lie in the order of their ids: a few bytes for every 128 pages find those of the oldest batches.
create index reading_by_batch on reading using brin (id);

-- What nodes stated as dropped: a gap is said, not guessed.
create table dropped (
  node integer not null references node (id),
  boot text collate "C" not null,
  first_sequence bigint not null,
  last_sequence bigint not null,
  readings bigint not null,
  reason text collate "C" not null,
  stated_at bigint not null,
  primary key (node, boot, first_sequence)
);

-- Slots in which readings of a node were accepted: its work units.
create table work (
  slot bigint not null,
  node integer not null,
  readings bigint not null,
  primary key (slot, node)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

-- Refused inputs. The same refusal again raises the count of its row.
create table rejection (
  id bigint generated always as identity primary key,
  node_id text collate "C" not null,
  topic text collate "C" not null,
  code text collate "C" not null,
  detail text collate "C" not null,
  bytes bigint not null,
  sample bytea not null,
  first_at bigint not null,
  at bigint not null,
  count bigint not null,
  unique (node_id, topic, code, detail)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
create index rejection_by_time on rejection (at);

-- What every commit counts. One row would make all replicas wait for each other: each connection adds to the row of its shard, and who
-- asks adds up the shards. Few rows with many dead versions: vacuum comes by their number, whatever the share.
create table rejection_count (
  code text collate "C" not null,
  shard smallint not null,
  count bigint not null,
  primary key (code, shard)
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

create table total (
  shard smallint primary key,
  readings bigint not null,
  batches bigint not null
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
