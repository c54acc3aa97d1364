-- Candles of one granularity that open in [start, end).
SELECT toUnixTimestamp(ts) AS ts, toUnixTimestamp(close_ts) AS close_ts, open, high, low, close, volume
FROM candles
WHERE instrument_id = {instrument:String} AND granularity = {granularity:String}
    AND ts >= toDateTime({start:UInt32}, 'UTC') AND ts < toDateTime({end:UInt32}, 'UTC')
ORDER BY ts
