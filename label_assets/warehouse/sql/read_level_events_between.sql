-- Events of levels in [start, end].
SELECT level_id, toUnixTimestamp(ts) AS ts, CAST(event_type AS String) AS event_name, price
FROM level_events
WHERE instrument_id = {instrument:String} AND granularity = {granularity:String}
    AND level_events.ts >= toDateTime({start:UInt32}, 'UTC') AND level_events.ts <= toDateTime({end:UInt32}, 'UTC')
ORDER BY ts, level_id
