-- Outcomes of epochs, and their way to the chain. Token amounts are decimal text: they outgrow 64 bits.
create table epoch (
  epoch integer primary key,
  first_slot integer not null,
  slot_count integer not null,
  slots_void integer not null,
  total text not null,
  root text,
  evidence text not null,
  closed_at integer not null,
  state text not null check (state in ('closed', 'posted', 'settled', 'void')),
  posted_in text
) strict;
create index epoch_on_its_way on epoch (state) where state in ('closed', 'posted');

create table epoch_node (
  epoch integer not null references epoch (epoch),
  node_id text not null,
  operator text not null,
  evidence_level text not null,
  slots_attested integer not null,
  slots_expected integer not null,
  slots_void integer not null,
  work_units integer not null,
  amount text not null,
  primary key (epoch, node_id)
) strict, without rowid;
create index epoch_node_by_node on epoch_node (node_id, epoch);

create table epoch_operator (
  epoch integer not null references epoch (epoch),
  operator text not null,
  amount text not null,
  cumulative_amount text not null,
  nodes_root text not null,
  proof text not null,
  paid integer not null default 0,
  paid_in text,
  primary key (epoch, operator)
) strict, without rowid;

-- What each operator and node earned in all closed epochs: brought forward, so that a close never reads all history.
create table earned (
  whose text primary key,
  amount text not null
) strict, without rowid;

-- Written before a transaction is sent; open until the chain has shown what became of it.
create table intent (
  kind text not null check (kind in ('post-root', 'claim')),
  epoch integer not null,
  operator text not null,
  tx_hash text not null,
  raw text not null,
  state text not null check (state in ('open', 'confirmed', 'failed')),
  made_at integer not null,
  resolved_at integer,
  primary key (kind, epoch, operator, tx_hash)
) strict, without rowid;
create index intent_open on intent (epoch) where state = 'open';
