-- Raw candles of the base granularity that open in [start, end), and the one that follows: it shows which buckets are over.
SELECT toUnixTimestamp(ts) AS ts, open, high, low, close, volume
FROM
(
    SELECT * FROM raw_candles
    WHERE instrument_id = {instrument:String} AND granularity = {granularity:String}
        AND ts >= toDateTime({start:UInt32}, 'UTC') AND ts < toDateTime({end:UInt32}, 'UTC')
    UNION ALL
    SELECT * FROM
    (
        SELECT * FROM raw_candles
        WHERE instrument_id = {instrument:String} AND granularity = {granularity:String}
            AND ts >= toDateTime({end:UInt32}, 'UTC')
        ORDER BY ts
        LIMIT 1
    )
)
ORDER BY ts
