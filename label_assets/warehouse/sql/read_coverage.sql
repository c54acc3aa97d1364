-- Rows of labels of each instrument and month by window status, of one granularity and horizon.
SELECT
    instrument_id,
    toUnixTimestamp(toDateTime(toStartOfMonth(ts, 'UTC'), 'UTC')) AS month,
    count() AS label_rows,
    countIf(window_status = 'complete') AS complete_rows,
    countIf(window_status = 'open') AS open_rows,
    countIf(window_status = 'gap') AS gap_rows
FROM labels
WHERE instrument_id IN {instruments:Array(String)} AND granularity = {granularity:String} AND horizon = {horizon:UInt16}
GROUP BY instrument_id, month
ORDER BY instrument_id, month
