-- compatible-from: 4
-- What replicas of one coordinator share: duties that one of them may hold at a time, and who runs. Few rows, updated every second.
create table duty (
  duty text collate "C" primary key,
  holder text collate "C" not null,
  -- Rises with every change of the holder and never falls: what was begun under an older one is refused.
  token bigint not null,
  until bigint not null
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
-- Makes the token part of a key: who writes under it locks the key only, so that its holder can hold it longer meanwhile, and another
-- who takes the duty, which changes the key, waits.
create unique index duty_token on duty (duty, token);

create table replica (
  name text collate "C" primary key,
  roles text collate "C" not null,
  software text collate "C" not null,
  committed_before bigint,
  seen_at bigint not null
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
