-- compatible-from: 1
-- Outcomes of epochs, and their way to the chain. Token amounts are decimal text: they outgrow 64 bits.
create table epoch (
  epoch bigint primary key,
  first_slot bigint not null,
  slot_count bigint not null,
  slots_void bigint not null,
  total text collate "C" not null,
  root text collate "C",
  evidence text collate "C" not null,
  closed_at bigint not null,
  state text collate "C" not null check (state in ('closed', 'posted', 'settled', 'void')),
  posted_in text collate "C"
);
create index epoch_on_its_way on epoch (state) where state in ('closed', 'posted');

create table epoch_node (
  epoch bigint not null references epoch (epoch),
  node_id text collate "C" not null,
  operator text collate "C" not null,
  evidence_level text collate "C" not null,
  slots_attested bigint not null,
  slots_expected bigint not null,
  slots_void bigint not null,
  work_units bigint not null,
  amount text collate "C" not null,
  primary key (epoch, node_id)
);
create index epoch_node_by_node on epoch_node (node_id, epoch);

create table epoch_operator (
  epoch bigint not null references epoch (epoch),
  operator text collate "C" not null,
  amount text collate "C" not null,
  cumulative_amount text collate "C" not null,
  nodes_root text collate "C" not null,
  proof text collate "C" not null,
  paid integer not null default 0,
  paid_in text collate "C",
  primary key (epoch, operator)
);

-- What each operator and node earned in all closed epochs: brought forward, so that a close never reads all history.
create table earned (
  whose text collate "C" primary key,
  amount text collate "C" not null
) with (fillfactor = 80);

-- Written before a transaction is sent; open until the chain has shown what became of it.
create table intent (
  kind text collate "C" not null check (kind in ('post-root', 'claim')),
  epoch bigint not null,
  operator text collate "C" not null,
  tx_hash text collate "C" not null,
  raw text collate "C" not null,
  state text collate "C" not null check (state in ('open', 'confirmed', 'failed')),
  made_at bigint not null,
  resolved_at bigint,
  primary key (kind, epoch, operator, tx_hash)
);
create index intent_open on intent (epoch) where state = 'open';
