-- Of some granularities the last `before` candles that open before `start`, and the first `after` from `end` on.
SELECT
    granularity, toUnixTimestamp(ts) AS ts, toUnixTimestamp(close_ts) AS close_ts, open, high, low, close, volume
FROM
(
    SELECT * FROM
    (
        SELECT * FROM candles
        WHERE instrument_id = {instrument:String} AND has({granularities:Array(String)}, granularity)
            AND ts < toDateTime({start:UInt32}, 'UTC')
        ORDER BY ts DESC
        LIMIT {before:UInt32} BY granularity
    )
    UNION ALL
    SELECT * FROM
    (
        SELECT * FROM candles
        WHERE instrument_id = {instrument:String} AND has({granularities:Array(String)}, granularity)
            AND ts >= toDateTime({end:UInt32}, 'UTC')
        ORDER BY ts
        LIMIT {after:UInt32} BY granularity
    )
)
ORDER BY granularity, ts
