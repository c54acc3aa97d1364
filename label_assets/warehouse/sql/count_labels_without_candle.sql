-- Rows of labels against candles × horizons: candles that lack a row, rows that lack a candle, keys that occur twice.
WITH
    expected AS
    (
        SELECT granularity, horizon, ts
        FROM candles
        ARRAY JOIN {horizons:Array(UInt16)} AS horizon
        WHERE instrument_id = {instrument:String} AND has({granularities:Array(String)}, granularity)
            AND ts >= toDateTime({start:UInt32}, 'UTC') AND ts < toDateTime({end:UInt32}, 'UTC')
    ),
    found AS
    (
        SELECT granularity, horizon, ts
        FROM labels
        WHERE instrument_id = {instrument:String}
            AND ts >= toDateTime({start:UInt32}, 'UTC') AND ts < toDateTime({end:UInt32}, 'UTC')
    )
SELECT
    (SELECT count() FROM expected) AS expected_rows,
    (SELECT count() FROM found) AS found_rows,
    (SELECT count() FROM expected WHERE (granularity, horizon, ts) NOT IN found) AS missing_rows,
    (SELECT count() FROM found WHERE (granularity, horizon, ts) NOT IN expected) AS surplus_rows,
    (SELECT count() - uniqExact(granularity, horizon, ts) FROM found) AS duplicate_rows
