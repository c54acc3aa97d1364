-- Raw candles of some instruments, from an open time on, that were written or removed after a version; newest writes last.
SELECT instrument_id, toUnixTimestamp(ts) AS ts, open, high, low, close, volume, is_deleted, version
FROM {storage:Identifier}
WHERE instrument_id IN {instruments:Array(String)} AND granularity = {granularity:String}
    AND ts >= toDateTime({start:UInt32}, 'UTC') AND version > {version:UInt64}
ORDER BY version
