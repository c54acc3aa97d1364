-- Newest version of the raw candles of each of some instruments, tombstones included.
SELECT instrument_id, max(version) AS version
FROM {storage:Identifier}
WHERE instrument_id IN {instruments:Array(String)} AND granularity = {granularity:String}
GROUP BY instrument_id
ORDER BY instrument_id
