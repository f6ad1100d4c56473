-- Sequences that are accounted for ahead of the watermark, which replicas that share a node's batches leave behind them: a JSON array of
-- [first, last].
alter table boot add column ahead text not null default '[]';

-- Replicas that share the work have one kind of broker: embedded, mqtt or nats.
alter table replica add column broker text not null default 'embedded';
