-- Keys of complete rows of labels in [start, end): for each granularity and horizon the `each` first in the order of two
-- hashes, of four weeks and of the row. So rows of one granularity lie near each other and share a reading of candles.
SELECT
    granularity, horizon, toUnixTimestamp(t.ts) AS ts,
    sipHash64({salt:String}, granularity, intDiv(toUnixTimestamp(t.ts), 2419200)) AS stretch_draw,
    sipHash64({salt:String}, granularity, horizon, t.ts) AS draw
FROM
(
    SELECT granularity, horizon, ts FROM labels
    WHERE instrument_id = {instrument:String} AND has({granularities:Array(String)}, granularity)
        AND has({horizons:Array(UInt16)}, horizon) AND window_status = 'complete'
        AND labels.ts >= toDateTime({start:UInt32}, 'UTC') AND labels.ts < toDateTime({end:UInt32}, 'UTC')
) AS t
ORDER BY stretch_draw, draw, ts
LIMIT {each:UInt32} BY granularity, horizon
