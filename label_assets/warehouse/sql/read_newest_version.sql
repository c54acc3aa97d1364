-- Newest version within some scopes, tombstones included; 0 where nothing was ever stored.
SELECT max(version) AS version
FROM {table:Identifier} AS t
WHERE t.instrument_id IN {instruments:Array(String)}
    AND t.ts >= toDateTime({start:UInt32}, 'UTC') AND t.ts < toDateTime({end:UInt32}, 'UTC')
