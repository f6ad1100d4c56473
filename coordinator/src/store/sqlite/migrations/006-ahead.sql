-- Sequences that are accounted for ahead of the watermark, which replicas that share a node's batches leave behind them: a JSON array of
-- [first, last].
alter table boot add column ahead text not null default '[]';
