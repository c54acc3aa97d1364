-- Open times of the oldest and the newest candle of a granularity; 0 where there is none.
SELECT toUnixTimestamp(min(ts)) AS oldest, toUnixTimestamp(max(ts)) AS newest
FROM candles
WHERE instrument_id = {instrument:String} AND granularity = {granularity:String}
