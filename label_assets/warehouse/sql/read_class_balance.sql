-- Shares of the triple barrier's classes among complete windows, for each instrument and granularity.
SELECT
    instrument_id,
    granularity,
    count() AS label_rows,
    countIf(window_status = 'complete') / count() AS complete,
    countIf(window_status = 'complete' AND triple_barrier_label = -1) / countIf(window_status = 'complete' AND triple_barrier_label IS NOT NULL) AS lower,
    countIf(window_status = 'complete' AND triple_barrier_label = 0) / countIf(window_status = 'complete' AND triple_barrier_label IS NOT NULL) AS none,
    countIf(window_status = 'complete' AND triple_barrier_label = 1) / countIf(window_status = 'complete' AND triple_barrier_label IS NOT NULL) AS upper,
    ifNull(avgIf(mfe, window_status = 'complete'), 0) AS mean_mfe,
    ifNull(avgIf(mae, window_status = 'complete'), 0) AS mean_mae
FROM labels
WHERE instrument_id IN {instruments:Array(String)}
GROUP BY instrument_id, granularity
ORDER BY instrument_id, indexOf(['M5', 'M15', 'H1', 'H4', 'D', 'W'], granularity)
