-- Open time of the last candle that opens in [start, end), 0 if there is none.
SELECT toUnixTimestamp(max(ts)) AS ts
FROM candles
WHERE instrument_id = {instrument:String} AND granularity = {granularity:String}
    AND candles.ts >= toDateTime({start:UInt32}, 'UTC') AND candles.ts < toDateTime({end:UInt32}, 'UTC')
