-- Open times of candles of one granularity: the last `before` ones before `start`, that at `start`, and the first `after`
-- ones from `end` on. Those between `start` and `end` are left out.
SELECT toUnixTimestamp(ts) AS ts
FROM
(
    SELECT * FROM
    (
        SELECT ts FROM candles
        WHERE instrument_id = {instrument:String} AND granularity = {granularity:String}
            AND ts < toDateTime({start:UInt32}, 'UTC')
        ORDER BY ts DESC
        LIMIT {before:UInt32}
    )
    UNION ALL
    SELECT ts FROM candles
    WHERE instrument_id = {instrument:String} AND granularity = {granularity:String}
        AND ts = toDateTime({start:UInt32}, 'UTC') AND {start:UInt32} < {end:UInt32}
    UNION ALL
    SELECT * FROM
    (
        SELECT ts FROM candles
        WHERE instrument_id = {instrument:String} AND granularity = {granularity:String}
            AND ts >= toDateTime({end:UInt32}, 'UTC')
        ORDER BY ts
        LIMIT {after:UInt32}
    )
)
ORDER BY ts
