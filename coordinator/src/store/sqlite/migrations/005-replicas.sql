-- What replicas of one coordinator share: duties that one of them may hold at a time, and who runs.
create table duty (
  duty text primary key,
  holder text not null,
  -- Rises with every change of the holder and never falls: what was begun under an older one is refused.
  token integer not null,
  until integer not null
) strict, without rowid;

create table replica (
  name text primary key,
  roles text not null,
  software text not null,
  committed_before integer,
  seen_at integer not null
) strict, without rowid;
