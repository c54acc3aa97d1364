-- Open times of candles of some granularities: of each the last `before` ones before its start, that at its start, and
-- the first `after` ones from its end on. Those between start and end are left out.
SELECT granularity, toUnixTimestamp(ts) AS ts
FROM
(
    SELECT * FROM
    (
        SELECT granularity, ts FROM candles
        WHERE instrument_id = {instrument:String} AND has({granularities:Array(String)}, granularity)
            AND ts < toDateTime(arrayMax({starts:Array(UInt32)}), 'UTC')
            AND ts < toDateTime({starts:Array(UInt32)}[indexOf({granularities:Array(String)}, granularity)], 'UTC')
        ORDER BY ts DESC
        LIMIT {before:UInt32} BY granularity
    )
    UNION ALL
    SELECT granularity, ts FROM candles
    WHERE instrument_id = {instrument:String} AND has({granularities:Array(String)}, granularity)
        AND ts >= toDateTime(arrayMin({starts:Array(UInt32)}), 'UTC')
        AND ts <= toDateTime(arrayMax({starts:Array(UInt32)}), 'UTC')
        AND ts = toDateTime({starts:Array(UInt32)}[indexOf({granularities:Array(String)}, granularity)], 'UTC')
        AND ts < toDateTime({ends:Array(UInt32)}[indexOf({granularities:Array(String)}, granularity)], 'UTC')
    UNION ALL
    SELECT * FROM
    (
        SELECT granularity, ts FROM candles
        WHERE instrument_id = {instrument:String} AND has({granularities:Array(String)}, granularity)
            AND ts >= toDateTime(arrayMin({ends:Array(UInt32)}), 'UTC')
            AND ts >= toDateTime({ends:Array(UInt32)}[indexOf({granularities:Array(String)}, granularity)], 'UTC')
        ORDER BY ts
        LIMIT {after:UInt32} BY granularity
    )
)
ORDER BY ts
