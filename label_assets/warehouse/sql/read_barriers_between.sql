-- Barrier outcomes of complete windows that open in [start, end) and end before it.
SELECT
    toUnixTimestamp(ts) AS ts, entry_price, atr, triple_barrier_label, barrier_return,
    toUnixTimestamp(horizon_end_ts) AS horizon_end_ts, toUnixTimestamp(barrier_end_ts) AS barrier_end_ts
FROM labels
WHERE instrument_id = {instrument:String} AND granularity = {granularity:String} AND horizon = {horizon:UInt16}
    AND labels.ts >= toDateTime({start:UInt32}, 'UTC') AND labels.ts < toDateTime({end:UInt32}, 'UTC')
    AND labels.horizon_end_ts < toDateTime({end:UInt32}, 'UTC')
    AND window_status = 'complete' AND triple_barrier_label IS NOT NULL
ORDER BY ts
