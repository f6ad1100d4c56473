-- compatible-from: 1
-- The verifier's clock and the evidence that answered it.
create table slot (
  slot bigint primary key,
  epoch bigint not null,
  nonce text collate "C" not null,
  opens_at bigint not null,
  closes_at bigint not null,
  ready_at bigint not null,
  closed_at bigint,
  void_reason text collate "C"
);
create index slot_by_epoch on slot (epoch);

create table evidence (
  slot bigint not null,
  node integer not null,
  received_at bigint not null,
  token text collate "C" not null,
  primary key (slot, node)
) with (autovacuum_vacuum_scale_factor = 0.05);
