-- Raw candles of the base granularity that open at `start` or later.
SELECT toUnixTimestamp(ts) AS ts, open, high, low, close, volume
FROM raw_candles
WHERE instrument_id = {instrument:String} AND granularity = {granularity:String}
    AND ts >= toDateTime({start:UInt32}, 'UTC')
ORDER BY ts
