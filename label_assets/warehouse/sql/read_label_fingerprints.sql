-- For each instrument and horizon of one granularity a number that changes with every change of a row from a time on.
SELECT instrument_id, horizon, toString(groupBitXor(sipHash64(t.ts, version))) AS fingerprint, count() AS found
FROM {storage:Identifier} AS t FINAL
WHERE instrument_id IN {instruments:Array(String)} AND granularity = {granularity:String}
    AND horizon IN {horizons:Array(UInt16)} AND t.ts >= toDateTime({start:UInt32}, 'UTC')
GROUP BY instrument_id, horizon
