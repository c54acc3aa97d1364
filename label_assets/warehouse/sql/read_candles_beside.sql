-- The last `before` candles of one granularity that open before `start`, and the first `after` from `end` on.
SELECT toUnixTimestamp(ts) AS ts, toUnixTimestamp(close_ts) AS close_ts, open, high, low, close, volume
FROM
(
    SELECT * FROM
    (
        SELECT * FROM candles
        WHERE instrument_id = {instrument:String} AND granularity = {granularity:String} AND ts < toDateTime({start:UInt32}, 'UTC')
        ORDER BY ts DESC
        LIMIT {before:UInt32}
    )
    UNION ALL
    SELECT * FROM
    (
        SELECT * FROM candles
        WHERE instrument_id = {instrument:String} AND granularity = {granularity:String} AND ts >= toDateTime({end:UInt32}, 'UTC')
        ORDER BY ts
        LIMIT {after:UInt32}
    )
)
ORDER BY ts
