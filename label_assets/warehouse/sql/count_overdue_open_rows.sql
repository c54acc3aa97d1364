-- Rows of labels that are open although their horizon end is there, of all time, by month, granularity and horizon.
-- Candle i + horizon exists where row i opens before the horizon-th newest candle of its granularity.
SELECT
    formatDateTime(t.ts, '%Y-%m') AS month, t.granularity AS granularity, t.horizon AS horizon, count() AS overdue_rows
FROM
(
    SELECT granularity, horizon, ts FROM labels
    WHERE instrument_id = {instrument:String} AND window_status = 'open'
) AS t
INNER JOIN
(
    SELECT granularity, horizon, newest_first[horizon] AS cutoff
    FROM
    (
        SELECT granularity, arrayReverseSort(groupArray(ts)) AS newest_first
        FROM candles
        WHERE instrument_id = {instrument:String} AND has({granularities:Array(String)}, granularity)
        GROUP BY granularity
    )
    ARRAY JOIN {horizons:Array(UInt16)} AS horizon
) AS c USING (granularity, horizon)
WHERE t.ts < c.cutoff
GROUP BY month, granularity, horizon
ORDER BY month, granularity, horizon
