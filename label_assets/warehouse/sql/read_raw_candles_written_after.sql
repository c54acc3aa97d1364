-- Span of the raw candles that were written or removed after a version, and their number.
SELECT toUnixTimestamp(min(ts)) AS first_ts, toUnixTimestamp(max(ts)) AS last_ts, count() AS found
FROM {storage:Identifier}
WHERE instrument_id = {instrument:String} AND granularity = {granularity:String} AND version > {version:UInt64}
