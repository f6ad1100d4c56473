-- The verifier's clock and the evidence that answered it.
create table slot (
  slot integer primary key,
  epoch integer not null,
  nonce text not null,
  opens_at integer not null,
  closes_at integer not null,
  ready_at integer not null,
  closed_at integer,
  void_reason text
) strict;
create index slot_by_epoch on slot (epoch);

create table evidence (
  slot integer not null,
  node integer not null references node (id),
  received_at integer not null,
  token text not null,
  primary key (slot, node)
) strict, without rowid;
