-- Stretches of levels as active support or resistance that lie at least in part in [start, end).
SELECT
    level_id, CAST(role AS String) AS role_name, price, touch_width,
    toUnixTimestamp(valid_from) AS valid_from, toUnixTimestamp(valid_to) AS valid_to
FROM level_intervals
WHERE instrument_id = {instrument:String} AND granularity = {granularity:String}
    AND level_intervals.valid_from < toDateTime({end:UInt32}, 'UTC')
    AND (level_intervals.valid_to IS NULL OR level_intervals.valid_to > toDateTime({start:UInt32}, 'UTC'))
ORDER BY price
