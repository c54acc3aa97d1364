-- Classes of the barrier labels and of the sign among complete windows that open in [start, end).
SELECT
    granularity,
    horizon,
    count() AS label_rows,
    countIf(window_status = 'complete') AS complete,
    [countIf(return_sign = -1 AND window_status = 'complete'), countIf(return_sign = 0 AND window_status = 'complete'), countIf(return_sign = 1 AND window_status = 'complete')] AS return_sign,
    [countIf(triple_barrier_label = -1 AND window_status = 'complete'), countIf(triple_barrier_label = 0 AND window_status = 'complete'), countIf(triple_barrier_label = 1 AND window_status = 'complete')] AS triple_barrier_label,
    [countIf(enhanced_triple_barrier_label = -1 AND window_status = 'complete'), countIf(enhanced_triple_barrier_label = 0 AND window_status = 'complete'), countIf(enhanced_triple_barrier_label = 1 AND window_status = 'complete')] AS enhanced_triple_barrier_label,
    [countIf(first_level_reached = -1 AND window_status = 'complete'), countIf(first_level_reached = 0 AND window_status = 'complete'), countIf(first_level_reached = 1 AND window_status = 'complete')] AS first_level_reached
FROM labels
WHERE instrument_id = {instrument:String}
    AND labels.ts >= toDateTime({start:UInt32}, 'UTC') AND labels.ts < toDateTime({end:UInt32}, 'UTC')
GROUP BY granularity, horizon
ORDER BY indexOf(['M5', 'M15', 'H1', 'H4', 'D', 'W'], granularity), horizon
