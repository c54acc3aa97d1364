-- Granularities and horizons that have labels, with counts by status and the time they span.
SELECT
    granularity,
    horizon,
    count() AS label_rows,
    countIf(window_status = 'complete') AS complete,
    countIf(window_status = 'open') AS open,
    countIf(window_status = 'gap') AS gap,
    toString(toDate(min(ts))) AS first,
    toString(toDate(max(ts))) AS last,
    groupUniqArray(CAST(instrument_id AS String)) AS instruments
FROM labels
WHERE instrument_id IN {instruments:Array(String)}
GROUP BY granularity, horizon
ORDER BY indexOf(['M5', 'M15', 'H1', 'H4', 'D', 'W'], granularity), horizon
