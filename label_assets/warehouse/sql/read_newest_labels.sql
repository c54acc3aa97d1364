-- Open time of the newest row of labels of each instrument, granularity and horizon.
SELECT instrument_id, granularity, horizon, toUnixTimestamp(max(t.ts)) AS newest
FROM {storage:Identifier} AS t
WHERE instrument_id IN {instruments:Array(String)} AND granularity IN {granularities:Array(String)}
    AND horizon IN {horizons:Array(UInt16)}
GROUP BY instrument_id, granularity, horizon
