-- Candles of one granularity that open in [start, end), with `before` candles before and `after` candles after them.
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
    SELECT * FROM candles
    WHERE instrument_id = {instrument:String} AND granularity = {granularity:String}
        AND ts >= toDateTime({start:UInt32}, 'UTC') AND ts < toDateTime({end:UInt32}, 'UTC')
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
