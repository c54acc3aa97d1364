-- Rows of labels against candles × horizons, by month: candles that lack a row, rows that lack a candle, keys that occur
-- twice.
SELECT
    formatDateTime(ts, '%Y-%m') AS month,
    sum(found) AS found_rows,
    countIf(found = 0) AS missing_rows,
    sumIf(found, expected = 0) AS surplus_rows,
    sumIf(found - 1, found > 1) AS duplicate_rows
FROM
(
    SELECT granularity, horizon, ts, sum(is_expected) AS expected, sum(is_found) AS found
    FROM
    (
        SELECT granularity, horizon, ts, 1 AS is_expected, 0 AS is_found
        FROM candles
        ARRAY JOIN {horizons:Array(UInt16)} AS horizon
        WHERE instrument_id = {instrument:String} AND has({granularities:Array(String)}, granularity)
            AND ts >= toDateTime({start:UInt32}, 'UTC') AND ts < toDateTime({end:UInt32}, 'UTC')
        UNION ALL
        SELECT granularity, horizon, ts, 0 AS is_expected, 1 AS is_found
        FROM labels
        WHERE instrument_id = {instrument:String}
            AND ts >= toDateTime({start:UInt32}, 'UTC') AND ts < toDateTime({end:UInt32}, 'UTC')
    )
    GROUP BY granularity, horizon, ts
)
GROUP BY month
ORDER BY month
