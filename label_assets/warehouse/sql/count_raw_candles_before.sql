-- 1 if the instrument has a raw candle of the granularity before `start`, otherwise 0.
SELECT count() AS found
FROM
(
    SELECT 1 FROM raw_candles
    WHERE instrument_id = {instrument:String} AND granularity = {granularity:String}
        AND ts < toDateTime({start:UInt32}, 'UTC')
    LIMIT 1
)
