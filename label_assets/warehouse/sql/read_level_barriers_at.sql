-- The level-adjusted barriers of one entry, and where they would be without levels.
SELECT
    w.entry_price AS entry_price, b.etb_upper AS etb_upper, b.etb_lower AS etb_lower,
    b.etb_exit_price AS etb_exit_price, b.enhanced_triple_barrier_label AS label,
    toUnixTimestamp(b.etb_end_ts) AS etb_end_ts, toUnixTimestamp(w.horizon_end_ts) AS horizon_end_ts,
    w.entry_price + {width:Float64} * w.atr AS plain_upper, w.entry_price - {width:Float64} * w.atr AS plain_lower
FROM
(
    SELECT * FROM path_windows
    WHERE instrument_id = {instrument:String} AND granularity = {granularity:String} AND horizon = {horizon:UInt16}
        AND ts = toDateTime({ts:UInt32}, 'UTC')
) AS w
INNER JOIN
(
    SELECT * FROM barriers
    WHERE instrument_id = {instrument:String} AND granularity = {granularity:String} AND horizon = {horizon:UInt16}
        AND ts = toDateTime({ts:UInt32}, 'UTC')
) AS b USING (instrument_id, granularity, horizon, ts)
