-- compatible-from: 6
-- Sequences that are accounted for ahead of the watermark, which replicas that share a node's batches leave behind them: a JSON array of
-- [first, last]. An older program would store those once more.
alter table boot add column ahead text collate "C" not null default '[]';

-- Replicas that share the work have one kind of broker: embedded, mqtt or nats.
alter table replica add column broker text collate "C" not null default 'embedded';
