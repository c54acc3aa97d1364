-- Open times of the oldest and the newest raw candle of a granularity, and their number; 0 where there is none.
SELECT toUnixTimestamp(min(ts)) AS oldest, toUnixTimestamp(max(ts)) AS newest, count() AS found
FROM raw_candles
WHERE instrument_id = {instrument:String} AND granularity = {granularity:String}
