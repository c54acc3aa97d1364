-- Newest version within some scopes and the newest one below a given one, tombstones included; zeros where nothing was
-- ever stored. No granularities means all.
SELECT max(version) AS newest, maxIf(version, version < {below:UInt64}) AS older
FROM {table:Identifier} AS t
WHERE t.instrument_id IN {instruments:Array(String)}
    AND (empty({granularities:Array(String)}) OR has({granularities:Array(String)}, t.granularity))
    AND t.ts >= toDateTime({start:UInt32}, 'UTC') AND t.ts < toDateTime({end:UInt32}, 'UTC')
