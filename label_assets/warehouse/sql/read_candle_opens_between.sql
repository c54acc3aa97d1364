-- Open times of candles of one granularity in [start, end).
SELECT toUnixTimestamp(ts) AS ts
FROM candles
WHERE instrument_id = {instrument:String} AND granularity = {granularity:String}
    AND candles.ts >= toDateTime({start:UInt32}, 'UTC') AND candles.ts < toDateTime({end:UInt32}, 'UTC')
ORDER BY ts
